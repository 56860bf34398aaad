<?php

declare(strict_types=1);

// For sites without Composer: require this file once. With Composer its own vendor/autoload.php does the same.
spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Encke\\')) {
        $file = __DIR__ . '/src/' . strtr(substr($class, 6), '\\', '/') . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
