<?php

declare(strict_types=1);

// The classic page: a form that posts to PHP, PHP that pushes, browsers that update. PHP holds no connection: one process serves
// any number of open pages. Without scripts the page works too, and is up to date when it is loaded.

require __DIR__ . '/../autoload.php';
require __DIR__ . '/book.php';

use Encke\Client;
use Encke\EnckeException;

const CHANNEL = 'guestbook';

$setting = static fn (string $name, string $default): string => getenv($name) ?: $default;
$book = new Book($setting('GUESTBOOK_FILE', sys_get_temp_dir() . '/encke-guestbook.jsonl'));
$encke = new Client($setting('ENCKE_BACKEND_URL', 'http://127.0.0.1:8081'), $setting('ENCKE_BACKEND_KEY', ''));

/** A field of the form: text, without spaces around it and control characters, and not longer than that. */
$field = static function (string $name, int $most): string {
    $text = is_string($_POST[$name] ?? null) ? $_POST[$name] : '';
    $text = preg_replace('/[\x00-\x08\x0b-\x1f\x7f]+/', '', $text) ?? '';
    return preg_match('/^.{0,' . $most . '}/us', trim($text), $m) === 1 ? trim($m[0]) : ''; // '' where it is not UTF-8
};

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $text = $field('text', 500);
    if ($text === '') {
        http_response_code(422);
        exit('There is nothing to say in this.');
    }
    $entry = $book->add($field('name', 40) ?: 'somebody', $text);
    try {
        $encke->publish(CHANNEL, $entry, event: 'entry');
    } catch (EnckeException $e) {
        error_log("cannot push entry {$entry['id']}: {$e->getMessage()}"); // it is in the book: pages that are loaded show it
    }
    header('Location: ' . strtok($_SERVER['REQUEST_URI'], '?'), true, 303);
    exit;
}

// First where the channel is, then what is in the book: what comes in between is in both, and the page knows entries by their ids.
$since = '';
try {
    $since = $encke->channel(CHANNEL)?->position ?? '0';
} catch (EnckeException $e) {
    error_log("cannot ask for the position: {$e->getMessage()}");
}
$entries = $book->newest();

if (isset($_GET['entries'])) { // what a page asks for that has missed something
    header('Content-Type: application/json');
    exit(json_encode(['entries' => $entries], JSON_THROW_ON_ERROR));
}

$html = static fn (string $text): string => htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE);
header('Content-Type: text/html; charset=utf-8');
require __DIR__ . '/page.php';
