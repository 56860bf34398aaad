<?php

declare(strict_types=1);

namespace Encke\Test\support;

use Encke\Client;
use Encke\Http\Transport;
use Encke\Patience;

/** A real server, with a backend key and a secret for tokens. */
final class Encke extends Process
{
    public const KEY = 'the-key-of-the-php-tests';
    public const SECRET = 'a secret for the tokens of the php tests';

    public readonly int $port;
    public readonly int $backendPort;

    /** @param list<string> $args */
    public function __construct(array $args = [])
    {
        [$this->port, $this->backendPort] = [self::freePort(), self::freePort()];
        $binary = getenv('ENCKE_BIN') ?: throw new \RuntimeException('ENCKE_BIN names no encke binary: run test/run.sh');
        parent::__construct(
            array_merge([$binary, 'serve', '--listen', "127.0.0.1:$this->port", '--backend', "127.0.0.1:$this->backendPort", '--dev', '--loops', '2'], $args),
            ['ENCKE_BACKEND_KEY' => self::KEY, 'ENCKE_TOKEN_SECRET' => self::SECRET],
        );
        $this->listening($this->backendPort);
    }

    public function backend(): string
    {
        return "http://127.0.0.1:$this->backendPort";
    }

    public function client(?Transport $transport = null, string $key = self::KEY, ?Patience $patience = null): Client
    {
        return new Client($this->backend(), $key, $patience ?? new Patience(), $transport);
    }

    /** Follows channels over SSE. */
    public function follow(string $query): Sse
    {
        return new Sse($this->port, $query);
    }
}
