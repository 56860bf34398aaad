<?php

declare(strict_types=1);

namespace Encke\Test;

use Encke\Client;
use Encke\EnckeException;
use Encke\Patience;
use Encke\Test\support\Encke;
use PHPUnit\Framework\TestCase;

/** Sites as they are: without curl, without Composer, with errors shown to whoever looks. */
final class PlainPHPTest extends TestCase
{
    /** @param list<string> $options */
    private static function php(array $options, string $code, string ...$arguments): string
    {
        $command = array_merge([PHP_BINARY], $options, ['-d', 'display_errors=1', '-r', 'require ' . var_export(dirname(__DIR__) . '/autoload.php', true) . "; $code", '--'], $arguments);
        exec(implode(' ', array_map(escapeshellarg(...), $command)) . ' 2>&1', $lines);
        return implode("\n", $lines);
    }

    public function testWithoutCurlStreamsAreUsed(): void
    {
        $server = new Encke();
        $code = 'echo extension_loaded("curl") ? "curl " : "no curl ", (new Encke\Client($argv[1], $argv[2]))->publish("a", 1)->offset;';
        self::assertSame('no curl 1', self::php(['-n'], $code, $server->backend(), Encke::KEY));
        self::assertSame('curl 2', self::php([], $code, $server->backend(), Encke::KEY));
        $server->stop(9);
    }

    public function testNoSecretStandsInATrace(): void
    {
        $code = 'new Encke\Client("ftp://nowhere", "the-secret-key");';
        self::assertStringNotContainsString('the-secret-key', self::php([], $code));
        self::assertStringNotContainsString('short secret', self::php([], 'Encke\Token::make("short secret", 1);'));
    }

    public function testArguments(): void
    {
        foreach (['', 'nonsense', 'ftp://x', 'http://', 'http://user@host', 'http://x/?a', "http://x\n", 'http://x y'] as $url) {
            try {
                new Client($url);
                self::fail("$url was taken");
            } catch (\InvalidArgumentException) {
            }
        }
        foreach ([['connect' => 0.0], ['answer' => -1.0], ['retries' => -1], ['pause' => -0.1]] as $wrong) {
            try {
                new Patience(...$wrong);
                self::fail('taken');
            } catch (\InvalidArgumentException) {
            }
        }
        $this->addToAssertionCount(12);
    }

    public function testPausesGrowAreRandomAndBounded(): void
    {
        $patience = new Patience(pause: 0.1);
        foreach ([1 => 0.1, 2 => 0.2, 5 => 1.6, 10 => 5.0, 1000 => 5.0] as $attempt => $most) {
            $pauses = array_map(fn () => $patience->before($attempt, null), range(1, 50));
            self::assertGreaterThanOrEqual($most / 2, min($pauses));
            self::assertLessThanOrEqual($most, max($pauses));
            self::assertGreaterThan(40, count(array_unique(array_map(strval(...), $pauses))));
        }
        self::assertGreaterThanOrEqual(7.0, $patience->before(1, 7.0));
    }

    public function testTheCodeIsWhatGetCodeReturns(): void
    {
        $e = EnckeException::ofObject(['code' => 'bad_json', 'message' => 'this is not JSON', 'offset' => 17], 400);
        self::assertSame(['bad_json', 'bad_json', 'this is not JSON', 400, 17], [$e->code, $e->getCode(), $e->text, $e->status, $e->answer['offset']]);
    }
}
