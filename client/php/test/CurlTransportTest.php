<?php

declare(strict_types=1);

namespace Encke\Test;

use Encke\Http\CurlTransport;
use Encke\Http\Transport;

final class CurlTransportTest extends TransportCase
{
    protected function transport(?string $caFile = null): Transport
    {
        return new CurlTransport($caFile);
    }
}
