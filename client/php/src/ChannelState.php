<?php

declare(strict_types=1);

namespace Encke;

/** A channel as it is at the moment. */
final class ChannelState
{
    /** @param string $position what to subscribe from to get what follows: give it to the page that you render from your database */
    private function __construct(
        public readonly string $channel,
        public readonly string $position,
        public readonly int $offset,
        public readonly int $subscribers,
        public readonly int $historyLength,
        public readonly int $historyBytes,
    ) {
    }

    /** @internal */
    public static function of(Fields $f): self
    {
        $kept = $f->object('history');
        return new self($f->string('channel'), $f->string('position'), $f->int('offset'), $f->int('subscribers'), $kept->int('length'), $kept->int('bytes'));
    }
}
