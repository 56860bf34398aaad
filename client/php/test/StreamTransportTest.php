<?php

declare(strict_types=1);

namespace Encke\Test;

use Encke\Http\StreamTransport;
use Encke\Http\Transport;

final class StreamTransportTest extends TransportCase
{
    protected function transport(?string $caFile = null): Transport
    {
        return new StreamTransport($caFile);
    }
}
