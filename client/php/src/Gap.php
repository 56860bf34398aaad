<?php

declare(strict_types=1);

namespace Encke;

/** Publications that cannot be given any more (PROTOCOL.md "A publication"). */
final class Gap
{
    /**
     * @param string $reason   expired, epoch, unknown or skipped
     * @param string $position what is there after it begins here
     */
    private function __construct(
        public readonly string $channel,
        public readonly string $reason,
        public readonly string $position,
    ) {
    }

    /** @internal */
    public static function of(Fields $f): self
    {
        return new self($f->string('channel'), $f->string('reason'), $f->string('position'));
    }
}
