<?php

declare(strict_types=1);

namespace Encke\Http;

use Encke\ConnectionException;

/** One curl handle, whose connection is kept from call to call. */
final class CurlTransport implements Transport
{
    private ?\CurlHandle $handle = null;
    private int $process = 0;

    /** @param string|null $caFile certificates to trust, for https; null: the system's */
    public function __construct(private readonly ?string $caFile = null)
    {
    }

    public function send(Request $request, float $connect, float $timeout): Response
    {
        $handle = $this->handle();
        $headers = [];
        $body = '';
        $whole = false; // the headers
        curl_setopt_array($handle, self::options($request) + [
            CURLOPT_CONNECTTIMEOUT_MS => max(1, (int) ($connect * 1000)),
            CURLOPT_TIMEOUT_MS => max(1, (int) ($timeout * 1000)),
            CURLOPT_HEADERFUNCTION => static function ($_, string $line) use (&$headers, &$whole): int {
                $whole = !str_starts_with($line, 'HTTP/') && ($whole || trim($line) === ''); // trailers may follow
                self::header($headers, $line);
                return strlen($line);
            },
            CURLOPT_WRITEFUNCTION => static function ($_, string $part) use (&$body): int {
                $body .= $part;
                return strlen($body) > self::MAX_ANSWER ? 0 : strlen($part);
            },
        ]);
        if ($this->caFile !== null) {
            curl_setopt($handle, CURLOPT_CAINFO, $this->caFile);
        }
        if (curl_exec($handle) === false) {
            throw self::failure($handle);
        }
        if (!$whole) { // libcurl takes headers that end with the connection for all of them
            throw new ConnectionException('cut_off', 'the connection was closed in the middle of the headers', true);
        }
        return new Response((int) curl_getinfo($handle, CURLINFO_RESPONSE_CODE), $headers, $body);
    }

    /** The handle with no options set. After a fork the child has its own: two processes on one connection would mix their answers. */
    private function handle(): \CurlHandle
    {
        if ($this->handle === null || $this->process !== getmypid()) {
            $this->process = (int) getmypid();
            return $this->handle = curl_init();
        }
        curl_reset($this->handle);
        return $this->handle;
    }

    /** @return array<int, mixed> */
    private static function options(Request $request): array
    {
        $lines = ['Expect:']; // or curl waits a second for "100 Continue" with large bodies
        foreach ($request->headers as $name => $value) {
            $lines[] = "$name: $value";
        }
        $options = [
            CURLOPT_URL => $request->url,
            CURLOPT_CUSTOMREQUEST => $request->method,
            CURLOPT_HTTPHEADER => $lines,
            CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
            CURLOPT_PATH_AS_IS => true, // a channel may be called ".."
            CURLOPT_PROXY => '', // the backend is near; whatever http_proxy says is not for it
            CURLOPT_NOSIGNAL => true,
            CURLOPT_MAXCONNECTS => 1,
            CURLOPT_MAXFILESIZE => self::MAX_ANSWER,
            // libcurl sends a request again by itself, a POST too, when a connection that it had kept ends without an answer.
            CURLOPT_FRESH_CONNECT => !$request->repeatable,
        ];
        if ($request->method === 'POST') {
            $options[CURLOPT_POSTFIELDS] = $request->body;
        }
        return $options;
    }

    /** @param array<string, string> $headers */
    private static function header(array &$headers, string $line): void
    {
        if (str_starts_with($line, 'HTTP/')) { // after 100 Continue comes another
            $headers = [];
        } elseif (str_contains($line, ':')) {
            [$name, $value] = explode(':', $line, 2);
            $headers[strtolower(trim($name))] = trim($value);
        }
    }

    private static function failure(\CurlHandle $handle): ConnectionException
    {
        $text = curl_error($handle);
        // Nothing was sent before the connection stood: then this time is set.
        $sent = (float) curl_getinfo($handle, CURLINFO_PRETRANSFER_TIME) > 0;
        $code = match (curl_errno($handle)) {
            CURLE_OPERATION_TIMEDOUT => 'timeout',
            CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR => 'cut_off',
            default => $sent ? 'bad_answer' : 'unreachable',
        };
        return new ConnectionException($code, $text, $sent);
    }
}
