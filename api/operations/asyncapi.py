"""The description of the streams as an AsyncAPI 3.0 document.

Its schemas of events are those of `actors.fact_models`, which every event is held to.
"""

from importlib.metadata import version
from typing import Any, Final

from actors.fact_models import MODELS
from api.models import EventsQuery
from api.operations.openapi import SECURITY
from api.operations.parameters import given
from api.operations.schemas import Schema, plain

ADDRESS: Final = "/api/v1/events"

FRAME: Final = (
    "Events in order; an empty array is the heartbeat. A client that reads too slowly is closed "
    "with 1013, and with 1001 when the server stops. It comes back with the last `seq` that it has "
    "seen as `after`, and has then missed nothing."
)


def build() -> Schema:
    """The document."""
    schemas: Schema = {name_of(kind): _event(kind) for kind in sorted(MODELS)}
    schemas["Event"] = {
        "description": "One event of the log; what `data` holds depends on the type.",
        "oneOf": [_ref("schemas", name) for name in schemas],
    }
    schemas["Events"] = {"type": "array", "items": _ref("schemas", "Event")}
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
        "channels": {"events": _channel()},
        "operations": {
            "sendEvents": {
                "action": "send",
                "channel": {"$ref": "#/channels/events"},
                "summary": "Tell what happens",
                "messages": [{"$ref": "#/channels/events/messages/events"}],
            }
        },
        "components": {
            "schemas": schemas,
            "messages": {
                "events": {
                    "summary": "Events, a text frame for all that waited",
                    "description": FRAME,
                    "payload": _ref("schemas", "Events"),
                }
            },
            "securitySchemes": SECURITY,
        },
    }


def name_of(kind: str) -> str:
    """The component of a type of event, such as `StepStarted`."""
    return "".join(word.capitalize() for word in kind.split("_"))


def _channel() -> Schema:
    query = {"type": "object", "properties": given(plain(EventsQuery))}
    return {
        "address": ADDRESS,
        "title": "The event log",
        "description": "Lists in the query are words with commas between them.",
        "servers": [{"$ref": "#/servers/this"}],
        "messages": {"events": _ref("messages", "events")},
        "bindings": {"ws": {"method": "GET", "query": query}},
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
