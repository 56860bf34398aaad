<?php

declare(strict_types=1);

namespace Encke;

/**
 * What a client wants to do, as Encke asks the site at the address of --hook. In the script there:
 *
 *     $hook = Hook::receive($secret);                       // answers 401 and ends where it is not Encke's
 *     $hook->channel === 'lobby' ? Hook::allow() : Hook::refuse('the lobby alone is open');
 *
 * In a framework, with its own requests and answers: Hook::of(…), and Hook::allowed() or Hook::refused(…) as the JSON of a 200.
 */
final class Hook
{
    /**
     * @param string       $hook      connect, subscribe or publish
     * @param string|null  $user      null for a client without a token
     * @param string       $transport ws, sse, stream, poll and so on
     * @param list<string> $channels  of connect
     * @param string|null  $channel   of subscribe and publish
     * @param mixed        $data      of publish
     */
    private function __construct(
        public readonly string $hook,
        public readonly ?string $user,
        public readonly string $address,
        public readonly string $transport,
        public readonly array $channels,
        public readonly ?string $channel,
        public readonly ?string $event,
        public readonly mixed $data,
    ) {
    }

    /**
     * The question of a request.
     *
     * @param string|string[] $secret
     * @throws EnckeException bad_signature, bad_time, bad_answer
     */
    public static function of(#[\SensitiveParameter] string|array $secret, string $header, string $body, int $tolerance = Webhook::TOLERANCE): self
    {
        Signature::check($secret, $header, $body, $tolerance, time());
        $f = Fields::of($body);
        return new self(
            $f->string('hook'),
            $f->stringOrNull('user'),
            $f->stringOrNull('address') ?? '',
            $f->stringOrNull('transport') ?? '',
            $f->has('channels') ? $f->strings('channels') : [],
            $f->stringOrNull('channel'),
            $f->stringOrNull('event'),
            $f->mixed('data'),
        );
    }

    /**
     * The question of the request that this script serves; one that is not Encke's is answered 401, and the script ends.
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

    /** Answers that the client may. */
    public static function allow(): void
    {
        self::answer(self::allowed());
    }

    /** Answers that the client may publish, but this in place of what it sent. */
    public static function allowWith(mixed $data): void
    {
        self::answer(self::allowedWith($data));
    }

    /** Answers that the client may not. It is told the reason, at most 200 bytes. */
    public static function refuse(string $reason = ''): void
    {
        self::answer(self::refused($reason));
    }

    /** The JSON of the answer of allow(). */
    public static function allowed(): string
    {
        return '{"allow":true}';
    }

    /**
     * The JSON of the answer of allowWith(). The server takes null for no data: what the client sent would be published.
     *
     * @throws EnckeException bad_data
     */
    public static function allowedWith(mixed $data): string
    {
        return $data !== null ? Json::encode(['allow' => true, 'data' => $data]) : throw new EnckeException('bad_data', 'null cannot be put in place of what was sent');
    }

    /** The JSON of the answer of refuse(). */
    public static function refused(string $reason = ''): string
    {
        return Json::encode(['allow' => false] + ($reason === '' ? [] : ['reason' => $reason]));
    }

    private static function answer(string $json): void
    {
        header('Content-Type: application/json');
        echo $json;
    }
}
