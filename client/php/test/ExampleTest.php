<?php

declare(strict_types=1);

namespace Encke\Test;

use Encke\Test\support\Encke;
use Encke\Test\support\Process;
use PHPUnit\Framework\TestCase;

/** The classic page of example/: a form that posts to PHP, PHP that pushes, browsers that update. */
final class ExampleTest extends TestCase
{
    private Encke $server;
    private Process $site;
    private int $port;
    private string $book;

    protected function setUp(): void
    {
        $this->server = new Encke();
        $this->port = Process::freePort();
        $this->book = sys_get_temp_dir() . '/encke-book-' . bin2hex(random_bytes(4));
        $this->site = new Process([PHP_BINARY, '-S', "127.0.0.1:$this->port", '-t', dirname(__DIR__) . '/example'], [
            'ENCKE_BACKEND_URL' => $this->server->backend(),
            'ENCKE_BACKEND_KEY' => Encke::KEY,
            'ENCKE_PUBLIC_URL' => "http://127.0.0.1:{$this->server->port}",
            'GUESTBOOK_FILE' => $this->book,
        ]);
        $this->site->listening($this->port);
    }

    protected function tearDown(): void
    {
        $this->site->stop();
        $this->server->stop(9);
        @unlink($this->book);
    }

    /**
     * A request of a browser: status and body.
     *
     * @param array<string, mixed>|null $form
     * @return array{int, string}
     */
    private function browse(string $path, ?array $form = null): array
    {
        $context = stream_context_create(['http' => ['method' => $form === null ? 'GET' : 'POST', 'ignore_errors' => true, 'follow_location' => 0,
            'header' => 'Content-Type: application/x-www-form-urlencoded', 'content' => http_build_query($form ?? [])]]);
        $body = (string) file_get_contents("http://127.0.0.1:$this->port$path", false, $context);
        return [(int) substr($http_response_header[0], 9, 3), $body];
    }

    public function testPostsReachOpenPages(): void
    {
        [$status, $html] = $this->browse('/');
        self::assertSame(200, $status);
        self::assertStringContainsString('data-since="0"', $html);
        $page = $this->server->follow('channels=guestbook&since=0');
        self::assertSame(303, $this->browse('/', ['name' => 'Ada', 'text' => '<b>grüße</b>'])[0]);
        $entry = $page->next();
        self::assertSame(['entry', 'Ada', '<b>grüße</b>'], [$entry['event'], $entry['data']['name'], $entry['data']['text']]);
        $page->close();

        $html = $this->browse('/')[1];
        self::assertStringContainsString('&lt;b&gt;grüße&lt;/b&gt;', $html);
        self::assertStringNotContainsString('<b>grüße', $html);
        self::assertStringContainsString("data-since=\"{$entry['position']}\"", $html);
    }

    public function testWhatIsNoEntry(): void
    {
        foreach ([[], ['text' => ''], ['text' => " \0 "], ['text' => ['a']], ['text' => "\xff"]] as $form) {
            self::assertSame(422, $this->browse('/', $form)[0]);
        }
        $this->browse('/', ['text' => str_repeat('ü', 600), 'name' => str_repeat('n', 100)]);
        $entries = json_decode($this->browse('/?entries')[1], true)['entries'];
        self::assertSame([str_repeat('ü', 500), str_repeat('n', 40)], [$entries[0]['text'], $entries[0]['name']]);
    }

    public function testWithoutEnckeThePageStillWorks(): void
    {
        $this->server->stop(9);
        self::assertSame(303, $this->browse('/', ['text' => 'nobody hears'])[0]);
        [$status, $html] = $this->browse('/');
        self::assertSame(200, $status);
        self::assertStringContainsString('nobody hears', $html);
        self::assertStringNotContainsString('Warning', $html);
    }

    public function testInBrowsers(): void
    {
        $modules = dirname(__DIR__, 3) . '/tests/node_modules';
        exec('command -v node && command -v chromium', $found, $missing);
        if ($missing !== 0 || !is_dir("$modules/playwright-core")) {
            self::markTestSkipped('node, chromium and playwright-core are needed: npm ci in tests/');
        }
        $browsers = new Process(['node', __DIR__ . '/browsers.js', "http://127.0.0.1:$this->port/"], ['NODE_PATH' => $modules]);
        Process::until(fn () => str_contains($browsers->log(), "restart\n"), fn () => $browsers->log());
        $this->server->stop(9);
        $this->browse('/', ['text' => 'while it was away']);
        $this->server->start();
        Process::until(fn () => str_contains($browsers->log(), "fine\n"), fn () => $browsers->log());
        $browsers->stop();
        $this->addToAssertionCount(1);
    }
}
