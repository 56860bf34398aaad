<?php

declare(strict_types=1);

namespace Encke\Test;

use Encke\Token;
use PHPUnit\Framework\TestCase;

/** What is in a token; that the server takes it is shown in ClientCase. */
final class TokenTest extends TestCase
{
    private const SECRET = '0123456789abcdef0123456789abcdef';

    /** @return array<string, mixed> */
    private static function claims(string $token): array
    {
        [$head, $claims, $mac] = explode('.', $token);
        self::assertSame(['typ' => 'JWT', 'alg' => 'HS256'], self::part($head));
        self::assertSame(strtr(rtrim(base64_encode(hash_hmac('sha256', "$head.$claims", self::SECRET, true)), '='), '+/', '-_'), $mac);
        return self::part($claims);
    }

    /** @return array<string, mixed> */
    private static function part(string $text): array
    {
        self::assertMatchesRegularExpression('/^[A-Za-z0-9_-]+$/', $text);
        return json_decode((string) base64_decode(strtr($text, '-_', '+/'), true), true);
    }

    public function testClaims(): void
    {
        $token = Token::make(self::SECRET, 42, ['news', 'chat:*' => ['subscribe', 'publish'], '7' => ['presence'], '8'], 60, ['name' => 'Ädä 😀'], 'one', ['iss' => 'site', 'sub' => 'eve']);
        $claims = self::claims($token);
        self::assertSame('42', $claims['sub']);
        self::assertEqualsWithDelta(time() + 60, $claims['exp'], 2);
        self::assertEqualsWithDelta(time(), $claims['iat'], 2);
        self::assertSame(['news' => ['subscribe'], 'chat:*' => ['subscribe', 'publish'], 7 => ['presence'], 8 => ['subscribe']], $claims['channels']);
        self::assertSame([['name' => 'Ädä 😀'], 'one', 'site'], [$claims['info'], $claims['jti'], $claims['iss']]);
        self::assertSame(['sub', 'iat', 'exp'], array_keys(self::claims(Token::make(self::SECRET, 'x'))));
        $until = new \DateTimeImmutable('2040-01-01');
        self::assertSame($until->getTimestamp(), self::claims(Token::make(self::SECRET, 'x', expires: $until))['exp']);
        self::assertStringContainsString('"channels":{"0":["subscribe"]}', (string) base64_decode(strtr(explode('.', Token::make(self::SECRET, 'x', ['0']))[1], '-_', '+/')));
    }

    public function testWhatTheServerWouldNotTake(): void
    {
        $calls = [
            fn () => Token::make('', 'x'),
            fn () => Token::make(substr(self::SECRET, 1), 'x'),
            fn () => Token::make(self::SECRET, ''),
            fn () => Token::make(self::SECRET, "x\n"),
            fn () => Token::make(self::SECRET, 'a/b'),
            fn () => Token::make(self::SECRET, str_repeat('x', 121)),
            fn () => Token::make(self::SECRET, 'x', ['news' => 'subscribe']),
        ];
        foreach ($calls as $n => $call) {
            try {
                $call();
                self::fail("case $n was taken");
            } catch (\InvalidArgumentException $e) {
                self::assertNotSame('', $e->getMessage());
            }
        }
    }
}
