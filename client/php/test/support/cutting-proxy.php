<?php

declare(strict_types=1);

// cutting-proxy.php port server: passes requests on, one at a time, and cuts every third connection: by turns before the request has
// gone on and before its answer has come back. The connections that it lets be serve five requests.
[, $port, $server] = $argv;
$listener = stream_socket_server("tcp://127.0.0.1:$port") ?: exit(1);
echo "listening\n";

$whole = static function ($socket): ?string {
    $text = '';
    while (preg_match('/^(.*?\r\n\r\n)(.*)$/s', $text, $m) !== 1 || strlen($m[2]) < (preg_match('/content-length: (\d+)/i', $m[1], $n) === 1 ? (int) $n[1] : 0)) {
        $part = fread($socket, 65536);
        if ($part === '' || $part === false) {
            return null;
        }
        $text .= $part;
    }
    return $text;
};

for ($n = 0; $client = stream_socket_accept($listener, 3600); $n++) {
    $upstream = stream_socket_client("tcp://127.0.0.1:$server");
    for ($served = 0; $served < 5; $served++) {
        $read = [$client, $listener]; // the client may come over a new connection while this one is idle
        $none = null;
        stream_select($read, $none, $none, 10);
        $request = in_array($client, $read, true) ? $whole($client) : null;
        if ($request === null || $n % 6 === 2) {
            break;
        }
        fwrite($upstream, $request);
        $answer = $whole($upstream);
        if ($n % 6 === 5) {
            fwrite($client, substr((string) $answer, 0, $n % 4 * 20));
            break;
        }
        fwrite($client, (string) $answer);
    }
    fclose($client);
    fclose($upstream);
}
