<?php

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/' . strtr(substr($class, strlen('Encke\\Test\\')), '\\', '/') . '.php';
    if (str_starts_with($class, 'Encke\\Test\\') && is_file($file)) {
        require $file;
    }
});
