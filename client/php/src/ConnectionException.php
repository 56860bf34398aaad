<?php

declare(strict_types=1);

namespace Encke;

/**
 * There is no answer, or not the whole of one:
 *
 *   unreachable   no connection came about; the server has seen nothing of the request
 *   timeout       no connection, or no answer, in time
 *   cut_off       the connection ended before the answer did
 *   bad_answer    what came is no HTTP, or more than this client takes
 */
final class ConnectionException extends EnckeException
{
    /** @param bool $sent whether the server may have seen the request: what it asks for may have been done */
    public function __construct(string $code, string $text, public readonly bool $sent)
    {
        parent::__construct($code, $text);
    }
}
