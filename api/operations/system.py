"""Operations on the event log and on the system itself."""

from typing import Final

from api.doors import Where
from api.models import Actors, ActorsQuery, EventsPageQuery, EventsQuery
from api.operations.answers import (
    Circuits,
    EventPage,
    EventTypes,
    Live,
    Ready,
    ReconcileReport,
    Whole,
)
from api.operations.operation import FILE_MODEL, STREAM, Operation
from api.routes.reconcile import ReconcileRequest

OPERATIONS: Final[dict[str, Operation]] = {
    "events.events": Operation(
        summary="Stream events",
        description="A WebSocket; what it sends is in /asyncapi.json.",
        query=EventsQuery,
    ),
    "events.page": Operation(
        summary="Read the event log",
        description="As `text/event-stream`, events as they happen; its query is the WebSocket's.",
        query=EventsPageQuery,
        answer=EventPage,
        other_types=(STREAM,),
        headers=("Last-Event-ID",),
        codes=("not_found",),
    ),
    "events.types": Operation(summary="List what events hold", answer=EventTypes),
    "system.where": Operation(
        summary="Show where this system keeps what it was given", answer=Where
    ),
    "system.circuits": Operation(summary="List circuit breakers", answer=Circuits),
    "reconcile.reconcile": Operation(
        summary="Compare all stores, and repair what can be",
        body=ReconcileRequest,
        answer=ReconcileReport,
        example={"repair": False, "complete": True},
    ),
    "actors.tree": Operation(
        summary="Show the running supervision tree",
        query=ActorsQuery,
        answer=Actors,
        codes=("actor_unknown",),
    ),
    "health.live": Operation(summary="Whether the process lives", answer=Live),
    "docs.page": Operation(
        summary="Show this API to people",
        answer=FILE_MODEL,
        answer_type="text/html",
    ),
    "docs.asset": Operation(
        summary="Get a file of that page",
        description="Its name holds its hash: what it is never changes.",
        answer=FILE_MODEL,
        answer_type="text/javascript",
        other_types=("text/css",),
    ),
    "openapi.document": Operation(
        summary="Describe this API",
        description="An OpenAPI 3.1 document.",
        answer=dict,
    ),
    "openapi.streams": Operation(
        summary="Describe the streams", description="An AsyncAPI 3.0 document.", answer=dict
    ),
    "health.whole": Operation(
        summary="How it is, and of which version",
        description="Answers 503 with the same body when it cannot.",
        answer=Whole,
        also=(503,),
    ),
    "health.ready": Operation(
        summary="Whether the system can take work",
        description="Answers 503 with the same body when it cannot.",
        answer=Ready,
        also=(503,),
    ),
}
