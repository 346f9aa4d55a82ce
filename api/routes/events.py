"""WS /api/v1/events: the event log, live, and from any number on.

Each text frame is a JSON array of events in order, so that a burst is one frame; an empty array is
the heartbeat. A client that cannot keep up is closed with 1013 and comes back with `after`, the
last number it has seen: nothing is missing then.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict

import trio
from quart import Blueprint, websocket

from actors.bus import Subscribe, Subscription
from actors.coordination.messages import GetWorkflow, ReadEvents
from actors.facts import LoggedFact
from api.body import read_query
from api.doors import Doors
from api.models import EventsQuery
from supervision import ask

HEARTBEAT_S = 15.0
PAGE = 500
DEADLINE_S = 10.0
TRY_AGAIN_LATER = 1013


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("events", __name__)

    @blueprint.websocket("/api/v1/events")
    async def events() -> None:
        query = read_query(websocket, EventsQuery)
        if query.workflow_id is not None:
            await ask(doors.manager, GetWorkflow(workflow_id=query.workflow_id))
        subscription = await ask(doors.bus, Subscribe())
        await websocket.accept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ignore_what_comes_in)
            with subscription.batches:
                async with aclosing(_log(doors, query, subscription)) as batches:
                    async for batch in batches:
                        await _send(batch, query.workflow_id)
            nursery.cancel_scope.cancel()
        await websocket.close(TRY_AGAIN_LATER, "too slow, or the bus stopped: come back")

    return blueprint


async def _ignore_what_comes_in() -> None:
    """Read, so that pings are answered and a closed connection is noticed."""
    while True:
        await websocket.receive()


async def _log(
    doors: Doors, query: EventsQuery, subscription: Subscription
) -> AsyncGenerator[Sequence[LoggedFact], None]:
    """First what was logged before the subscription, then what follows; () when nothing does."""
    after = query.after
    while after is not None:
        message = ReadEvents(
            workflow_id=query.workflow_id, after=after, until=subscription.after, limit=PAGE
        )
        page = await ask(doors.manager, message, deadline_s=DEADLINE_S)
        if page:
            yield page
        after = page[-1].seq if len(page) == PAGE else None
    while True:
        batch: Sequence[LoggedFact] = ()
        with trio.move_on_after(HEARTBEAT_S):
            try:
                batch = await subscription.batches.receive()
            except trio.EndOfChannel:
                return
        yield batch


async def _send(batch: Sequence[LoggedFact], workflow_id: str | None) -> None:
    """One frame; none for a batch in which there is nothing for this client."""
    chosen = [fact for fact in batch if workflow_id is None or fact.workflow_id == workflow_id]
    if chosen or not batch:
        await websocket.send(json.dumps([asdict(fact) for fact in chosen]))
