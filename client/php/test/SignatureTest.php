<?php

declare(strict_types=1);

namespace Encke\Test;

use Encke\EnckeException;
use Encke\Hook;
use Encke\Webhook;
use PHPUnit\Framework\TestCase;

final class SignatureTest extends TestCase
{
    private const SECRET = 'a secret of webhooks';
    private const BODY = '{"epoch":"k3f9zq","batch":17,"events":[{"n":123,"event":"user_online","user":"42","time":1795224000123}]}';

    private static function mac(string $time, string $body = self::BODY, string $secret = self::SECRET): string
    {
        return hash_hmac('sha256', "$time.$body", $secret);
    }

    public function testVerify(): void
    {
        $now = 1_795_224_000;
        $m = self::mac("$now");
        $check = static fn (bool $want, string $header, string $body = self::BODY, string|array $secret = self::SECRET, int $tolerance = 300)
            => self::assertSame($want, Webhook::verify($secret, $header, $body, $tolerance, $now), $header);
        $check(true, "t=$now,v1=$m");
        $check(true, "v1=$m,t=$now");
        $check(true, "t=$now,v1=" . strtoupper($m));
        $check(true, "t=$now,v1=" . str_repeat('0', 64) . ",v1=$m");
        $check(true, "t=$now,v1=$m,v1=rubbish,v2=x,y");
        $check(true, "t=$now,v1=$m", secret: ['another of those secrets', self::SECRET]);
        $check(false, "t=$now,v1=$m", secret: 'another of those secrets');
        $check(false, "t=$now,v1=$m", self::BODY . ' ');
        $check(false, "t=$now,v1=" . substr($m, 0, 63));
        $check(false, "t=$now,v1=$m" . '0');
        $check(false, "t=$now,v1= $m");
        $check(false, "t=$now,v2=$m");
        $check(false, "t=$now");
        $check(false, "t=$now,t=$now,v1=$m");
        $check(false, "v1=$m");
        $check(false, "v1=" . self::mac(''), self::BODY);
        $check(false, 't=,v1=' . self::mac(''));
        $check(false, "t=-$now,v1=" . self::mac("-$now"));
        $check(false, "t={$now}\n,v1=" . self::mac("$now\n"));
        $check(false, 't=1e9,v1=' . self::mac('1e9'));
        $check(false, '');
        $check(false, ',=,t,v1');
        foreach ([0 => true, -300 => true, 300 => true, -301 => false, 301 => false] as $off => $want) {
            $t = (string) ($now + $off);
            $check($want, "t=$t,v1=" . self::mac($t));
        }
    }

    public function testASecretThatIsNoneIsRefused(): void
    {
        $this->expectException(\InvalidArgumentException::class); // anybody could sign with a variable that is not set
        Webhook::verify('', 't=1,v1=' . hash_hmac('sha256', '1.x', ''), 'x', 300, 1);
    }

    public function testEvents(): void
    {
        $t = (string) time();
        $webhook = Webhook::of(self::SECRET, "t=$t,v1=" . self::mac($t), self::BODY);
        [$event] = $webhook->events;
        self::assertSame(['k3f9zq', 17, 123, 'user_online', '42', null], [$webhook->epoch, $webhook->batch, $event->n, $event->event, $event->user, $event->channel]);
        self::assertTrue($event->isNewerThan(null, null));
        self::assertTrue($event->isNewerThan('another', 500));
        self::assertTrue($event->isNewerThan('k3f9zq', 122));
        self::assertFalse($event->isNewerThan('k3f9zq', 123));
        foreach (['bad_time' => '1000', 'bad_signature' => ''] as $code => $t) {
            try {
                Webhook::of(self::SECRET, "t=$t,v1=" . self::mac($t), self::BODY);
                self::fail($code);
            } catch (EnckeException $e) {
                self::assertSame($code, $e->code);
            }
        }
    }

    public function testAnswersOfAHook(): void
    {
        self::assertSame('{"allow":true}', Hook::allowed());
        self::assertSame('{"allow":true,"data":["ü",1.0]}', Hook::allowedWith(['ü', 1.0]));
        self::assertSame('{"allow":false}', Hook::refused());
        self::assertSame('{"allow":false,"reason":"not \"here\""}', Hook::refused('not "here"'));
        $this->expectException(EnckeException::class);
        Hook::allowedWith(null);
    }
}
