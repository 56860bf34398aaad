<?php

declare(strict_types=1);

namespace Encke;

/** One who is in a channel. */
final class Member
{
    /** @param mixed $info what the user's token says of it */
    private function __construct(
        public readonly string $user,
        public readonly int $connections,
        public readonly mixed $info,
    ) {
    }

    /** @internal */
    public static function of(Fields $f): self
    {
        return new self($f->string('user'), $f->int('connections'), $f->mixed('info'));
    }
}
