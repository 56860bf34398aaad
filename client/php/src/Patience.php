<?php

declare(strict_types=1);

namespace Encke;

/**
 * For how long a client tries. The defaults are for a page that somebody waits for: with the server gone a call fails after a third of
 * a second. A worker that has time may take more, e.g. new Patience(total: 120, retries: 20).
 */
final class Patience
{
    /** Seconds that no single pause is longer than, unless the server asks for more. */
    private const LONGEST_PAUSE = 5.0;

    /**
     * @param float $connect seconds that connecting may take
     * @param float $answer  seconds that one attempt may take. The server holds a push for up to 5 s (--publish-timeout) when it is behind
     * @param float $total   seconds that a call may take, with all attempts and pauses
     * @param int   $retries attempts after the first, of what may be repeated
     * @param float $pause   seconds before the second attempt, more or less; doubled with each further one
     */
    public function __construct(
        public readonly float $connect = 1.0,
        public readonly float $answer = 8.0,
        public readonly float $total = 12.0,
        public readonly int $retries = 2,
        public readonly float $pause = 0.1,
    ) {
        if (min($connect, $answer, $total) <= 0 || min($retries, $pause) < 0) {
            throw new \InvalidArgumentException('times are above 0, retries and pause at least 0');
        }
    }

    /**
     * Seconds to wait before an attempt, the second being number 1. They are random from half to the whole, so that many who fail in one
     * moment do not come back in one; what the server asked for is waited at least.
     */
    public function before(int $attempt, ?float $retryAfter): float
    {
        $random = random_int(0, 1_000_000) / 1e6;
        $most = min(self::LONGEST_PAUSE, $this->pause * 2 ** ($attempt - 1));
        return max($most * (1 + $random) / 2, $retryAfter === null ? 0 : $retryAfter + $random * $this->pause);
    }
}
