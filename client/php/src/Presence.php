<?php

declare(strict_types=1);

namespace Encke;

/** Who is in a channel. */
final class Presence
{
    /**
     * @param int               $users       users of tokens
     * @param int               $connections those without a token too
     * @param string            $position    from which $presence:{channel} tells who comes and goes
     * @param list<Member>|null $members     null where only counts are kept or were asked for, and where there are too many
     */
    private function __construct(
        public readonly string $channel,
        public readonly int $users,
        public readonly int $connections,
        public readonly string $position,
        public readonly ?array $members,
        public readonly bool $tooMany,
    ) {
    }

    /** @internal */
    public static function of(Fields $f): self
    {
        return new self(
            $f->string('channel'),
            $f->int('users'),
            $f->int('connections'),
            $f->string('position'),
            $f->has('members') ? array_map(Member::of(...), $f->objects('members')) : null,
            $f->has('too_many') && $f->bool('too_many'),
        );
    }
}
