<?php

declare(strict_types=1);

namespace Encke\Test\support;

/** A proxy before the server that cuts one connection in three: before the request has gone on, or before its answer has come back. */
final class CuttingProxy extends Process
{
    public readonly int $port;

    public function __construct(int $server)
    {
        $this->port = self::freePort();
        parent::__construct([PHP_BINARY, __DIR__ . '/cutting-proxy.php', (string) $this->port, (string) $server]);
        self::until(fn () => str_contains($this->log(), 'listening'), fn () => 'the proxy does not listen: ' . $this->log());
    }
}
