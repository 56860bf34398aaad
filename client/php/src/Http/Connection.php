<?php

declare(strict_types=1);

namespace Encke\Http;

use Encke\ConnectionException;

/** A TCP or TLS connection to the server, read through a buffer. */
final class Connection
{
    /** What stands in the header Host. */
    public readonly string $host;

    /** Whether the last answer leaves the connection fit for another request. */
    public bool $reusable = false;

    /** @var resource */
    private $socket;
    private string $origin;
    private string $buffer = '';
    private int $process;
    private bool $heard = false;

    /** @throws ConnectionException unreachable or timeout */
    public function __construct(string $url, float $connect, ?string $caFile)
    {
        $this->origin = self::origin($url);
        [$scheme, $this->host] = explode('://', $this->origin);
        $secure = $scheme === 'https';
        $address = ($secure ? 'tls://' : 'tcp://') . $this->host;
        if (preg_match('/:\d+$/', $this->host) !== 1) {
            $address .= $secure ? ':443' : ':80';
        }
        $options = ['socket' => ['tcp_nodelay' => true], 'ssl' => ['peer_name' => (string) parse_url($url, PHP_URL_HOST)]];
        if ($caFile !== null) {
            $options['ssl']['cafile'] = $caFile;
        }
        $began = microtime(true);
        $socket = @stream_socket_client($address, $_, $why, max(0.001, $connect), STREAM_CLIENT_CONNECT, stream_context_create($options));
        if ($socket === false) {
            $late = microtime(true) - $began >= $connect;
            throw new ConnectionException($late ? 'timeout' : 'unreachable', "cannot connect to $this->host: $why", false);
        }
        $this->socket = $socket;
        $this->process = (int) getmypid();
    }

    public function __destruct()
    {
        if (isset($this->socket)) {
            @fclose($this->socket);
        }
    }

    /** Whether a request for that URL may go over it: same server, same process, not closed by the other side as far as one can see. */
    public function usable(string $url): bool
    {
        $read = [$this->socket];
        $none = null;
        $this->heard = false;
        return $this->process === getmypid() && $this->origin === self::origin($url)
            && @stream_select($read, $none, $none, 0) === 0; // what can be read now is its end, or nonsense
    }

    /** The path of a URL, as it stands in the request line. */
    public function target(string $url): string
    {
        $path = substr($url, strlen($this->origin));
        return $path === '' ? '/' : $path;
    }

    /** Whether the server has said anything since the connection was found usable. */
    public function heard(): bool
    {
        return $this->heard;
    }

    /** Whether it can be kept: the answer is over, and nothing came behind it. */
    public function inOrder(): bool
    {
        return $this->reusable && $this->buffer === '';
    }

    /** Writes all; returns why it cannot. */
    public function write(string $bytes, float $end): ?ConnectionException
    {
        for ($at = 0; $at < strlen($bytes); $at += $n) {
            if (!$this->allow($end)) {
                return new ConnectionException('timeout', "$this->host does not take the request in time", true);
            }
            $n = @fwrite($this->socket, substr($bytes, $at, 65536));
            if ($n === false || $n === 0) {
                return $this->ended('while the request was sent');
            }
        }
        return null;
    }

    /**
     * A line without its end.
     *
     * @throws ConnectionException
     */
    public function line(float $end): string
    {
        while (($at = strpos($this->buffer, "\n")) === false) {
            if (strlen($this->buffer) > 65536) {
                throw new ConnectionException('bad_answer', "$this->host answers with a line that does not end", true);
            }
            $this->fill($end);
        }
        $line = substr($this->buffer, 0, $at);
        $this->buffer = substr($this->buffer, $at + 1);
        return rtrim($line, "\r");
    }

    /**
     * So many bytes.
     *
     * @throws ConnectionException
     */
    public function bytes(int $count, float $end): string
    {
        while (strlen($this->buffer) < $count) {
            $this->fill($end);
        }
        $bytes = substr($this->buffer, 0, $count);
        $this->buffer = substr($this->buffer, $count);
        return $bytes;
    }

    /**
     * All until the server closes.
     *
     * @throws ConnectionException
     */
    public function rest(float $end): string
    {
        while ($this->more($end)) {
            if (strlen($this->buffer) > Transport::MAX_ANSWER) {
                throw new ConnectionException('bad_answer', 'the answer is too long', true);
            }
        }
        $bytes = $this->buffer;
        $this->buffer = '';
        return $bytes;
    }

    private function fill(float $end): void
    {
        if (!$this->more($end)) {
            throw $this->ended($this->heard ? 'in the middle of the answer' : 'before it answered');
        }
    }

    /** Reads what there is into the buffer; says false at the end of the connection. */
    private function more(float $end): bool
    {
        do {
            if (!$this->allow($end)) {
                throw new ConnectionException('timeout', "$this->host does not answer in time", true);
            }
            $part = @fread($this->socket, 65536);
            if ($part !== false && $part !== '') {
                $this->heard = true;
                $this->buffer .= $part;
                return true;
            }
            $state = stream_get_meta_data($this->socket); // feof() would wait once more
        } while ($part !== false && !$state['eof']);
        return false;
    }

    /** Lets the next read or write wait until then. */
    private function allow(float $end): bool
    {
        $left = $end - microtime(true);
        return $left > 0 && stream_set_timeout($this->socket, (int) $left, max(1, (int) (fmod($left, 1) * 1e6)));
    }

    private function ended(string $when): ConnectionException
    {
        $late = stream_get_meta_data($this->socket)['timed_out'];
        return new ConnectionException($late ? 'timeout' : 'cut_off', "$this->host " . ($late ? 'is too slow' : "has closed the connection $when"), true);
    }

    /** Scheme, host and port of a URL. */
    private static function origin(string $url): string
    {
        return substr($url, 0, strcspn($url, '/?', strpos($url, '://') + 3) + strpos($url, '://') + 3);
    }
}
