<?php

declare(strict_types=1);

/** The guest book: one line of JSON for each entry, in a file. A real site has its database here. */
final class Book
{
    private const SHOWN = 50;

    public function __construct(private readonly string $file)
    {
    }

    /**
     * Writes an entry.
     *
     * @return array{id: string, name: string, text: string, time: int}
     */
    public function add(string $name, string $text): array
    {
        $entry = ['id' => bin2hex(random_bytes(8)), 'name' => $name, 'text' => $text, 'time' => time()];
        file_put_contents($this->file, json_encode($entry, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR) . "\n", FILE_APPEND | LOCK_EX);
        return $entry;
    }

    /**
     * The newest entries, oldest first.
     *
     * @return list<array{id: string, name: string, text: string, time: int}>
     */
    public function newest(): array
    {
        $lines = is_file($this->file) ? file($this->file, FILE_IGNORE_NEW_LINES) ?: [] : [];
        return array_map(static fn (string $line) => json_decode($line, true), array_slice($lines, -self::SHOWN));
    }
}
