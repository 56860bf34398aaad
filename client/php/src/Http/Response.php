<?php

declare(strict_types=1);

namespace Encke\Http;

/** A whole answer. */
final class Response
{
    /** @param array<string, string> $headers by name in lower case; of several of one name the last */
    public function __construct(
        public readonly int $status,
        public readonly array $headers,
        public readonly string $body,
    ) {
    }

    /** Seconds after which the server asks to try again (RFC 9110 section 10.2.3: a number or a date); null where it does not. */
    public function retryAfter(int $now): ?float
    {
        $text = $this->headers['retry-after'] ?? '';
        if (preg_match('/^\d{1,9}$/', $text) === 1) {
            return (float) $text;
        }
        $date = \DateTimeImmutable::createFromFormat('D, d M Y H:i:s \G\M\T', $text, new \DateTimeZone('UTC'));
        return $date === false ? null : (float) max(0, $date->getTimestamp() - $now);
    }
}
