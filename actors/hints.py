"""Hints: messages whose loss costs nothing, because rows say the same.

Whoever should have heard one finds what it was about in its database, at its next start or its next
look. So a hint to an actor that is down, restarting or full is dropped, and nobody waits.
"""

import contextlib

from supervision import ActorDeadError, ActorRestarting, MailboxFull, Named


def hint(target: Named, message: object) -> None:
    """Tell, from any thread; drop the message if it cannot be delivered now."""
    with contextlib.suppress(ActorDeadError, ActorRestarting, MailboxFull):
        target.tell(message)
