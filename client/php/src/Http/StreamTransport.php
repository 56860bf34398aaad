<?php

declare(strict_types=1);

namespace Encke\Http;

use Encke\ConnectionException;

/** HTTP/1.1 over PHP's own streams, for where ext-curl is missing. The connection is kept from call to call. */
final class StreamTransport implements Transport
{
    private ?Connection $kept = null;

    /** @param string|null $caFile certificates to trust, for https; null: the system's */
    public function __construct(private readonly ?string $caFile = null)
    {
    }

    public function send(Request $request, float $connect, float $timeout): Response
    {
        $end = microtime(true) + $timeout;
        $kept = $this->kept;
        $this->kept = null; // until an answer has shown that it is in order
        if ($request->repeatable && $kept !== null && $kept->usable($request->url)) {
            try {
                return $this->over($kept, $request, $end);
            } catch (ConnectionException $e) {
                if ($e->code !== 'cut_off' || $kept->heard()) {
                    throw $e;
                }
                // The server had closed it while it was idle: try a new one.
            }
        }
        return $this->over(new Connection($request->url, min($connect, $timeout), $this->caFile), $request, $end);
    }

    private function over(Connection $connection, Request $request, float $end): Response
    {
        $head = "$request->method {$connection->target($request->url)} HTTP/1.1\r\nHost: $connection->host\r\n";
        foreach ($request->headers as $name => $value) {
            $head .= "$name: $value\r\n";
        }
        if ($request->body !== '' || $request->method === 'POST') {
            $head .= 'Content-Length: ' . strlen($request->body) . "\r\n";
        }
        // A server that refuses a body does so before it has read all of it, and stops reading: the answer is there all the same.
        $failed = $connection->write($head . "\r\n" . $request->body, $end);
        try {
            $response = (new Answer($connection, $end))->read();
        } catch (ConnectionException $e) {
            throw $failed ?? $e;
        }
        if ($failed === null && $connection->inOrder()) {
            $this->kept = $connection;
        }
        return $response;
    }
}
