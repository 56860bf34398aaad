<?php

declare(strict_types=1);

namespace Encke\Test;

use Encke\Client;
use Encke\ConnectionException;
use Encke\EnckeException;
use Encke\Http\Transport;
use Encke\Mailbox;
use Encke\Message;
use Encke\Patience;
use Encke\Published;
use Encke\Test\support\Encke;
use Encke\Test\support\Process;
use Encke\Token;
use PHPUnit\Framework\TestCase;

/** Every method against a real server: each over both transports. */
abstract class ClientCase extends TestCase
{
    private static ?Encke $server = null;
    private Client $encke;

    abstract protected function transport(): Transport;

    public static function setUpBeforeClass(): void
    {
        self::$server = new Encke(['--max-message-size', '64KiB', '--user-grace', '300ms']);
    }

    public static function tearDownAfterClass(): void
    {
        self::$server?->stop();
        self::$server = null;
    }

    protected function setUp(): void
    {
        $this->encke = self::$server->client($this->transport());
    }

    /** @param array<int|string, string|string[]> $channels */
    private static function token(string|int $user, array $channels = [], mixed $info = null, ?string $id = null): string
    {
        return Token::make(Encke::SECRET, $user, $channels, 600, $info, $id);
    }

    /** The code of the error that a call ends with, and its status. */
    private static function refusal(callable $call): string
    {
        try {
            $call();
            return 'fine';
        } catch (EnckeException $e) {
            self::assertNotSame('', $e->text);
            self::assertSame("$e->code: $e->text", $e->getMessage());
            return "$e->code $e->status";
        }
    }

    public function testPublish(): void
    {
        $page = self::$server->follow('channels=p');
        $first = $this->encke->publish('p', ['text' => 'grüße', 'n' => 1.0, 'none' => null, 'list' => [1, 2], 'slash' => '</script>'], event: 'greeting');
        self::assertSame(['p', 1, null, 1], [$first->channel, $first->offset, $first->mail, $first->subscribers]);
        $got = $page->next();
        self::assertSame(['p', 1, $first->position, 'greeting'], [$got['channel'], $got['offset'], $got['position'], $got['event']]);
        self::assertSame(['text' => 'grüße', 'n' => 1.0, 'none' => null, 'list' => [1, 2], 'slash' => '</script>'], $got['data']);
        foreach (['text', '', null, 0, false, [], new \stdClass(), '0'] as $data) {
            $this->encke->publish('p', $data);
            self::assertEquals(json_decode(json_encode($data), true), $page->next()['data']);
        }
        $page->close();
    }

    public function testPublishBytes(): void
    {
        $page = self::$server->follow('channels=b');
        $image = random_bytes(1000);
        $this->encke->publishBytes('b', $image, 'image/png', event: 'a picture & more', ttl: 30);
        $got = $page->next();
        self::assertSame(['image/png', 'base64', 'a picture & more'], [$got['type'], $got['encoding'], $got['event']]);
        self::assertSame($image, base64_decode($got['data'], true));
        $this->encke->publishBytes('b', 'grüße', 'text/plain', id: 'an-id', expect: $got['position']);
        self::assertSame('grüße', $page->next()['data']);
        $this->encke->publishBytes('b', '{"n":10000000000000000000000}', 'application/json');
        [$picture, $text, $json] = $this->encke->historyPage('b')->publications;
        self::assertSame([$image, 'grüße'], [$picture->bytes(), $text->bytes()]);
        self::assertSame(['n' => 1e22], $json->data);
        $page->close();
    }

    public function testAPushMadeAgainIsOneMessage(): void
    {
        $a = $this->encke->publish('again', 1, id: 'x');
        self::assertEquals($a, $this->encke->publish('again', 1, id: 'x'));
        self::assertSame('id_reused 409', self::refusal(fn () => $this->encke->publish('again', 2, id: 'x')));
        self::assertSame('bad_id 400', self::refusal(fn () => $this->encke->publish('again', 2, id: 'ü')));
        $message = Message::toChannel('again', 'made once');
        self::assertEquals($this->encke->push($message), $this->encke->push($message));
        $twice = [$this->encke->publish('again', 3, id: false), $this->encke->publish('again', 3, id: false), $this->encke->publish('again', 3)];
        self::assertSame([3, 4, 5], array_column($twice, 'offset'));
    }

    public function testExpect(): void
    {
        $first = $this->encke->publish('doc', 'a', expect: '0');
        self::assertSame('conflict 412', self::refusal(fn () => $this->encke->publish('doc', 'b', expect: '0')));
        self::assertSame(2, $this->encke->publish('doc', 'b', expect: $first->position)->offset);
        self::assertSame('bad_since 400', self::refusal(fn () => $this->encke->publish('doc', 'b', expect: 'x')));
    }

    public function testTTL(): void
    {
        $this->encke->publish('short', 1, ttl: '1ms');
        $this->encke->publish('short', 2, ttl: 60);
        $this->encke->publish('short', 3, ttl: 0.001);
        usleep(20_000);
        $page = $this->encke->historyPage('short');
        self::assertSame([2], array_column($page->publications, 'data'));
        self::assertSame(['expired'], array_column($page->gaps, 'reason'));
        self::assertSame('bad_ttl 400', self::refusal(fn () => $this->encke->publish('short', 1, ttl: -1)));
    }

    public function testPublishTo(): void
    {
        $results = $this->encke->publishTo(['t1', '$stats', 't2'], 'x', event: 'e');
        self::assertSame(['t1', 'reserved_channel', 't2'], array_map(fn ($r) => $r instanceof Published ? $r->channel : $r->code, $results));
        self::assertSame([], $this->encke->publishTo([], 'x'));
    }

    public function testPublishMany(): void
    {
        $messages = function (): \Generator {
            yield Message::toChannel('m1', 'a', event: 'e');
            yield Message::toChannel('not a name', 'b');
            yield Message::toUser(7, "c\nd");
            yield Message::toChannel('m1', "\xff");
            yield Message::toUser('8', 'e', mailbox: Mailbox::Away);
            yield Message::toChannel('m1', str_repeat('x', 70_000));
            yield Message::toChannel('m1', 'f', ttl: '1s', expect: '0');
            yield Message::toChannel('m1', 'g');
        };
        $before = $this->encke->stats()['messages']['requests'];
        $results = $this->encke->publishMany($messages());
        self::assertSame(2, $this->encke->stats()['messages']['requests'] - $before, 'it is one request, and the one that asks');
        $told = array_map(fn ($r) => $r instanceof Published ? $r->channel . ($r->mail === null ? " $r->offset" : ' letter') : $r->code, $results);
        self::assertSame(['m1 1', 'bad_channel', 'user:7 1', 'bad_data', 'user:8 letter', 'message_too_large', 'conflict', 'm1 2'], $told);
        self::assertSame([], $this->encke->publishMany([]));

        $many = $this->encke->publishMany(array_map(fn (int $i) => Message::toChannel('many', $i), range(1, 5000)));
        self::assertSame(range(1, 5000), array_column($many, 'offset'));
        $large = array_fill(0, 140, Message::toChannel('large', str_repeat('x', 65_000), id: false));
        self::assertSame('body_too_large 413', self::refusal(fn () => $this->encke->publishMany($large)));
    }

    public function testUsers(): void
    {
        $phone = self::$server->follow('channels=&token=' . self::token(42));
        $laptop = self::$server->follow('channels=&token=' . self::token(42));
        self::assertSame(2, $this->encke->toUser(42, ['you' => 'have won'], event: 'prize')->subscribers);
        self::assertSame(['you' => 'have won'], $phone->next()['data']);
        self::assertSame('prize', $laptop->next()['event']);
        $results = $this->encke->toUsers([42, '43', 'no/body'], 'all');
        self::assertSame([2, 0, 'bad_user'], array_map(fn ($r) => $r instanceof Published ? $r->subscribers : $r->code, $results));
        self::assertSame([], $this->encke->toUsers([], 'all'));

        $state = $this->encke->online(42);
        self::assertSame(['42', true, 2], [$state->user, $state->online, $state->connections]);
        self::assertEqualsWithDelta(time() * 1000, $state->lastSeen, 5000);
        $states = $this->encke->online(['43', 42]);
        self::assertSame(['43' => false, '42' => true], array_map(fn ($s) => $s->online, $states));
        self::assertNull($states['43']->lastSeen);
        self::assertSame([], $this->encke->online([]));
        self::assertCount(10_001, $this->encke->online(range(1, 10_001)), 'more than one question may ask about');
        self::assertSame('bad_user 400', self::refusal(fn () => $this->encke->online('no/body')));

        self::assertSame(2, $this->encke->disconnect(42));
        $phone->ended();
        $laptop->ended();
        Process::until(fn () => $this->encke->online(42)->connections === 0, 'they are still counted');
        self::assertSame(0, $this->encke->disconnect(42));
        foreach ([fn () => $this->encke->toUser('', 1), fn () => $this->encke->online(''), fn () => $this->encke->emptyMailbox('')] as $toNobody) {
            self::assertSame('bad_user 0', self::refusal($toNobody));
        }
    }

    public function testMailbox(): void
    {
        $letters = [];
        foreach (['a', 'b', 'c', 'd'] as $data) {
            $letters[] = $this->encke->toUser('away', $data, mailbox: Mailbox::Away);
        }
        self::assertNull($letters[0]->offset);
        self::assertSame(1, $this->encke->toUser('away', 'no letter')->offset);
        $box = $this->encke->mailbox('away', limit: 3);
        self::assertSame(['away', 4, true, 3], [$box->user, $box->total, $box->more, count($box)]);
        $rest = $this->encke->mailbox('away', after: $box->letters[2]->mail);
        self::assertSame([false, $letters[3]->mail, 'd'], [$rest->more, $rest->letters[0]->mail, $rest->letters[0]->data]);
        self::assertSame(0, $this->encke->deleteLetters('away', []), 'no list of letters means all');
        self::assertSame(2, $this->encke->deleteLetters('away', [$letters[0]->mail, $letters[2]->mail, 1]));

        $page = self::$server->follow('channels=&token=' . self::token('away'));
        self::assertSame(['b', 'd'], [$page->next()['data'], $page->next()['data']]);
        self::assertNotNull($this->encke->toUser('away', 'she is here', mailbox: Mailbox::Away)->offset);
        self::assertNotNull($this->encke->toUser('away', 'a letter all the same', mailbox: Mailbox::Always)->mail);
        $page->close();
        self::assertSame(3, $this->encke->emptyMailbox('away'));
        self::assertCount(0, $this->encke->mailbox('away'));
        self::assertSame('bad_limit 400', self::refusal(fn () => $this->encke->mailbox('away', limit: 0)));
    }

    public function testChannelAndForget(): void
    {
        self::assertNull($this->encke->channel('none'));
        self::assertFalse($this->encke->forget('none'));
        self::assertSame('bad_channel 400', self::refusal(fn () => $this->encke->channel('no/channel')));
        $p = $this->encke->publish('c', 'x');
        $state = $this->encke->channel('c');
        self::assertSame(['c', $p->position, 1, 0, 1], [$state->channel, $state->position, $state->offset, $state->subscribers, $state->historyLength]);
        self::assertGreaterThan(0, $state->historyBytes);
        self::assertTrue($this->encke->forget('c'));
        self::assertCount(0, $this->encke->historyPage('c'));
        foreach (['..', '.', 'a=b+c$d:e@f~!', '0'] as $name) {
            $this->encke->publish($name, 'x');
            self::assertSame($name, $this->encke->channel($name)->channel);
            self::assertTrue($this->encke->forget($name));
        }
    }

    public function testHistory(): void
    {
        $this->encke->publishMany(array_map(fn (int $i) => Message::toChannel('h', $i), range(1, 95)));
        $pages = iterator_to_array($this->encke->history('h', limit: 10), false);
        self::assertSame([10, 10, 10, 10, 10, 10, 10, 10, 10, 5], array_map(count(...), $pages));
        $all = array_merge(...array_map(fn ($page) => array_column(iterator_to_array($page), 'data'), $pages));
        self::assertSame(range(1, 95), $all);
        $page = $this->encke->historyPage('h', $pages[8]->position);
        self::assertSame([range(91, 95), true], [array_column($page->publications, 'data'), $page->recovered]);
        self::assertFalse($this->encke->historyPage('h', 'another.5')->recovered);
        self::assertCount(1, iterator_to_array($this->encke->history('nothing'), false));
        self::assertSame('bad_limit 400', self::refusal(fn () => $this->encke->history('h', limit: 1001)->current()));

        $read = 0;
        foreach ($this->encke->history('h', limit: 10) as $page) { // of a channel that grows as fast as it is read
            $read += count($page);
            $this->encke->publishMany(array_map(fn (int $i) => Message::toChannel('h', $i), range(1, 5)));
        }
        self::assertLessThanOrEqual(110, $read);
        self::assertGreaterThanOrEqual(95, $read);
    }

    public function testPresence(): void
    {
        $ada = self::$server->follow('channels=room&token=' . self::token('ada', [], ['name' => 'Ada']));
        $eve = self::$server->follow('channels=room&token=' . self::token('eve'));
        $nobody = self::$server->follow('channels=room');
        $here = $this->encke->presence('room');
        self::assertSame(['room', 2, 3, false], [$here->channel, $here->users, $here->connections, $here->tooMany]);
        $members = array_column($here->members, 'info', 'user');
        ksort($members);
        self::assertSame(['ada' => ['name' => 'Ada'], 'eve' => null], $members);
        self::assertSame([2, null], [$this->encke->presence('room', counts: true)->users, $this->encke->presence('room', counts: true)->members]);
        $changes = self::$server->follow('channels=$presence:room&since=' . $here->position);
        $eve->close();
        self::assertSame(['eve'], $changes->next()['data']['leave']);
        self::assertSame('no_presence 404', self::refusal(fn () => $this->encke->presence('user:1')));
        [$ada->close(), $nobody->close(), $changes->close()];
    }

    public function testRevoke(): void
    {
        [$one, $other] = [self::token('rev', id: 'phone'), self::token('rev', id: 'laptop')];
        $phone = self::$server->follow("channels=&token=$one");
        $laptop = self::$server->follow("channels=&token=$other");
        $this->encke->revokeToken('phone', 3600);
        $phone->ended();
        Process::until(fn () => $this->encke->toUser('rev', 1)->subscribers === 1, 'the other one has to stay');
        self::assertSame(401, self::$server->follow("channels=&token=$one")->status);
        $this->encke->revokeUser('rev', '1h');
        $laptop->ended();
        self::assertSame(401, self::$server->follow("channels=&token=$other")->status);
        self::assertSame('bad_message 400', self::refusal(fn () => $this->encke->revokeToken('x', 'a while')));
    }

    public function testTokensOpenWhatTheySay(): void
    {
        $server = self::$server->follow('channels=user:rights,a,77&token=' . self::token('rights', ['a', 77 => ['subscribe'], 'chat:*' => ['subscribe', 'publish']]));
        self::assertSame(200, $server->status);
        self::assertSame(403, self::$server->follow('channels=user:other&token=' . self::token('rights'))->status);
        self::assertSame(401, self::$server->follow('channels=a&token=' . Token::make(Encke::SECRET, 1, expires: -1))->status);
        self::assertSame(401, self::$server->follow('channels=a&token=' . Token::make(str_repeat('x', 32), 1))->status);
        self::assertSame(200, self::$server->follow('channels=a&token=' . Token::make(Encke::SECRET, 1, expires: new \DateTimeImmutable('+1 hour')))->status);
        $server->close();
    }

    public function testStatsAndReady(): void
    {
        self::assertTrue($this->encke->ready());
        self::assertGreaterThan(0, $this->encke->stats()['messages']['requests']);
    }

    public function testKeys(): void
    {
        $other = self::$server->client($this->transport(), 'another key of 16');
        self::assertSame('bad_key 401', self::refusal(fn () => $other->publish('a', 1)));
        self::assertSame('bad_key 401', self::refusal(fn () => self::$server->client($this->transport(), '')->stats()));
        self::assertTrue($other->ready());
    }

    public function testDataThatIsNoJSON(): void
    {
        foreach (["\xff", NAN, fopen('php://memory', 'r')] as $data) {
            self::assertSame('bad_data 0', self::refusal(fn () => $this->encke->publish('a', $data)));
        }
    }

    public function testTheServerCountsOneConnection(): void
    {
        $this->encke->stats();
        $accepted = fn () => array_sum(array_column($this->encke->stats()['loops'], 'accepted'));
        $before = $accepted();
        for ($i = 0; $i < 50; $i++) {
            $this->encke->publish('kept', $i);
            $this->encke->publishBytes('kept', 'x');
            $this->encke->publishMany([Message::toChannel('kept', 1), Message::toChannel('kept', 2)]);
            $this->encke->online(['1', '2']);
            $this->encke->historyPage('kept');
            self::refusal(fn () => $this->encke->publish('not a name', 1)); // a refusal costs no connection
        }
        self::assertSame(0, $accepted() - $before);
    }

    public function testAServerThatDiesAndComesBack(): void
    {
        $server = new Encke();
        $encke = $server->client($this->transport(), patience: new Patience(total: 15, retries: 100, pause: 0.02));
        $before = $encke->publish('a', 1);
        $server->stop(9);
        self::assertSame('unreachable', explode(' ', self::refusal(fn () => $server->client($this->transport())->publish('a', 2)))[0]);
        self::assertFalse($encke->ready());
        $later = pcntl_fork();
        if ($later === 0) {
            usleep(700_000);
            posix_kill(posix_getppid(), SIGUSR1);
            posix_kill((int) getmypid(), SIGKILL);
        }
        pcntl_async_signals(true);
        pcntl_signal(SIGUSR1, fn () => $server->start());
        $after = $encke->publish('a', 2); // tries until it is back
        pcntl_waitpid($later, $status);
        self::assertSame(1, $after->offset);
        self::assertNotSame(explode('.', $before->position)[0], explode('.', $after->position)[0], 'another process, another epoch');
        self::assertFalse($encke->historyPage('a', $before->position)->recovered);
        $server->stop();
        self::assertFalse($encke->ready());
    }

    /** Killed again and again under a worker that pushes: whatever was answered is there, once. */
    public function testNothingTwiceAndNothingLostUnderCuts(): void
    {
        $proxy = new support\CuttingProxy(self::$server->backendPort);
        $encke = new Client("http://127.0.0.1:$proxy->port", Encke::KEY, new Patience(total: 10, retries: 50, pause: 0.005), $this->transport());
        $this->encke->forget('cut');
        $unsure = 0;
        for ($i = 0; $i < 60; $i++) {
            $encke->publish('cut', $i);
            try {
                $encke->publish('cut', "once $i", id: false);
            } catch (ConnectionException $e) {
                self::assertTrue($e->sent);
                $unsure++;
            }
        }
        $kept = [];
        foreach ($this->encke->history('cut') as $page) {
            $kept = array_merge($kept, array_column($page->publications, 'data'));
        }
        $proxy->stop();
        self::assertSame(array_unique($kept), $kept);
        self::assertSame([], array_diff(array_slice(range(0, 59), 20), $kept)); // of which history keeps a hundred
        self::assertGreaterThan(0, $unsure, 'the proxy cuts nothing');
    }
}
