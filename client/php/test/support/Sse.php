<?php

declare(strict_types=1);

namespace Encke\Test\support;

/** A page's EventSource, as far as tests need one. */
final class Sse
{
    /** @var resource */
    private $socket;
    private string $buffer = '';
    public readonly int $status;

    public function __construct(int $port, string $query)
    {
        $this->socket = stream_socket_client("tcp://127.0.0.1:$port") ?: throw new \RuntimeException('cannot connect');
        fwrite($this->socket, "GET /sse?$query HTTP/1.0\r\n\r\n");
        stream_set_blocking($this->socket, false);
        $this->status = (int) substr($this->block("\r\n\r\n"), 9, 3);
    }

    /**
     * The next event's data, a publication or a letter.
     *
     * @return array<string, mixed>
     */
    public function next(): array
    {
        do {
            $block = $this->block("\n\n");
        } while (str_contains($block, 'event: resumed') || preg_match('/^data: (.*)$/m', $block, $m) !== 1);
        return json_decode($m[1], true);
    }

    /** Waits until the server ends the connection, and closes it. */
    public function ended(): void
    {
        Process::until(fn () => $this->read() && feof($this->socket), 'the stream does not end');
        $this->close();
    }

    public function close(): void
    {
        fclose($this->socket);
    }

    private function block(string $end): string
    {
        $at = Process::until(fn () => $this->read() ? strpos($this->buffer, $end) : false, fn () => "no event came, but: $this->buffer");
        $block = substr($this->buffer, 0, $at);
        $this->buffer = substr($this->buffer, $at + strlen($end));
        return $block;
    }

    private function read(): bool
    {
        $this->buffer .= fread($this->socket, 65536);
        return true;
    }
}
