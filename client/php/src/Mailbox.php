<?php

declare(strict_types=1);

namespace Encke;

/** Whether a message to a user is kept for one who is away (PROTOCOL.md "Letters"). */
enum Mailbox: string
{
    /** It goes to those who are there, and into the history of the user's channel. */
    case Off = 'off';

    /** It is a letter, kept until the user's page acknowledges it, if the user has no connection. */
    case Away = 'away';

    /** It is a letter in any case. */
    case Always = 'always';
}
