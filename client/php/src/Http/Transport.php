<?php

declare(strict_types=1);

namespace Encke\Http;

use Encke\ConnectionException;

/** Takes one request to the server and brings the answer, over a connection that it keeps for the next one. */
interface Transport
{
    /** The bytes of an answer that are taken; one that is longer is no answer of Encke's. */
    public const MAX_ANSWER = 64 * 1024 * 1024;

    /**
     * Sends a request once. One that is not repeatable goes over a new connection: of one that was idle nobody could say, when it
     * ends, whether the server had closed it before the request came or after it was carried out.
     *
     * @param float $connect seconds that connecting may take
     * @param float $timeout seconds that all of it may take
     * @throws ConnectionException where there is no whole answer
     */
    public function send(Request $request, float $connect, float $timeout): Response;
}
