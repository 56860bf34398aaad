<?php

declare(strict_types=1);

namespace Encke\Test\support;

/** A WebSocket client that speaks encke.json, as far as tests need one. */
final class WebSocket
{
    /** @var resource */
    private $socket;

    public function __construct(int $port, string $query)
    {
        $this->socket = stream_socket_client("tcp://127.0.0.1:$port") ?: throw new \RuntimeException('cannot connect');
        stream_set_timeout($this->socket, 10);
        fwrite($this->socket, "GET /ws?$query HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            . "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
        while (trim($line = (string) fgets($this->socket)) !== '') {
        }
    }

    /** @param array<string, mixed> $command */
    public function send(array $command): void
    {
        $text = json_encode($command);
        $length = strlen($text) < 126 ? chr(128 | strlen($text)) : chr(128 | 126) . pack('n', strlen($text));
        fwrite($this->socket, "\x81$length\0\0\0\0$text");
    }

    /** @return array<string, mixed> */
    public function next(): array
    {
        $length = ord($this->read(2)[1]);
        return json_decode($this->read($length < 126 ? $length : unpack('n', $this->read(2))[1]), true);
    }

    private function read(int $count): string
    {
        return (string) stream_get_contents($this->socket, $count);
    }
}
