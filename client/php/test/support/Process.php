<?php

declare(strict_types=1);

namespace Encke\Test\support;

/** A process of the tests, that does not outlive them. */
class Process
{
    /** @var resource|null */
    private $process = null;
    private string $log;

    /**
     * @param list<string>          $command
     * @param array<string, string> $env besides this process's own
     */
    public function __construct(private readonly array $command, private readonly array $env = [])
    {
        $this->log = (string) tempnam(sys_get_temp_dir(), 'encke-php-');
        register_shutdown_function(function (): void {
            $this->stop(9);
            @unlink($this->log);
        });
        $this->start();
    }

    public function start(): void
    {
        $files = [['file', '/dev/null', 'r'], ['file', $this->log, 'a'], ['file', $this->log, 'a']];
        $this->process = proc_open($this->command, $files, $pipes, null, $this->env + getenv()) ?: throw new \RuntimeException('cannot start ' . $this->command[0]);
    }

    public function stop(int $signal = 15): void
    {
        if ($this->process !== null) {
            proc_terminate($this->process, $signal);
            proc_close($this->process);
            $this->process = null;
        }
    }

    public function log(): string
    {
        return (string) file_get_contents($this->log);
    }

    /** Waits until somebody listens there. */
    public function listening(int $port): void
    {
        self::until(fn () => ($s = @stream_socket_client("tcp://127.0.0.1:$port")) && fclose($s), fn () => "nobody listens on $port: " . $this->log());
    }

    /** A port of loopback that nobody listens on at the moment. */
    public static function freePort(): int
    {
        $socket = stream_socket_server('tcp://127.0.0.1:0') ?: throw new \RuntimeException('no port');
        return (int) substr((string) strrchr((string) stream_socket_get_name($socket, false), ':'), 1);
    }

    /** Asks until the answer is yes, for at most half a minute. */
    public static function until(callable $ask, callable|string $else): mixed
    {
        for ($end = microtime(true) + 30; microtime(true) < $end; usleep(10_000)) {
            if ($answer = $ask()) {
                return $answer;
            }
        }
        throw new \RuntimeException(is_string($else) ? $else : $else());
    }
}
