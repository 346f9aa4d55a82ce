"""The description of the streams as an AsyncAPI 3.0 document.

Its schemas of events are those of `actors.fact_models`, which every event is held to. One address
has two channels: what is wanted is in a client's query, or in frames that it sends.
"""

from importlib.metadata import version
from typing import Any, Final

from actors.fact_models import MODELS
from api.first_message import AuthMessage
from api.models import EventsQuery
from api.operations.answers import Problem
from api.operations.frames import SENT, SENT_BESIDE_EVENTS
from api.operations.parameters import given
from api.operations.schemas import Components, Schema, plain
from api.operations.security import SECURITY
from api.streams.ops import SubscribeOp, UnsubscribeOp

ADDRESS: Final = "/api/v1/events"

ABOUT: Final = (
    "Lists in the query are words with commas between them. A client that reads too slowly is "
    "closed with 1013, and with 1001 when the server stops. It comes back with the last `seq` that "
    "it has seen as `after`, and has then missed nothing. It is closed with 4401 when what it was "
    "known by has ended. `GET` of the same address with `Accept: text/event-stream` sends the same "
    "events without a WebSocket."
)

SAID: Final[dict[str, Any]] = {
    "Auth": AuthMessage,
    "Subscribe": SubscribeOp,
    "Unsubscribe": UnsubscribeOp,
}
"""What a client may send, by message."""


def build() -> Schema:
    """The document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "beadflow",
            "version": version("beadflow"),
            "description": "What happens, as it happens: the numbered log of events.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "this": {
                "host": "{host}",
                "protocol": "ws",
                "description": "The server that this document comes from.",
                "variables": {"host": {"default": "127.0.0.1:8080"}},
                "security": [_ref("securitySchemes", name) for name in SECURITY],
            }
        },
        "channels": {
            "events": _channel("What a query names", EventsQuery, without=["ops"]),
            "subscriptions": _channel("What subscriptions name", EventsQuery, only=["ops"]),
        },
        "operations": {
            "sendEvents": _operation(
                "send", "Tell what happens", "events", ["Events", *SENT_BESIDE_EVENTS]
            ),
            "sendFrames": _operation("send", "Tell what happens", "subscriptions", [*SENT]),
            "receiveAuth": _operation("receive", "Hear who asks", "events", ["Auth"]),
            "receiveFrames": _operation("receive", "Hear what is wanted", "subscriptions", [*SAID]),
        },
        "components": {
            "schemas": _schemas(),
            "messages": {name: {"payload": _ref("schemas", name)} for name in MESSAGES},
            "securitySchemes": SECURITY,
        },
    }


MESSAGES: Final = ("Events", *SENT_BESIDE_EVENTS, *SAID, *SENT)
CHANNELS: Final = {
    "events": ("Events", *SENT_BESIDE_EVENTS, "Auth"),
    "subscriptions": (*SAID, *SENT),
}


def name_of(kind: str) -> str:
    """The component of a type of event, such as `StepStartedEvent`."""
    return "".join(word.capitalize() for word in (*kind.split("_"), "event"))


def _schemas() -> Schema:
    events = {name_of(kind): _event(kind) for kind in sorted(MODELS)}
    said = {name: {**plain(model), "title": name} for name, model in SAID.items()}
    return {
        **events,
        "Event": {
            "description": "One event of the log; what `data` holds depends on the type.",
            "oneOf": [_ref("schemas", name) for name in events],
        },
        "Events": {
            "type": "array",
            "description": "Events in order; an empty array is the heartbeat.",
            "items": _ref("schemas", "Event"),
        },
        **said,
        **SENT_BESIDE_EVENTS,
        **SENT,
        **Components([], [Problem]).schemas,
    }


def _operation(action: str, summary: str, channel: str, messages: list[str]) -> Schema:
    place = f"#/channels/{channel}"
    return {
        "action": action,
        "channel": {"$ref": place},
        "summary": summary,
        "messages": [{"$ref": f"{place}/messages/{name}"} for name in messages],
    }


def _channel(
    title: str, query: Any, *, without: list[str] | None = None, only: list[str] | None = None
) -> Schema:
    fields = given(plain(query))
    names = [name for name in only or fields if name not in (without or [])]
    asked: Schema = {"type": "object", "properties": {name: fields[name] for name in names}}
    if only:
        asked["required"] = only
    kind = "subscriptions" if only else "events"
    return {
        "address": ADDRESS,
        "title": title,
        "description": ABOUT,
        "servers": [{"$ref": "#/servers/this"}],
        "messages": {name: _ref("messages", name) for name in CHANNELS[kind]},
        "bindings": {"ws": {"method": "GET", "query": asked}},
    }


def _ref(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def _event(kind: str) -> Schema:
    text = {"type": ["string", "null"]}
    data: Any = plain(MODELS[kind])
    return {
        "type": "object",
        "required": ["seq", "type", "workflow_id", "issue_id", "at", "data"],
        "properties": {
            "seq": {"type": "integer", "minimum": 1},
            "type": {"const": kind},
            "workflow_id": text,
            "issue_id": text,
            "at": {"type": "string", "format": "date-time"},
            "data": {**data, "properties": given(data)},
        },
    }
