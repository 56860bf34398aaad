<?php

declare(strict_types=1);

namespace Encke;

/** Makes the tokens by which clients of the public listener are known: JSON Web Tokens (RFC 7519), signed with HS256. */
final class Token
{
    /** The shortest secret in bytes that the server takes. */
    private const LEAST_SECRET = 32;

    /**
     * A token.
     *
     *     Token::make($secret, $userId, ['news', 'chat:*' => ['subscribe', 'publish', 'presence']], 3600, ['name' => 'Ada'])
     *
     * @param string                             $secret   the server's ENCKE_TOKEN_SECRET
     * @param string|int                         $sub      the user's id
     * @param array<int|string, string|string[]> $channels names, or beginnings and "*": alone, for subscribing; or as keys of lists of rights.
     *                                                     The user's own channel need not be named
     * @param int|\DateTimeInterface             $expires  seconds for which it holds, or when that ends
     * @param mixed                              $info     what others see of the user, at most 1 KiB as JSON; null: nothing
     * @param string|null                        $id       by which it can be revoked alone (jti)
     * @param array<string, mixed>               $claims   others: iss, aud, nbf
     * @throws \InvalidArgumentException where the server would not take it
     */
    public static function make(
        #[\SensitiveParameter] string $secret,
        string|int $sub,
        array $channels = [],
        int|\DateTimeInterface $expires = 3600,
        mixed $info = null,
        ?string $id = null,
        array $claims = [],
    ): string {
        if (strlen($secret) < self::LEAST_SECRET) {
            throw new \InvalidArgumentException('a token secret has at least ' . self::LEAST_SECRET . ' bytes');
        }
        if (preg_match('/^[A-Za-z0-9_\-.:@=~$+!]{1,120}$/D', (string) $sub) !== 1) {
            throw new \InvalidArgumentException("a user's id is 1 to 120 of A-Z a-z 0-9 _ - . : @ = ~ $ + !");
        }
        $now = time();
        $own = ['sub' => (string) $sub, 'iat' => $now, 'exp' => is_int($expires) ? $now + $expires : $expires->getTimestamp()];
        if ($channels !== []) {
            $own['channels'] = (object) self::rights($channels); // names that are numbers would make it a list
        }
        $own += array_filter(['info' => $info, 'jti' => $id], static fn ($x) => $x !== null);
        $signed = self::base64(Json::encode(['typ' => 'JWT', 'alg' => 'HS256'])) . '.' . self::base64(Json::encode($own + $claims));
        return $signed . '.' . self::base64(hash_hmac('sha256', $signed, $secret, true));
    }

    /**
     * @param array<int|string, string|string[]> $channels
     * @return array<int|string, list<string>>
     */
    private static function rights(array $channels): array
    {
        $all = [];
        foreach ($channels as $name => $what) {
            if (is_array($what)) {
                $all[$name] = array_values($what);
            } elseif (is_int($name)) {
                $all[$what] = ['subscribe'];
            } else {
                throw new \InvalidArgumentException("the rights in $name are a list, e.g. ['subscribe', 'publish']");
            }
        }
        return $all;
    }

    private static function base64(string $bytes): string
    {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }
}
