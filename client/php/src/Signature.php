<?php

declare(strict_types=1);

namespace Encke;

/** The signature of the requests that Encke sends to the site (PROTOCOL.md "The site's backend"). */
final class Signature
{
    /** The shortest secret in bytes that the server takes. */
    private const LEAST_SECRET = 16;

    /**
     * Says nothing where the body was signed with one of the secrets, not more than the tolerance ago and not further in the future.
     *
     * @param string|string[] $secrets   the server's ENCKE_WEBHOOK_SECRET; while it is being changed the old one and the new one
     * @param string          $header    the value of Encke-Signature
     * @param string          $body      all of the body as it came: file_get_contents('php://input')
     * @param int             $tolerance seconds
     * @throws EnckeException bad_signature or bad_time: answer 401
     */
    public static function check(#[\SensitiveParameter] string|array $secrets, string $header, string $body, int $tolerance, int $now): void
    {
        [$time, $macs] = self::parse($header);
        $right = false;
        foreach ((array) $secrets as $secret) {
            if (strlen($secret) < self::LEAST_SECRET) { // an empty one, of a variable that is not set, anybody could sign with
                throw new \InvalidArgumentException('a webhook secret has at least ' . self::LEAST_SECRET . ' bytes');
            }
            $want = hash_hmac('sha256', "$time.$body", $secret);
            foreach ($macs as $mac) {
                $right = hash_equals($want, strtolower($mac)) || $right; // all are compared, each in constant time
            }
        }
        if (!$right) {
            throw new EnckeException('bad_signature', 'the signature is not one of this secret and body');
        }
        if (abs($now - (int) $time) > $tolerance) {
            throw new EnckeException('bad_time', 'the signature is of another time');
        }
    }

    /** @return array{string, list<string>} t and every v1 of a header; nothing where t is not there once, as a number */
    private static function parse(string $header): array
    {
        $times = $macs = [];
        foreach (explode(',', $header) as $part) {
            [$name, $value] = explode('=', $part, 2) + [1 => ''];
            match ($name) {
                't' => $times[] = $value,
                'v1' => $macs[] = $value,
                default => null, // of a later version
            };
        }
        $good = count($times) === 1 && preg_match('/^\d{1,18}$/D', $times[0]) === 1;
        return $good ? [$times[0], $macs] : ['', []];
    }
}
