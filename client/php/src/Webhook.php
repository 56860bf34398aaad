<?php

declare(strict_types=1);

namespace Encke;

/**
 * A batch of changes that Encke tells the site of, at the address of --webhook. In the script there:
 *
 *     $webhook = Webhook::receive($secret);                 // answers 401 and ends where it is not Encke's
 *     foreach ($webhook->events as $event) { … }            // its answer is 200: the batch is taken
 *
 * In a framework, with its own requests: Webhook::of($secret, $request->headers->get('Encke-Signature', ''), $request->getContent()).
 */
final class Webhook
{
    /** Seconds that a request may be old, or ahead of this clock. */
    public const TOLERANCE = 300;

    /**
     * @param string      $epoch  of the server process; in a new one nobody is online and nothing occupied until it is told
     * @param int         $batch  grows with each attempt
     * @param list<Event> $events
     */
    private function __construct(
        public readonly string $epoch,
        public readonly int $batch,
        public readonly array $events,
    ) {
    }

    /**
     * Whether a request is Encke's own, and not an old one. It serves hooks too.
     *
     * @param string|string[] $secret    one, or several while it is being changed
     * @param string          $header    the value of Encke-Signature
     * @param string          $body      the body as it came
     * @param int             $tolerance seconds
     * @param int|null        $now       Unix time; null: the clock's
     */
    public static function verify(#[\SensitiveParameter] string|array $secret, string $header, string $body, int $tolerance = self::TOLERANCE, ?int $now = null): bool
    {
        try {
            Signature::check($secret, $header, $body, $tolerance, $now ?? time());
            return true;
        } catch (EnckeException) {
            return false;
        }
    }

    /**
     * The batch of a request.
     *
     * @param string|string[] $secret
     * @throws EnckeException bad_signature, bad_time, bad_answer
     */
    public static function of(#[\SensitiveParameter] string|array $secret, string $header, string $body, int $tolerance = self::TOLERANCE): self
    {
        Signature::check($secret, $header, $body, $tolerance, time());
        $f = Fields::of($body);
        $epoch = $f->string('epoch');
        return new self($epoch, $f->int('batch'), array_map(static fn (Fields $e) => Event::of($epoch, $e), $f->objects('events')));
    }

    /**
     * The batch of the request that this script serves; one that is not Encke's is answered 401, and the script ends.
     *
     * @param string|string[] $secret
     */
    public static function receive(#[\SensitiveParameter] string|array $secret): self
    {
        try {
            return self::of($secret, $_SERVER['HTTP_ENCKE_SIGNATURE'] ?? '', (string) file_get_contents('php://input'));
        } catch (EnckeException $e) {
            http_response_code(401);
            exit($e->getMessage());
        }
    }
}
