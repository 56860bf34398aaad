<?php
// The classic page: PHP that pushes with nothing but its stream functions, and reads the answer of a poll.
[, $site, $backend] = $argv;

function ask(string $method, string $url, string $body = '', string $type = 'application/json'): array
{
    $context = stream_context_create(['http' => ['method' => $method, 'header' => "Content-Type: $type", 'content' => $body,
        'ignore_errors' => true, 'timeout' => 10]]);
    $answer = file_get_contents($url, false, $context);
    preg_match('~^HTTP/1.. (\d+)~', $http_response_header[0], $m);
    return [(int) $m[1], json_decode($answer, true)];
}

function check(bool $ok, string $what): void
{
    if (!$ok) {
        fwrite(STDERR, "PHP: $what\n");
        exit(1);
    }
}

[$status, $first] = ask('POST', $backend . 'channels/php', json_encode(['text' => 'grüße']));
check($status === 202 && $first['offset'] === 1, "first push: $status");
[$status, $answer] = ask('POST', $backend . 'publish', json_encode(['channels' => ['php', 'php2'], 'event' => 'e', 'data' => [1, 2]]));
check($status === 202 && count($answer['results']) === 2, "publish: $status");
[$status, $answer] = ask('GET', $site . 'poll?channels=php&wait=0&since=0');
check($status === 200 && count($answer['publications']) === 2, "poll: $status");
check($answer['publications'][0]['data'] === ['text' => 'grüße'], 'data');
[$status, $answer] = ask('GET', $site . 'poll?channels=php&wait=0&since=' . $first['position']);
check(count($answer['publications']) === 1 && $answer['publications'][0]['event'] === 'e', 'since');
[$status, $answer] = ask('POST', $backend . 'publish', '{"channel":"php","data":');
check($status === 400 && $answer['error']['code'] === 'bad_json' && $answer['error']['offset'] > 0, "bad JSON: $status");
echo "PHP: fine\n";
