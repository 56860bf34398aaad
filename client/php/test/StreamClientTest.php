<?php

declare(strict_types=1);

namespace Encke\Test;

use Encke\Http\StreamTransport;
use Encke\Http\Transport;

final class StreamClientTest extends ClientCase
{
    protected function transport(): Transport
    {
        return new StreamTransport();
    }
}
