<?php

declare(strict_types=1);

namespace Encke;

/** The fields of an object that the server sent, each of the type that it has to be. What is not is a bad_answer. */
final class Fields
{
    /** @param array<mixed> $fields */
    public function __construct(private readonly array $fields)
    {
    }

    public static function of(string $text): self
    {
        return new self(Json::object($text));
    }

    public function has(string $name): bool
    {
        return isset($this->fields[$name]);
    }

    public function string(string $name): string
    {
        $value = $this->mixed($name);
        return is_string($value) ? $value : throw self::wrong($name);
    }

    public function int(string $name): int
    {
        $value = $this->mixed($name);
        return is_int($value) ? $value : throw self::wrong($name);
    }

    public function bool(string $name): bool
    {
        $value = $this->mixed($name);
        return is_bool($value) ? $value : throw self::wrong($name);
    }

    public function stringOrNull(string $name): ?string
    {
        return $this->has($name) ? $this->string($name) : null;
    }

    public function intOrNull(string $name): ?int
    {
        return $this->has($name) ? $this->int($name) : null;
    }

    /** Whatever it is; null where there is none. */
    public function mixed(string $name): mixed
    {
        return $this->fields[$name] ?? null;
    }

    public function object(string $name): self
    {
        $value = $this->mixed($name);
        return is_array($value) ? new self($value) : throw self::wrong($name);
    }

    /** @return list<self> */
    public function objects(string $name): array
    {
        $all = [];
        foreach ($this->list($name) as $item) {
            $all[] = is_array($item) ? new self($item) : throw self::wrong($name);
        }
        return $all;
    }

    /** @return list<string> */
    public function strings(string $name): array
    {
        $all = [];
        foreach ($this->list($name) as $item) {
            $all[] = is_string($item) ? $item : throw self::wrong($name);
        }
        return $all;
    }

    /** @return list<mixed> */
    private function list(string $name): array
    {
        $value = $this->mixed($name);
        return is_array($value) && array_is_list($value) ? $value : throw self::wrong($name);
    }

    private static function wrong(string $name): EnckeException
    {
        return new EnckeException('bad_answer', "the answer has no $name, or one that is none");
    }
}
