<?php

declare(strict_types=1);

namespace Encke;

/**
 * Letters of a user's mailbox, oldest first.
 *
 * @implements \IteratorAggregate<int, Publication>
 */
final class Letters implements \IteratorAggregate, \Countable
{
    /**
     * @param int               $total   how many there are in the mailbox
     * @param bool              $more    whether others come after these: ask again, after the last one's number
     * @param list<Publication> $letters
     */
    private function __construct(
        public readonly string $user,
        public readonly int $total,
        public readonly bool $more,
        public readonly array $letters,
    ) {
    }

    /** @internal */
    public static function of(Fields $f): self
    {
        return new self($f->string('user'), $f->int('total'), $f->bool('more'), array_map(Publication::of(...), $f->objects('letters')));
    }

    /** @return \ArrayIterator<int, Publication> */
    public function getIterator(): \ArrayIterator
    {
        return new \ArrayIterator($this->letters);
    }

    public function count(): int
    {
        return count($this->letters);
    }
}
