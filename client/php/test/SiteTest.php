<?php

declare(strict_types=1);

namespace Encke\Test;

use Encke\Test\support\Encke;
use Encke\Test\support\Process;
use Encke\Test\support\WebSocket;
use Encke\Token;
use PHPUnit\Framework\TestCase;

/** A real server that tells and asks a real PHP site. */
final class SiteTest extends TestCase
{
    private const SECRET = 'the secret of the site';

    public function testWebhooksAndHooks(): void
    {
        $log = (string) tempnam(sys_get_temp_dir(), 'encke-php-');
        $port = Process::freePort();
        $site = new Process([PHP_BINARY, '-S', "127.0.0.1:$port", __DIR__ . '/support/site.php'], ['SITE_SECRET' => self::SECRET, 'SITE_LOG' => $log]);
        $site->listening($port);
        $server = new Encke(['--webhook', "http://127.0.0.1:$port/webhook", '--hook', "http://127.0.0.1:$port/hook", '--hook-on', 'connect,publish',
            '--webhook-secret', 'the secret that it had before', '--webhook-secret', self::SECRET, '--user-grace', '50ms', '--hook-timeout', '5s']);
        $token = fn (string $user) => Token::make(Encke::SECRET, $user, ['room' => ['subscribe', 'publish']]);
        $told = fn (string $event, string $of) => Process::until(fn () => str_contains((string) file_get_contents($log), json_encode(['told', $event, $of, true])), fn () => "$event of $of was not told: " . file_get_contents($log) . $server->log());

        $refused = $server->follow('channels=room&token=' . $token('banned'));
        self::assertSame(403, $refused->status);
        $refused->close();

        $page = $server->follow('channels=room&token=' . $token('ada'));
        self::assertSame(200, $page->status);
        $told('user_online', 'ada');
        $told('channel_occupied', 'room');
        $socket = new WebSocket($server->port, 'token=' . $token('bob'));
        foreach ([['hello', 'hello'], ['darn', ['masked' => '****']]] as [$sent, $seen]) {
            $socket->send(['publish' => ['channel' => 'room', 'event' => 'said', 'data' => $sent]]);
            $got = $page->next();
            self::assertSame([$seen, 'bob', 'said'], [$got['data'], $got['user'], $got['event']]);
        }
        $page->close();
        $told('user_offline', 'ada');
        $told('channel_vacated', 'room');

        $asked = (string) file_get_contents($log);
        foreach ([['asked', 'connect', 'banned', 'sse', ['room'], null, null, null], ['asked', 'publish', 'bob', 'ws', [], 'room', 'said', 'darn']] as $question) {
            self::assertStringContainsString(json_encode($question) . "\n", $asked);
        }
        self::assertSame(401, self::forged($port));
        $server->stop(9);
        $site->stop();
        unlink($log);
    }

    /** The answer to a webhook that somebody else has signed. */
    private static function forged(int $port): int
    {
        $body = '{"epoch":"x","batch":1,"events":[]}';
        $signature = 't=' . time() . ',v1=' . hash_hmac('sha256', time() . ".$body", 'the secret of somebody else');
        $context = stream_context_create(['http' => ['method' => 'POST', 'header' => "Encke-Signature: $signature\r\nContent-Type: application/json", 'content' => $body, 'ignore_errors' => true]]);
        file_get_contents("http://127.0.0.1:$port/webhook", false, $context);
        return (int) substr($http_response_header[0], 9, 3);
    }
}
