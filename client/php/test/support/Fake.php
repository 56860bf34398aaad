<?php

declare(strict_types=1);

namespace Encke\Test\support;

use Encke\Client;
use Encke\Http\Transport;
use Encke\Patience;

/** A server that does as it is told, request by request (fake-server.php). */
final class Fake extends Process
{
    public readonly int $port;
    private string $requests;

    /**
     * @param string|list<string> $behaviours  of fake-server.php; the last one stays
     * @param string|null         $certificate for TLS, a file with its key too
     */
    public function __construct(string|array $behaviours, ?string $certificate = null)
    {
        $this->port = self::freePort();
        $this->requests = (string) tempnam(sys_get_temp_dir(), 'encke-php-');
        register_shutdown_function(fn () => @unlink($this->requests));
        parent::__construct(array_merge([PHP_BINARY, __DIR__ . '/fake-server.php', (string) $this->port, $this->requests], (array) $behaviours), $certificate === null ? [] : ['FAKE_TLS' => $certificate]);
        self::until(fn () => str_contains($this->log(), 'listening'), fn () => 'the fake does not listen: ' . $this->log());
    }

    /** A client of it that is patient enough for every test, and not longer. */
    public function client(Transport $transport, ?Patience $patience = null): Client
    {
        return new Client("http://127.0.0.1:$this->port", '', $patience ?? new Patience(connect: 1, answer: 0.4, total: 5, retries: 2, pause: 0.02), $transport);
    }

    /**
     * The requests that came, in order.
     *
     * @return list<array{connection: int, head: string, body: string, time: float}>
     */
    public function requests(): array
    {
        return array_map(static fn ($line) => json_decode($line, true), file($this->requests) ?: []);
    }
}
