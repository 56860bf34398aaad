<?php

declare(strict_types=1);

namespace Encke;

/** The newest state of a user or of a channel. */
final class Event
{
    public const USER_ONLINE = 'user_online';
    public const USER_OFFLINE = 'user_offline';
    public const CHANNEL_OCCUPIED = 'channel_occupied';
    public const CHANNEL_VACATED = 'channel_vacated';

    /**
     * @param string      $epoch of the server process that counts n
     * @param int         $n     grows with every event of the process
     * @param string      $event one of the constants above, or one of a later server
     * @param string|null $user  whom it is about; null where it is a channel
     * @param int         $time  Unix time in milliseconds
     */
    private function __construct(
        public readonly string $epoch,
        public readonly int $n,
        public readonly string $event,
        public readonly ?string $user,
        public readonly ?string $channel,
        public readonly int $time,
    ) {
    }

    /** @internal */
    public static function of(string $epoch, Fields $f): self
    {
        return new self($epoch, $f->int('n'), $f->string('event'), $f->stringOrNull('user'), $f->stringOrNull('channel'), $f->int('time'));
    }

    /** Whether it is news to a site that remembers, of this user or channel, the epoch and n of the last event: others came late. */
    public function isNewerThan(?string $epoch, ?int $n): bool
    {
        return $epoch !== $this->epoch || $n === null || $this->n > $n;
    }
}
