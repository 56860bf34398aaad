<?php

declare(strict_types=1);

namespace Encke;

/** What became of a message: a place in a channel, or a letter in a user's mailbox. */
final class Published
{
    /**
     * @param int|null    $offset      its place; null for a letter
     * @param string|null $position    what to subscribe from to get what follows it; null for a letter
     * @param int|null    $mail        the letter's number; null for one that is none
     * @param int         $subscribers connections that it was given to
     */
    public function __construct(
        public readonly string $channel,
        public readonly ?int $offset,
        public readonly ?string $position,
        public readonly ?int $mail,
        public readonly int $subscribers,
    ) {
    }

    /** @internal */
    public static function of(Fields $f): self
    {
        $mail = $f->intOrNull('mail');
        return new self(
            $f->string('channel'),
            $mail === null ? $f->int('offset') : null,
            $mail === null ? $f->string('position') : null,
            $mail,
            $f->int('subscribers'),
        );
    }

    /** @internal The same, or the error that stands there instead. */
    public static function orError(Fields $f): self|EnckeException
    {
        $error = $f->mixed('error');
        return is_array($error) ? EnckeException::ofObject($error) : self::of($f);
    }
}
