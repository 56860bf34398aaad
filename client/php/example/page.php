<?php
/** The page itself, of index.php, which gives it $entries, $since and $html. */
declare(strict_types=1);

/** @var list<array{id: string, name: string, text: string, time: int}> $entries */
/** @var string $since */
/** @var callable(string): string $html */
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Guest book</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
<header>
  <h1>Guest book</h1>
  <p id="state" role="status">as it was when you came</p>
</header>
<main>
  <ol id="entries" aria-live="polite">
<?php foreach ($entries as $e): ?>
    <li data-id="<?= $html($e['id']) ?>"><b><?= $html($e['name']) ?></b> <time datetime="<?= gmdate('c', $e['time']) ?>"><?= gmdate('H:i', $e['time']) ?></time><p><?= $html($e['text']) ?></p></li>
<?php endforeach ?>
  </ol>
  <p id="nobody">Nobody has written yet.</p>
</main>
<form method="post">
  <label><span>Your name</span><input name="name" maxlength="40" autocomplete="nickname" placeholder="somebody"></label>
  <label><span>What you want to say</span><textarea name="text" maxlength="500" rows="2" required placeholder="Say something nice"></textarea></label>
  <button>Sign</button>
  <p id="wrong" role="alert"></p>
</form>
<script src="live.js" data-channel="<?= $html(CHANNEL) ?>" data-since="<?= $html($since) ?>" data-encke="<?= $html(getenv('ENCKE_PUBLIC_URL') ?: '') ?>"></script>
</html>
