<?php

declare(strict_types=1);

namespace Encke;

/**
 * A piece of a channel's history, oldest first.
 *
 * @implements \IteratorAggregate<int, Publication>
 */
final class HistoryPage implements \IteratorAggregate, \Countable
{
    /**
     * @param list<Publication> $publications
     * @param string            $position     from which the rest follows
     * @param bool              $recovered    false where something is missing between what was asked for and the first of these
     * @param list<Gap>         $gaps         what is missing between them, e.g. messages whose own time is over
     */
    private function __construct(
        public readonly array $publications,
        public readonly string $position,
        public readonly bool $recovered,
        public readonly array $gaps,
    ) {
    }

    /** @internal */
    public static function of(Fields $f): self
    {
        $publications = $gaps = [];
        foreach ($f->objects('publications') as $item) {
            if ($item->has('gap')) {
                $gaps[] = Gap::of($item);
            } else {
                $publications[] = Publication::of($item);
            }
        }
        return new self($publications, $f->string('position'), $f->bool('recovered'), $gaps);
    }

    /** @return \ArrayIterator<int, Publication> */
    public function getIterator(): \ArrayIterator
    {
        return new \ArrayIterator($this->publications);
    }

    public function count(): int
    {
        return count($this->publications);
    }
}
