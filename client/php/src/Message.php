<?php

declare(strict_types=1);

namespace Encke;

/**
 * A message to one channel or one user. It has an id, so that the same object, pushed as often as you like within the server's
 * --message-id-age (5 minutes), is one message.
 */
final class Message
{
    private function __construct(
        public readonly ?string $channel,
        public readonly ?string $user,
        public readonly mixed $data,
        public readonly ?string $event,
        public readonly ?string $id,
        public readonly int|float|string|null $ttl,
        public readonly ?string $expect,
        public readonly Mailbox $mailbox,
    ) {
    }

    /**
     * @param mixed                 $data   anything that json_encode() takes
     * @param string|null           $event  the event's name
     * @param string|false|null     $id     1 to 128 printable ASCII characters; null: one is made up; false: none, it is then never sent again
     * @param int|float|string|null $ttl    seconds, or "500ms", after which nobody who comes later is given it
     * @param string|null           $expect the position that the channel has to be at, "0" for an empty one
     */
    public static function toChannel(
        string $channel,
        mixed $data,
        ?string $event = null,
        string|false|null $id = null,
        int|float|string|null $ttl = null,
        ?string $expect = null,
    ): self {
        return new self($channel, null, $data, $event, self::id($id), $ttl, $expect, Mailbox::Off);
    }

    /**
     * The same to a user, on every device.
     *
     * @throws EnckeException bad_user where there is none: a message to nobody in particular is a mistake
     */
    public static function toUser(
        string|int $user,
        mixed $data,
        ?string $event = null,
        string|false|null $id = null,
        int|float|string|null $ttl = null,
        Mailbox $mailbox = Mailbox::Off,
    ): self {
        return new self(null, self::user($user), $data, $event, self::id($id), $ttl, null, $mailbox);
    }

    /** @internal */
    public static function user(string|int $user): string
    {
        return $user !== '' ? (string) $user : throw new EnckeException('bad_user', 'a user has an id');
    }

    /** @internal */
    public static function id(string|false|null $id): ?string
    {
        return $id === false ? null : $id ?? bin2hex(random_bytes(16));
    }

    /**
     * As it stands in POST /publish.
     *
     * @throws EnckeException bad_data
     */
    public function json(): string
    {
        $to = $this->channel !== null ? ['channel' => $this->channel] : ['user' => $this->user];
        return self::object($to, $this->data, $this->event, $this->id, $this->ttl, $this->expect, $this->mailbox);
    }

    /**
     * @internal
     * @param array<string, mixed> $to
     */
    public static function object(array $to, mixed $data, ?string $event, ?string $id, int|float|string|null $ttl, ?string $expect, Mailbox $mailbox): string
    {
        $how = ['event' => $event, 'id' => $id, 'ttl' => $ttl, 'expect' => $expect, 'mailbox' => $mailbox === Mailbox::Off ? null : $mailbox];
        return Json::encode($to + array_filter($how, static fn ($x) => $x !== null) + ['data' => $data]);
    }
}
