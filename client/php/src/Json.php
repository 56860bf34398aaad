<?php

declare(strict_types=1);

namespace Encke;

/** JSON as the server takes and gives it. */
final class Json
{
    private const FLAGS = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR;

    /** @throws EnckeException bad_data */
    public static function encode(mixed $data): string
    {
        try {
            return json_encode($data, self::FLAGS);
        } catch (\JsonException $e) {
            throw new EnckeException('bad_data', 'the data cannot be written as JSON: ' . $e->getMessage(), previous: $e);
        }
    }

    /**
     * An object, as an array.
     *
     * @return array<string, mixed>
     * @throws EnckeException bad_answer
     */
    public static function object(string $text): array
    {
        $object = json_decode($text, true);
        if (!is_array($object) || array_is_list($object) && trim($text) !== '{}') {
            throw new EnckeException('bad_answer', 'the answer is not a JSON object: ' . self::beginning($text));
        }
        return $object;
    }

    /** The beginning of a text that is not what it should be, fit to be shown. */
    private static function beginning(string $text): string
    {
        return '"' . addcslashes(substr($text, 0, 80), "\0..\37\"\\\177..\377") . '"';
    }
}
