<?php

declare(strict_types=1);

namespace Encke\Http;

use Encke\EnckeException;

/** One request, as it is sent. */
final class Request
{
    /** @var array<string, string> */
    public readonly array $headers;

    /**
     * @param array<string, string> $headers    by name
     * @param bool                  $repeatable whether it may be sent again when nobody knows if it was carried out
     * @throws EnckeException bad_request: a header with a control character would be another header, or another request
     */
    public function __construct(
        public readonly string $method,
        public readonly string $url,
        public readonly string $body,
        array $headers,
        public readonly bool $repeatable,
    ) {
        foreach ($headers as $name => $value) {
            if (preg_match('/[\x00-\x1f\x7f]/', $value) === 1) {
                throw new EnckeException('bad_request', "the header $name cannot have a control character");
            }
        }
        $this->headers = $headers;
    }
}
