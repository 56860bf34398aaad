<?php

declare(strict_types=1);

// The site of SiteTest, as a script of php -S: it is told at /webhook and asked at /hook, and writes both into the file SITE_LOG.
require __DIR__ . '/../../autoload.php';

use Encke\Hook;
use Encke\Webhook;

$secret = (string) getenv('SITE_SECRET');
$note = static fn (array $what) => file_put_contents((string) getenv('SITE_LOG'), json_encode($what) . "\n", FILE_APPEND | LOCK_EX);

if ($_SERVER['REQUEST_URI'] === '/webhook') {
    $webhook = Webhook::receive($secret);
    foreach ($webhook->events as $e) {
        $note(['told', $e->event, $e->user ?? $e->channel, $e->epoch === $webhook->epoch]);
    }
    return;
}
$hook = Hook::receive($secret);
$note(['asked', $hook->hook, $hook->user, $hook->transport, $hook->channels, $hook->channel, $hook->event, $hook->data]);
match (true) {
    $hook->user === 'banned' => Hook::refuse('you are banned'),
    $hook->hook === 'publish' && $hook->data === 'darn' => Hook::allowWith(['masked' => '****']),
    default => Hook::allow(),
};
