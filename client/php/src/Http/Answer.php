<?php

declare(strict_types=1);

namespace Encke\Http;

use Encke\ConnectionException;

/** Reads one answer (RFC 9112) off a connection. */
final class Answer
{
    /** Headers that are read; the server has six. */
    private const MAX_HEADERS = 200;

    public function __construct(private readonly Connection $connection, private readonly float $end)
    {
    }

    /** @throws ConnectionException */
    public function read(): Response
    {
        do {
            $first = $this->connection->line($this->end);
            if (preg_match('~^HTTP/1\.([01]) ([1-5]\d\d)( |$)~', $first, $m) !== 1) {
                throw $this->bad('no HTTP');
            }
            $headers = $this->headers();
            $status = (int) $m[2];
        } while ($status < 200); // 100 Continue and its like
        $lasts = strtolower($headers['connection'] ?? ($m[1] === '1' ? 'keep-alive' : 'close'));
        $this->connection->reusable = !str_contains($lasts, 'close');
        return new Response($status, $headers, $this->body($status, $headers));
    }

    /** @return array<string, string> */
    private function headers(): array
    {
        $headers = [];
        for ($n = 0; ($line = $this->connection->line($this->end)) !== ''; $n++) {
            if ($n === self::MAX_HEADERS || !str_contains($line, ':')) {
                throw $this->bad('malformed headers');
            }
            [$name, $value] = explode(':', $line, 2);
            $headers[strtolower(trim($name))] = trim($value);
        }
        return $headers;
    }

    /**
     * RFC 9112 section 6.3: how long a body is.
     *
     * @param array<string, string> $headers
     */
    private function body(int $status, array $headers): string
    {
        if ($status === 204 || $status === 304) {
            return '';
        }
        if (isset($headers['transfer-encoding'])) {
            return strtolower($headers['transfer-encoding']) === 'chunked' ? $this->chunks() : throw $this->bad('an unknown coding');
        }
        if (!isset($headers['content-length'])) {
            $this->connection->reusable = false;
            return $this->connection->rest($this->end);
        }
        return $this->connection->bytes($this->size($headers['content-length'], '/^\d{1,18}$/', 10), $this->end);
    }

    private function chunks(): string
    {
        $body = '';
        do {
            $line = $this->connection->line($this->end);
            $size = $this->size(substr($line, 0, strcspn($line, " \t;")), '/^[0-9a-fA-F]{1,15}$/', 16);
            if ($size === 0) {
                $this->headers(); // trailers
                return $body;
            }
            $body .= $this->connection->bytes($size, $this->end);
            if (strlen($body) > Transport::MAX_ANSWER || $this->connection->line($this->end) !== '') {
                throw $this->bad('malformed chunks');
            }
        } while (true);
    }

    private function size(string $text, string $pattern, int $base): int
    {
        $size = preg_match($pattern, $text) === 1 ? intval($text, $base) : -1;
        return $size >= 0 && $size <= Transport::MAX_ANSWER ? $size : throw $this->bad('a length that is none');
    }

    private function bad(string $what): ConnectionException
    {
        return new ConnectionException('bad_answer', "{$this->connection->host} answers with $what", true);
    }
}
