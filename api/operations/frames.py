"""The frames of a WebSocket that its client steers, as schemas.

What a client sends are the models that read it (`api.streams.ops`, `api.first_message`); what it is
sent is said here, and the tests hold every frame to it.
"""

from typing import Any, Final

from api.operations.schemas import PLACE, Schema

NUMBER: Final[Schema] = {"type": "integer", "minimum": 0}
NAME: Final[Schema] = {"type": "string"}


def _frame(op: str, about: str, **fields: Any) -> Schema:
    return {
        "type": "object",
        "description": about,
        "required": ["op", *fields],
        "properties": {"op": {"const": op}, **fields},
        "additionalProperties": False,
    }


SENT: Final[dict[str, Schema]] = {
    "Subscribed": _frame(
        "subscribed", "What follows this number will be sent.", id=NAME, after=NUMBER
    ),
    "Reset": _frame(
        "reset",
        "The place of the subscription is lost: what follows is not all that happened.",
        id=NAME,
        after=NUMBER,
        forgotten=NUMBER,
        last=NUMBER,
    ),
    "SubscribedEvents": _frame(
        "events",
        "The next events of a subscription; all that is wanted was sent up to `reached`.",
        id=NAME,
        reached=NUMBER,
        events={"$ref": f"{PLACE}Events"},
    ),
    "Unsubscribed": _frame(
        "unsubscribed",
        "Nothing more comes of it; it goes on after this number.",
        id=NAME,
        after=NUMBER,
    ),
    "Refused": _frame(
        "error", "What was sent last cannot be done.", problem={"$ref": f"{PLACE}Problem"}
    ),
    "Heartbeat": _frame("heartbeat", "There was nothing else for a while."),
}
"""By component."""

SENT_BESIDE_EVENTS: Final[dict[str, Schema]] = {
    "PlaceLost": _frame(
        "reset",
        "Comes first where the place is lost: what follows is not all that happened since `after`.",
        after=NUMBER,
        forgotten=NUMBER,
        last=NUMBER,
    ),
}
"""To a client that has said in its query what it wants; all else that it is sent are arrays."""
