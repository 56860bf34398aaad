<?php

declare(strict_types=1);

namespace Encke\Http;

use Encke\ConnectionException;
use Encke\EnckeException;
use Encke\Patience;

/** Sends requests, again where that cannot do a thing twice. */
final class Sender
{
    /** Refusals that are over after a while: too many at once, behind, shutting down, or a proxy that does not reach the server. */
    private const PASSING = [429, 502, 503, 504];

    /** @param array<string, string> $headers of every request */
    public function __construct(
        private readonly string $url,
        #[\SensitiveParameter] private readonly array $headers,
        private readonly Patience $patience,
        private readonly Transport $transport,
    ) {
    }

    /**
     * The answer, whose status is a success.
     *
     * @param array<string, string> $headers
     * @throws EnckeException
     */
    public function send(string $method, string $path, string $body = '', array $headers = [], bool $repeatable = false): Response
    {
        $request = new Request($method, $this->url . $path, $body, $headers + $this->headers, $repeatable);
        $end = microtime(true) + $this->patience->total;
        for ($attempt = 1;; $attempt++) {
            try {
                return $this->once($request, $end);
            } catch (EnckeException $e) {
                $pause = $this->patience->before($attempt, $e->retryAfter);
                if ($attempt > $this->patience->retries || !self::mayRepeat($request, $e) || microtime(true) + $pause >= $end) {
                    throw $e;
                }
                usleep((int) ($pause * 1e6));
            }
        }
    }

    /** Whether the server is there and says yes to this; asked once. */
    public function ask(string $path): bool
    {
        try {
            $this->once(new Request('GET', $this->url . $path, '', $this->headers, true), microtime(true) + $this->patience->total);
            return true;
        } catch (EnckeException) {
            return false;
        }
    }

    private function once(Request $request, float $end): Response
    {
        $left = max(0.001, $end - microtime(true));
        $response = $this->transport->send($request, min($left, $this->patience->connect), min($left, $this->patience->answer));
        if ($response->status < 200 || $response->status > 299) {
            throw EnckeException::of($response);
        }
        return $response;
    }

    /**
     * A request that the server has not seen may always be sent again. One that it may have seen only where that is the same as once:
     * reading, and pushing under an id.
     */
    private static function mayRepeat(Request $request, EnckeException $e): bool
    {
        if ($e instanceof ConnectionException) {
            return !$e->sent || $request->repeatable && $e->code !== 'bad_answer';
        }
        return $request->repeatable && in_array($e->status, self::PASSING, true);
    }
}
