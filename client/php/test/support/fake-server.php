<?php

declare(strict_types=1);

// fake-server.php port file behaviour…: answers each request by the next behaviour, the last one for ever, and writes requests into the file.
[, $port, $file] = $argv;
$behaviours = array_slice($argv, 3);
$tls = getenv('FAKE_TLS'); // a file with a certificate and its key
$context = stream_context_create(['ssl' => ['local_cert' => (string) $tls]]);
$listener = stream_socket_server(($tls ? 'tls' : 'tcp') . "://127.0.0.1:$port", context: $context) ?: exit(1);
echo "listening\n";

$body = '{"channel":"a","offset":1,"position":"x.1","subscribers":0}';
$whole = static fn (string $status, string $body, string $more = '') => "HTTP/1.1 $status\r\nContent-Length: " . strlen($body) . "\r\n$more\r\n$body";
$error = '{"error":{"code":"overloaded","message":"the server is behind with its work; try again later"}}';

/** What is answered, and whether the connection ends after it. null: nothing, for ever. */
$answer = static function (string $behaviour) use ($body, $whole, $error): ?array { // and into how long pieces it is cut
    [$name, $value] = explode(':', $behaviour, 2) + [1 => ''];
    return match ($name) {
        'ok' => [$whole('202 Accepted', $body), false],
        'ok-closed' => [$whole('202 Accepted', $body), true], // without having said so
        'ok-close' => [$whole('202 Accepted', $body, "Connection: close\r\n"), true],
        'stray' => [$whole('202 Accepted', $body) . $whole('202 Accepted', str_replace('1', '99', $body)), false, 10_000], // two answers to one request
        'stray-later' => [$whole('202 Accepted', $body) . $whole('202 Accepted', str_replace('1', '99', $body)), false, strlen($whole('202 Accepted', $body))],
        'continue' => ["HTTP/1.1 100 Continue\r\n\r\n" . $whole('202 Accepted', $body), false],
        'chunked' => ["HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\n" . substr($body, 0, 5) . "\r\n" . dechex(strlen($body) - 5) . "\r\n" . substr($body, 5) . "\r\n0\r\nTrailer: x\r\n\r\n", false],
        'unframed' => ["HTTP/1.0 202 Accepted\r\n\r\n$body", true],
        'busy' => [$whole('503 Service Unavailable', $error, $value === '' ? '' : "Retry-After: $value\r\n"), false],
        'busy-date' => [$whole('503 Service Unavailable', $error, 'Retry-After: ' . gmdate('D, d M Y H:i:s \G\M\T', time() + (int) $value) . "\r\n"), false],
        'proxy' => [$whole('502 Bad Gateway', '<h1>Bad Gateway</h1>'), false],
        'internal' => [$whole('500 Internal Server Error', '{"error":{"code":"internal","message":"the server made a mistake; it is in its log"}}'), false],
        'moved' => [$whole('301 Moved Permanently', '', "Location: http://127.0.0.1:1/\r\n"), false],
        'html' => [$whole('200 OK', '<h1>hello</h1>'), false],
        'list' => [$whole('200 OK', '[1,2]'), false],
        'wrong' => [$whole('200 OK', '{"channel":7}'), false],
        'lines' => [$whole('200 OK', "$body\n"), false],
        'rubbish' => ["what is this\r\n\r\n", true],
        'huge' => ["HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n{", true],
        'half' => [substr($whole('202 Accepted', $body), 0, -20), true],
        'half-head' => ["HTTP/1.1 202 Acc", true],
        'half-headers' => ["HTTP/1.1 202 Accepted\r\nContent-", true],
        'closed' => ['', true],
        'hang' => null,
    };
};

$connections = $buffers = $numbers = [];
$count = $served = 0;
while (true) {
    $read = array_merge([$listener], array_values($connections));
    $none = null;
    stream_select($read, $none, $none, null);
    foreach ($read as $socket) {
        if ($socket === $listener) {
            $new = @stream_socket_accept($listener);
            if ($new === false) { // a client that does not trust us
                continue;
            }
            stream_set_blocking($new, false);
            [$connections[(int) $new], $buffers[(int) $new], $numbers[(int) $new]] = [$new, '', ++$count];
            continue;
        }
        $key = (int) $socket;
        $part = fread($socket, 1 << 20);
        $buffers[$key] .= $part;
        if ($part === '' || $part === false) {
            fclose($socket);
            unset($connections[$key]);
            continue;
        }
        [$head, $rest] = explode("\r\n\r\n", $buffers[$key], 2) + [1 => null];
        $length = preg_match('/content-length: (\d+)/i', $head, $m) === 1 ? (int) $m[1] : 0;
        if ($rest === null || strlen($rest) < $length) {
            continue;
        }
        $buffers[$key] = substr($rest, $length);
        $line = json_encode(['connection' => $numbers[$key], 'head' => $head, 'body' => substr($rest, 0, $length), 'time' => microtime(true)]);
        file_put_contents($file, "$line\n", FILE_APPEND);
        $does = $answer($behaviours[min($served++, count($behaviours) - 1)]);
        if ($does !== null) {
            foreach (str_split($does[0], $does[2] ?? 7) as $piece) { // an answer may come in any pieces
                fwrite($socket, $piece);
                usleep(200);
            }
            if ($does[1]) {
                fclose($socket);
                unset($connections[$key]);
            }
        }
    }
}
