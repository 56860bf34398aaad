<?php

declare(strict_types=1);

namespace Encke\Test;

use Encke\ConnectionException;
use Encke\EnckeException;
use Encke\Http\StreamTransport;
use Encke\Http\Transport;
use Encke\Message;
use Encke\Patience;
use Encke\Test\support\Fake;
use Encke\Test\support\Process;
use PHPUnit\Framework\TestCase;

/** What a client makes of a server that is not well: each over both transports. */
abstract class TransportCase extends TestCase
{
    abstract protected function transport(?string $caFile = null): Transport;

    /** A case: what the fake does, what the client does, and how often the fake has seen it. */
    private function check(string $behaviours, string $call, string $want, int $times): void
    {
        $fake = new Fake(explode(' ', $behaviours));
        $client = $fake->client($this->transport());
        try {
            match ($call) {
                'push' => $client->publish('a', 1),
                'push without id' => $client->publish('a', 1, id: false),
                'bytes' => $client->publishBytes('a', 'x'),
                'bytes without id' => $client->publishBytes('a', 'x', id: false),
                'batch' => $client->publishMany([Message::toChannel('a', 1)]),
                'batch with one without id' => $client->publishMany([Message::toChannel('a', 1), Message::toChannel('a', 1, id: false)]),
                'users without id' => $client->toUsers(['1', '2'], 1, id: false),
                'read' => $client->stats(),
                'disconnect' => $client->disconnect('1'),
                'delete' => $client->emptyMailbox('1'),
                'forget' => $client->forget('a'),
                'revoke' => $client->revokeUser('1'),
            };
            $got = 'fine';
        } catch (EnckeException $e) {
            $got = $e->code;
        }
        $requests = $fake->requests();
        $fake->stop();
        self::assertSame("$want, $times", "$got, " . count($requests), "$call of a server that does: $behaviours");
        self::assertCount($times === 0 ? 0 : 1, array_unique(array_column($requests, 'body')), 'what is sent again is the same');
    }

    public function testWhatIsSentAgain(): void
    {
        foreach (['push', 'bytes', 'read', 'batch'] as $call) {
            $ok = $call === 'batch' ? 'lines' : 'ok';
            $this->check("closed $ok", $call, 'fine', 2);
            $this->check("half $ok", $call, 'fine', 2);
            $this->check("busy $ok", $call, 'fine', 2);
        }
        $this->check('half-head ok', 'push', 'fine', 2);
        $this->check('half-headers ok', 'push', 'fine', 2);
        $this->check('hang ok', 'push', 'fine', 2);
        $this->check('proxy busy ok', 'push', 'fine', 3);
        $this->check('hang', 'push', 'timeout', 3);
        $this->check('closed', 'read', 'cut_off', 3);
        $this->check('busy', 'push', 'overloaded', 3);
    }

    public function testWhatIsNeverSentAgain(): void
    {
        foreach (['push without id', 'bytes without id', 'batch with one without id', 'users without id', 'disconnect', 'delete', 'forget', 'revoke'] as $call) {
            $this->check('closed ok', $call, 'cut_off', 1);
            $this->check('half ok', $call, 'cut_off', 1);
            $this->check('busy ok', $call, 'overloaded', 1);
        }
        $this->check('hang ok', 'push without id', 'timeout', 1);
        $this->check('proxy ok', 'push without id', 'http_502', 1);
        $this->check('internal ok', 'push', 'internal', 1);
        $this->check('rubbish ok', 'push', 'bad_answer', 1);
        $this->check('rubbish ok', 'push without id', 'bad_answer', 1);
        $this->check('huge ok', 'read', 'bad_answer', 1);
        $this->check('html ok', 'push', 'bad_answer', 1);
        $this->check('list ok', 'read', 'bad_answer', 1);
        $this->check('wrong ok', 'push', 'bad_answer', 1);
        $this->check('moved ok', 'read', 'http_301', 1);
        $this->check('lines ok', 'batch with one without id', 'bad_answer', 1);
    }

    public function testAnswersOfAnyForm(): void
    {
        foreach (['ok', 'ok-close', 'continue', 'chunked', 'unframed'] as $form) {
            $this->check($form, 'push', 'fine', 1);
        }
    }

    /** libcurl by itself sends a POST again when a connection that it had kept ends without an answer: twice is once too often. */
    public function testNothingIsSentTwiceOverAKeptConnection(): void
    {
        $fake = new Fake(['ok', 'closed', 'ok']);
        $client = $fake->client($this->transport());
        $client->publish('a', 1);
        try {
            $client->publish('a', 2, id: false);
            self::fail('a push that nobody answered is no success');
        } catch (ConnectionException $e) {
            self::assertTrue($e->sent);
        }
        self::assertCount(2, $fake->requests());
    }

    public function testAConnectionThatWasClosedWhileIdleHarmsNothing(): void
    {
        $fake = new Fake('ok-closed');
        $client = $fake->client($this->transport(), new Patience(retries: 0));
        for ($i = 0; $i < 5; $i++) {
            $client->publish('a', $i);
            usleep(5000 * ($i % 2)); // closed before the next push, or while it is on its way
            $client->publish('a', $i, id: false);
        }
        self::assertLessThanOrEqual(15, count($fake->requests())); // those on their way are sent once more
        self::assertGreaterThanOrEqual(10, count($fake->requests()));
    }

    /** What comes behind an answer is not the answer to the next request. libcurl 7.88 sees that only of what comes along with it. */
    public function testAnAnswerTooMany(): void
    {
        $behaviours = $this->transport() instanceof StreamTransport ? ['stray' => 0, 'stray-later' => 20_000] : ['stray' => 0];
        foreach ($behaviours as $behaviour => $wait) {
            $fake = new Fake($behaviour);
            $client = $fake->client($this->transport());
            for ($i = 0; $i < 5; $i++) {
                self::assertSame(1, $client->publish('a', $i)->offset);
                usleep($wait);
            }
        }
    }

    /** libcurl asks before it sends a large body, and waits a second for the answer. */
    public function testALargeBodyIsSentAtOnce(): void
    {
        $fake = new Fake('ok');
        $fake->client($this->transport(), new Patience(answer: 5))->publish('a', str_repeat('x', 3_000_000));
        self::assertStringNotContainsStringIgnoringCase("\r\nExpect:", $fake->requests()[0]['head']);
        self::assertSame(3_000_000, strlen(json_decode($fake->requests()[0]['body'], true)['data']));
    }

    public function testKeepAlive(): void
    {
        $fake = new Fake('ok');
        $client = $fake->client($this->transport());
        for ($i = 0; $i < 20; $i++) {
            $client->publish('a', $i);
        }
        self::assertSame([1], array_values(array_unique(array_column($fake->requests(), 'connection'))));
    }

    public function testRetryAfterIsWaitedFor(): void
    {
        $fake = new Fake(['busy:1', 'ok']);
        $fake->client($this->transport())->publish('a', 1);
        [$first, $second] = array_column($fake->requests(), 'time');
        self::assertGreaterThanOrEqual(1, $second - $first);

        foreach (['busy:60', 'busy-date:60'] as $long) { // longer than the client has time for: it says so at once
            $fake = new Fake([$long, 'ok']);
            $began = microtime(true);
            try {
                $fake->client($this->transport())->publish('a', 1);
                self::fail('it was to wait');
            } catch (EnckeException $e) {
                self::assertSame(['overloaded', 503], [$e->code, $e->status]);
                self::assertEqualsWithDelta(60, $e->retryAfter, 1.5);
            }
            self::assertLessThan(2, microtime(true) - $began);
            self::assertCount(1, $fake->requests());
        }
    }

    public function testTheWholeHasATimeToo(): void
    {
        $fake = new Fake('hang');
        $began = microtime(true);
        try {
            $fake->client($this->transport(), new Patience(answer: 0.6, total: 0.8, retries: 100, pause: 0.01))->publish('a', 1);
            self::fail('nobody answers');
        } catch (ConnectionException $e) {
            self::assertSame('timeout', $e->code);
        }
        self::assertLessThan(1.15, microtime(true) - $began);
        self::assertCount(2, $fake->requests());
    }

    public function testNobodyThere(): void
    {
        $port = Process::freePort();
        foreach ([null, false] as $id) { // what was not sent may be sent again in any case, and fails soon
            $began = microtime(true);
            try {
                (new \Encke\Client("http://127.0.0.1:$port", transport: $this->transport()))->publish('a', 1, id: $id);
                self::fail('nobody is there');
            } catch (ConnectionException $e) {
                self::assertSame(['unreachable', 0, false, $e->code], [$e->code, $e->status, $e->sent, $e->getCode()]);
            }
            $took = microtime(true) - $began;
            self::assertTrue($took > 0.14 && $took < 1, "$took s");
        }
        $name = new \Encke\Client('http://nobody.invalid:1', patience: new Patience(retries: 0), transport: $this->transport());
        self::assertFalse($name->ready());
    }

    public function testNoHeaderIsSmuggledIn(): void
    {
        $fake = new Fake('ok');
        $client = $fake->client($this->transport());
        foreach (["text/plain\r\nX: y", "text/plain\n", "a\0b"] as $type) {
            try {
                $client->publishBytes('a', 'x', $type);
                self::fail('sent');
            } catch (EnckeException $e) {
                self::assertSame('bad_request', $e->code);
            }
        }
        $client->publishBytes("a/../b?c#d\r\n", 'x', event: "e&f=\r\n");
        self::assertStringStartsWith('POST /channels/a%2F..%2Fb%3Fc%23d%0D%0A?event=e%26f%3D%0D%0A HTTP/1.1', $fake->requests()[0]['head']);
        self::assertCount(1, $fake->requests());
    }

    public function testAPathBeforeTheAPIAndAKeyWithTheEndOfALine(): void
    {
        $fake = new Fake('ok');
        $client = new \Encke\Client("http://127.0.0.1:$fake->port/encke/", "the key\n", transport: $this->transport());
        $client->publish('a', 1);
        self::assertStringStartsWith("POST /encke/publish HTTP/1.1\r\n", $fake->requests()[0]['head']);
        self::assertStringContainsString("\r\nAuthorization: Bearer the key\r\n", $fake->requests()[0]['head'] . "\r\n");
        self::assertStringContainsString("\r\nHost: 127.0.0.1:$fake->port\r\n", $fake->requests()[0]['head'] . "\r\n");
    }

    public function testTLS(): void
    {
        $pem = (string) tempnam(sys_get_temp_dir(), 'encke-php-');
        exec("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1 -keyout $pem.key -out $pem 2>&1", $out, $failed);
        if ($failed !== 0) {
            self::markTestSkipped('no openssl: ' . implode("\n", $out));
        }
        file_put_contents("$pem.both", file_get_contents($pem) . file_get_contents("$pem.key"));
        $fake = new Fake('ok', "$pem.both");
        $client = fn (string $url, ?string $caFile) => new \Encke\Client("$url:$fake->port", patience: new Patience(retries: 0), transport: $this->transport($caFile));
        $trusting = $client('https://127.0.0.1', $pem);
        foreach ([1, 'a long one' => str_repeat('x', 500_000)] as $data) {
            self::assertSame(1, $trusting->publish('a', $data)->offset);
        }
        self::assertSame([1, 1], array_column($fake->requests(), 'connection'));
        foreach ([$client('https://127.0.0.1', null), $client('https://localhost', $pem)] as $wary) { // not trusted; of another name
            try {
                $wary->publish('a', 1);
                self::fail('the key was shown to a stranger');
            } catch (ConnectionException $e) {
                self::assertSame(['unreachable', false], [$e->code, $e->sent]);
            }
        }
        self::assertCount(2, $fake->requests());
        array_map(unlink(...), [$pem, "$pem.key", "$pem.both"]);
    }

    /** A worker that forks: two processes on one connection would take each other's answers. */
    public function testAForkHasAConnectionOfItsOwn(): void
    {
        if (!function_exists('pcntl_fork')) {
            self::markTestSkipped('no pcntl');
        }
        $fake = new Fake('ok');
        $client = $fake->client($this->transport());
        $client->publish('a', 'parent');
        $child = pcntl_fork();
        if ($child === 0) {
            $client->publish('a', 'child');
            posix_kill((int) getmypid(), SIGKILL); // without the shutdown functions of the parent
        }
        pcntl_waitpid($child, $status);
        $client->publish('a', 'parent');
        self::assertSame([1, 2, 1], array_column($fake->requests(), 'connection'));
    }
}
