<?php

declare(strict_types=1);

namespace Encke;

/** Whether a user is here. */
final class UserState
{
    /**
     * @param bool     $online   also for --user-grace (10 s) after the last connection
     * @param int|null $lastSeen Unix time in milliseconds; null for one who was not here within the last hour
     */
    private function __construct(
        public readonly string $user,
        public readonly bool $online,
        public readonly int $connections,
        public readonly ?int $lastSeen,
    ) {
    }

    /** @internal */
    public static function of(Fields $f): self
    {
        return new self($f->string('user'), $f->bool('online'), $f->int('connections'), $f->intOrNull('last_seen'));
    }
}
