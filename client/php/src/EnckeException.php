<?php

declare(strict_types=1);

namespace Encke;

use Encke\Http\Response;

/**
 * What went wrong, under a code that does not change: one of the table in PROTOCOL.md where the server refused, and one of these
 * where it was this side:
 *
 *   unreachable, timeout, cut_off   see ConnectionException
 *   bad_answer                      what came is no answer of Encke's; or an answer that says nothing of itself (http_502 and so on)
 *   bad_data                        the data cannot be written as JSON; nothing was sent
 *   bad_request, bad_user           an argument that nothing can be sent with; nothing was sent
 *   bad_signature, bad_time         a webhook's request is not one of Encke's, or is an old one
 */
class EnckeException extends \RuntimeException
{
    /** @var string The name of what is wrong, e.g. "conflict". It is also what getCode() returns. */
    public $code = '';

    /**
     * @param string               $text       what is wrong, for people
     * @param int                  $status     the HTTP status, 0 where there was no answer
     * @param array<string, mixed> $answer     the error object as the server sent it: code, message, and what else it says
     * @param float|null           $retryAfter seconds after which the server asks to try again
     */
    public function __construct(
        string $code,
        public readonly string $text,
        public readonly int $status = 0,
        public readonly array $answer = [],
        public readonly ?float $retryAfter = null,
        ?\Throwable $previous = null,
    ) {
        parent::__construct("$code: $text", 0, $previous);
        $this->code = $code;
    }

    /** The error of an answer whose status is no success. */
    public static function of(Response $response): self
    {
        $after = $response->retryAfter(time());
        $object = json_decode($response->body, true);
        $error = is_array($object) ? $object['error'] ?? null : null;
        if (is_array($error) && is_string($error['code'] ?? null)) {
            return self::ofObject($error, $response->status, $after);
        }
        return new self('http_' . $response->status, "the answer is HTTP {$response->status} and no error of Encke's", $response->status, [], $after);
    }

    /**
     * The error of an error object, e.g. of one line of a batch.
     *
     * @param array<mixed> $error
     */
    public static function ofObject(array $error, int $status = 0, ?float $retryAfter = null): self
    {
        $code = is_string($error['code'] ?? null) ? $error['code'] : 'bad_answer';
        $text = is_string($error['message'] ?? null) ? $error['message'] : '';
        return new self($code, $text, $status, $error, $retryAfter);
    }
}
