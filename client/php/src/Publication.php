<?php

declare(strict_types=1);

namespace Encke;

/** One message of a channel, or a letter of a user's mailbox (PROTOCOL.md "A publication", "Letters"). */
final class Publication
{
    /**
     * @param int|null    $offset   its place in the channel; null for a letter
     * @param string|null $position what follows it begins here; null for a letter
     * @param int|null    $mail     the letter's number; null for a publication
     * @param string|null $user     who published it, where a client did
     * @param int         $time     when the server took it, Unix time in milliseconds
     * @param string|null $type     the Content-Type, null where it was JSON
     * @param mixed       $data     the message, objects as arrays; what is no text as base64, see bytes()
     */
    private function __construct(
        public readonly string $channel,
        public readonly ?int $offset,
        public readonly ?string $position,
        public readonly ?int $mail,
        public readonly ?string $event,
        public readonly ?string $user,
        public readonly int $time,
        public readonly ?string $type,
        public readonly mixed $data,
        private readonly bool $base64,
    ) {
    }

    /** @internal */
    public static function of(Fields $f): self
    {
        return new self(
            $f->string('channel'),
            $f->intOrNull('offset'),
            $f->stringOrNull('position'),
            $f->intOrNull('mail'),
            $f->stringOrNull('event'),
            $f->stringOrNull('user'),
            $f->int('time'),
            $f->stringOrNull('type'),
            $f->mixed('data'),
            $f->stringOrNull('encoding') === 'base64',
        );
    }

    /** The message as it was pushed: the bytes of what is no text, text as it is, anything else as JSON. */
    public function bytes(): string
    {
        if (!is_string($this->data)) {
            return Json::encode($this->data);
        }
        return $this->base64 ? (string) base64_decode($this->data, true) : $this->data;
    }
}
