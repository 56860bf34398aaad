<?php

declare(strict_types=1);

namespace Encke;

use Encke\Http\CurlTransport;
use Encke\Http\Response;
use Encke\Http\Sender;
use Encke\Http\StreamTransport;
use Encke\Http\Transport;

/**
 * Encke's backend API (PROTOCOL.md "Backend listener"). One client keeps one connection: make one and use it for all calls.
 *
 * Every method throws EnckeException where the server refuses, ConnectionException where there is no whole answer. What reads, and
 * what pushes under an id, is tried again within the limits of Patience; anything else only where the server cannot have seen it.
 */
final class Client
{
    /** Users that one question may be about. */
    private const MAX_USERS = 10_000;

    private readonly Sender $sender;

    /**
     * @param string         $url       of the backend listener
     * @param string         $key       a backend key; '' where the server asks for none
     * @param Transport|null $transport null: curl, or streams where ext-curl is missing
     */
    public function __construct(
        string $url = 'http://127.0.0.1:8081',
        #[\SensitiveParameter] string $key = '',
        Patience $patience = new Patience(),
        ?Transport $transport = null,
    ) {
        if (preg_match('~^https?://[^/?#\s@]+(/[^?#\s]*)?$~Di', $url) !== 1) {
            throw new \InvalidArgumentException('the URL is http://host:port, or https://, and may have a path');
        }
        $headers = ['User-Agent' => 'encke-php/0.1', 'Accept' => 'application/json'];
        if (trim($key) !== '') { // a key out of a file has the end of a line
            $headers['Authorization'] = 'Bearer ' . trim($key);
        }
        $transport ??= extension_loaded('curl') ? new CurlTransport() : new StreamTransport();
        $this->sender = new Sender(rtrim($url, '/'), $headers, $patience, $transport);
    }

    // Pushing

    /**
     * Publishes to a channel.
     *
     * @param mixed                 $data   anything that json_encode() takes
     * @param string|null           $event  the event's name
     * @param string|false|null     $id     null: one is made up, so that the push can be made again; false: none, it is then never made again
     * @param int|float|string|null $ttl    seconds, or "500ms", after which nobody who comes later is given it
     * @param string|null           $expect the position that the channel has to be at, otherwise conflict; "0" for an empty one
     */
    public function publish(
        string $channel,
        mixed $data,
        ?string $event = null,
        string|false|null $id = null,
        int|float|string|null $ttl = null,
        ?string $expect = null,
    ): Published {
        return $this->push(Message::toChannel($channel, $data, $event, $id, $ttl, $expect));
    }

    /**
     * Publishes one message to several channels.
     *
     * @param string[] $channels
     * @return list<Published|EnckeException> in the order of the channels; an error harms no other
     */
    public function publishTo(array $channels, mixed $data, ?string $event = null, string|false|null $id = null, int|float|string|null $ttl = null): array
    {
        return $this->pushToAll(['channels' => array_values($channels)], $data, $event, $id, $ttl, Mailbox::Off);
    }

    /**
     * Publishes bytes as they are, under their own type: text, an image, JSON that is JSON already.
     *
     * @param string $type the Content-Type: what is no text, or application/octet-stream, reaches clients as base64
     */
    public function publishBytes(
        string $channel,
        string $bytes,
        string $type = 'application/octet-stream',
        ?string $event = null,
        string|false|null $id = null,
        int|float|string|null $ttl = null,
        ?string $expect = null,
    ): Published {
        $id = Message::id($id);
        $ttl = is_int($ttl) || is_float($ttl) ? $ttl . 's' : $ttl;
        $headers = ['Content-Type' => $type, 'Idempotency-Key' => $id, 'Encke-TTL' => $ttl, 'Encke-Expect' => $expect];
        $path = self::channelPath($channel) . ($event === null ? '' : '?event=' . rawurlencode($event));
        $headers = array_filter($headers, static fn ($x) => $x !== null);
        return Published::of(Fields::of($this->sender->send('POST', $path, $bytes, $headers, $id !== null)->body));
    }

    /** Pushes a message that was made before: as often as you like, it is one message. */
    public function push(Message $message): Published
    {
        return Published::of(Fields::of($this->post('/publish', $message->json(), $message->id !== null)->body));
    }

    /**
     * Pushes many messages with one request. Its size is bounded by the server's --max-body-size (8 MiB).
     *
     * @param iterable<Message> $messages
     * @return list<Published|EnckeException> in order; an error harms no other
     */
    public function publishMany(iterable $messages): array
    {
        $results = $lines = $places = [];
        $repeatable = true;
        foreach ($messages as $message) {
            $results[] = null;
            try {
                $lines[] = $message->json();
                $places[] = count($results) - 1;
                $repeatable = $repeatable && $message->id !== null;
            } catch (EnckeException $e) {
                $results[count($results) - 1] = $e;
            }
        }
        foreach ($lines === [] ? [] : $this->postLines($lines, $repeatable) as $i => $result) {
            $results[$places[$i]] = $result;
        }
        /** @var list<Published|EnckeException> */
        return $results;
    }

    /** Pushes to all connections of a user; with a mailbox also to one who is away. */
    public function toUser(
        string|int $user,
        mixed $data,
        ?string $event = null,
        string|false|null $id = null,
        int|float|string|null $ttl = null,
        Mailbox $mailbox = Mailbox::Off,
    ): Published {
        return $this->push(Message::toUser($user, $data, $event, $id, $ttl, $mailbox));
    }

    /**
     * Pushes one message to several users.
     *
     * @param array<string|int> $users
     * @return list<Published|EnckeException> in the order of the users; an error harms no other
     */
    public function toUsers(
        array $users,
        mixed $data,
        ?string $event = null,
        string|false|null $id = null,
        int|float|string|null $ttl = null,
        Mailbox $mailbox = Mailbox::Off,
    ): array {
        return $this->pushToAll(['users' => array_values(array_map(Message::user(...), $users))], $data, $event, $id, $ttl, $mailbox);
    }

    // Users

    /**
     * Whether a user is here; or, of a list of users, who of them is: states under their ids.
     *
     * @param string|int|array<string|int> $who
     * @return ($who is array ? array<string|int, UserState> : UserState)
     */
    public function online(string|int|array $who): UserState|array
    {
        if (!is_array($who)) {
            return UserState::of(Fields::of($this->get(self::userPath($who))->body));
        }
        $states = [];
        foreach (array_chunk(array_map(strval(...), $who), self::MAX_USERS) as $users) {
            $answer = Fields::of($this->post('/users', Json::encode(['users' => $users]), true)->body);
            foreach ($answer->objects('users') as $f) {
                $state = UserState::of($f);
                $states[$state->user] = $state;
            }
        }
        return $states;
    }

    /** Ends a user's connections, whose tokens still hold; says how many they were. */
    public function disconnect(string|int $user): int
    {
        return Fields::of($this->sender->send('DELETE', self::userPath($user) . '/connections')->body)->int('disconnected');
    }

    /**
     * Letters of a user that are not acknowledged.
     *
     * @param int $after those whose number is higher
     * @param int $limit 1 to 1000
     */
    public function mailbox(string|int $user, int $after = 0, int $limit = 100): Letters
    {
        return Letters::of(Fields::of($this->get(self::userPath($user) . "/mailbox?after=$after&limit=$limit")->body));
    }

    /**
     * Deletes letters by their numbers; says how many there were. None of an empty list.
     *
     * @param int[] $mails
     */
    public function deleteLetters(string|int $user, array $mails): int
    {
        if ($mails === []) {
            return 0;
        }
        return $this->deleteMailbox($user, '?only=' . implode(',', array_map(intval(...), $mails)));
    }

    /** Deletes all letters of a user; says how many there were. */
    public function emptyMailbox(string|int $user): int
    {
        return $this->deleteMailbox($user, '');
    }

    /**
     * Revokes the tokens of a user that were made until now, and ends their connections.
     *
     * @param int|string $for seconds, or "1h", for which they could still hold
     */
    public function revokeUser(string|int $user, int|string $for = '24h'): void
    {
        $this->revoke(['user' => Message::user($user)], $for);
    }

    /** Revokes the token with that id (jti), and ends its connections. */
    public function revokeToken(string $id, int|string $for = '24h'): void
    {
        $this->revoke(['id' => $id], $for);
    }

    // Channels

    /** The state of a channel; null where nobody is subscribed and nothing is kept. */
    public function channel(string $channel): ?ChannelState
    {
        try {
            return ChannelState::of(Fields::of($this->get(self::channelPath($channel))->body));
        } catch (EnckeException $e) {
            return $e->code === 'unknown_channel' ? null : throw $e;
        }
    }

    /**
     * What is kept of a channel when it is called for, oldest first, page by page.
     *
     *     foreach ($encke->history('news') as $page) foreach ($page as $publication) { … }
     *
     * @param string $since a position; "0": the beginning of what is kept
     * @param int    $limit publications of a page, 1 to 1000
     * @return \Generator<int, HistoryPage>
     */
    public function history(string $channel, string $since = '0', int $limit = 100): \Generator
    {
        $page = $this->historyPage($channel, $since, $limit);
        yield $page;
        $end = null; // where the channel was when the second page was asked for: it may grow faster than it is read
        while (count($page) + count($page->gaps) > 0) {
            [$epoch, $offset] = self::position($page->position);
            if ($end === null || $end[0] !== $epoch) {
                $state = $this->channel($channel);
                $end = $state === null ? [$epoch, $offset] : self::position($state->position);
            }
            if ($end[0] === $epoch && $offset >= $end[1]) {
                return;
            }
            $page = $this->historyPage($channel, $page->position, $limit);
            yield $page;
        }
    }

    /** One page of it: at most 1000 publications, and about 1 MiB. The rest follows from its position. */
    public function historyPage(string $channel, string $since = '0', int $limit = 100): HistoryPage
    {
        $path = self::channelPath($channel) . '/history?since=' . rawurlencode($since) . "&limit=$limit";
        return HistoryPage::of(Fields::of($this->get($path)->body));
    }

    /** Who is in a channel. Where that is not kept: no_presence. */
    public function presence(string $channel, bool $counts = false): Presence
    {
        return Presence::of(Fields::of($this->get(self::channelPath($channel) . '/presence' . ($counts ? '?counts=1' : ''))->body));
    }

    /** Forgets a channel's history; subscribers stay, offsets go on. Says whether there was such a channel. */
    public function forget(string $channel): bool
    {
        try {
            $this->sender->send('DELETE', self::channelPath($channel));
            return true;
        } catch (EnckeException $e) {
            return $e->code === 'unknown_channel' ? false : throw $e;
        }
    }

    // The server

    /**
     * Figures of the process.
     *
     * @return array<string, mixed>
     */
    public function stats(): array
    {
        return Json::object($this->get('/stats')->body);
    }

    /** Whether the server is there and takes requests, asked once; false while it shuts down. */
    public function ready(): bool
    {
        return $this->sender->ask('/readyz');
    }

    private function get(string $path): Response
    {
        return $this->sender->send('GET', $path, repeatable: true);
    }

    private function post(string $path, string $json, bool $repeatable): Response
    {
        return $this->sender->send('POST', $path, $json, ['Content-Type' => 'application/json'], $repeatable);
    }

    /**
     * @param non-empty-list<string> $lines each with one channel or user, so that each is answered by one line
     * @return list<Published|EnckeException>
     */
    private function postLines(array $lines, bool $repeatable): array
    {
        $response = $this->sender->send('POST', '/publish', implode("\n", $lines) . "\n", ['Content-Type' => 'application/x-ndjson'], $repeatable);
        $answers = explode("\n", rtrim($response->body, "\n"));
        if (count($answers) !== count($lines)) {
            throw new EnckeException('bad_answer', count($lines) . ' messages were answered by ' . count($answers) . ' lines', $response->status);
        }
        return array_map(static fn (string $line) => Published::orError(Fields::of($line)), $answers);
    }

    /**
     * @param array<string, list<string>> $to channels or users
     * @return list<Published|EnckeException>
     */
    private function pushToAll(array $to, mixed $data, ?string $event, string|false|null $id, int|float|string|null $ttl, Mailbox $mailbox): array
    {
        if (current($to) === []) {
            return [];
        }
        $id = Message::id($id);
        $answer = Fields::of($this->post('/publish', Message::object($to, $data, $event, $id, $ttl, null, $mailbox), $id !== null)->body);
        return array_map(Published::orError(...), $answer->objects('results'));
    }

    private function deleteMailbox(string|int $user, string $query): int
    {
        return Fields::of($this->sender->send('DELETE', self::userPath($user) . '/mailbox' . $query)->body)->int('deleted');
    }

    /** @param array<string, string> $what */
    private function revoke(array $what, int|string $for): void
    {
        $this->post('/tokens/revoke', Json::encode($what + ['for' => is_int($for) ? $for . 's' : $for]), false);
    }

    private static function channelPath(string $channel): string
    {
        return '/channels/' . rawurlencode($channel);
    }

    private static function userPath(string|int $user): string
    {
        return '/users/' . rawurlencode(Message::user($user));
    }

    /** @return array{string, int} epoch and offset */
    private static function position(string $text): array
    {
        [$epoch, $offset] = explode('.', $text, 2) + [1 => '0'];
        return [$epoch, (int) $offset];
    }
}
