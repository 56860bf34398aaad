<?php

declare(strict_types=1);

namespace Encke\Test;

use Encke\Http\CurlTransport;
use Encke\Http\Transport;

final class CurlClientTest extends ClientCase
{
    protected function transport(): Transport
    {
        return new CurlTransport();
    }
}
