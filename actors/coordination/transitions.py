"""What an operator may make of a workflow, by the status that it has. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from actors.errors import Conflict


class Verb(StrEnum):
    """What takes a workflow from one status to another."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    COMPLETE = "complete"
    RETRY = "retry"


TABLE: Final[Mapping[str, Mapping[str, Verb]]] = {
    "queued": {"paused": Verb.PAUSE, "cancelled": Verb.CANCEL},
    "active": {"paused": Verb.PAUSE, "cancelled": Verb.CANCEL, "completed": Verb.COMPLETE},
    "paused": {"active": Verb.RESUME, "cancelled": Verb.CANCEL},
    "stalled": {"active": Verb.RETRY, "cancelled": Verb.CANCEL},
    "completed": {},
    "failed": {"active": Verb.RETRY},
    "cancelled": {},
    "terminated": {},
    "dead_letter": {"active": Verb.RETRY, "cancelled": Verb.CANCEL},
}
"""By the present status: the statuses that may be asked for, and how each is reached."""


def verb(workflow_id: str, present: str, asked: str) -> Verb | None:
    """How to get there; None where it is there already.

    Raises:
        Conflict: (`status_transition`) there is no way; it says which statuses may be asked for.
    """
    if asked == present:
        return None
    found = TABLE[present].get(asked)
    if found is None:
        allowed = " or ".join(TABLE[present]) or "nothing else any more"
        raise Conflict(
            f"workflow {workflow_id} is {present}, and cannot be made {asked}; "
            f"it can be made {allowed}",
            code="status_transition",
            hint="ask for a status that it can get to from the one it has",
        )
    return found
