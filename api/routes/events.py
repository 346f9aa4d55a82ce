"""WS /api/v1/events: the event log, live, and from any number on.

Each text frame is a JSON array of events in order, so that a burst is one frame; an empty array is
the heartbeat, sent whenever nothing else was for a while. A client that cannot keep up is closed
with 1013 and comes back with `after`, the last number it has seen: nothing is missing then. When
the server stops, the code is 1001.
"""

import json
from collections.abc import Sequence

import trio
from quart import Blueprint, websocket

from actors.bus import Subscribe, Subscription
from actors.coordination.messages import GetWorkflow, ReadEvents
from actors.facts import LoggedFact
from api.body import read_query
from api.doors import Doors
from api.models import EventsQuery
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Refused, ask

HEARTBEAT_S = 15.0
BUFFER = 256
"""Batches of the bus kept for a client that is busy."""

PAGE = 500
DEADLINE_S = 10.0
GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013


def routes(doors: Doors, closing: trio.Event) -> Blueprint:
    blueprint = Blueprint("events", __name__)

    @blueprint.websocket("/api/v1/events")
    async def events() -> None:
        query = read_query(websocket, EventsQuery)
        if query.workflow_id is not None:
            await ask(doors.manager, GetWorkflow(workflow_id=query.workflow_id))
        subscription = await ask(doors.bus, Subscribe(buffer=BUFFER))
        with subscription.batches:
            await websocket.accept()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_ignore_what_comes_in)
                nursery.start_soon(_cancel_after, closing, nursery.cancel_scope)
                await _stream(doors, query, subscription)
                nursery.cancel_scope.cancel()
        if closing.is_set():
            await websocket.close(GOING_AWAY, "the server stops")
        else:
            await websocket.close(TRY_AGAIN_LATER, "come back with the last number seen")

    return blueprint


async def _ignore_what_comes_in() -> None:
    """Read, so that pings are answered and a closed connection is noticed."""
    while True:
        await websocket.receive()


async def _cancel_after(closing: trio.Event, scope: trio.CancelScope) -> None:
    await closing.wait()
    scope.cancel()


async def _stream(doors: Doors, query: EventsQuery, subscription: Subscription) -> None:
    """Send until the subscription ends, or what was logged before it cannot be read."""
    try:
        await _replay(doors, query, subscription.after)
        await _follow(query, subscription)
    except (trio.EndOfChannel, Refused, ActorDeadError, ActorRestarting, AskTimeout):
        return


async def _replay(doors: Doors, query: EventsQuery, until: int) -> None:
    """Send what was logged after the number the client has seen and before the subscription."""
    after = query.after
    while after is not None:
        message = ReadEvents(workflow_id=query.workflow_id, after=after, until=until, limit=PAGE)
        page = await ask(doors.manager, message, deadline_s=DEADLINE_S)
        if page:
            await _send(page)
        after = page[-1].seq if len(page) == PAGE else None


async def _follow(query: EventsQuery, subscription: Subscription) -> None:
    # what a client has read in the log may not have been published when it subscribed
    seen = max(query.after or 0, subscription.after)
    while True:
        found: Sequence[LoggedFact] = ()
        with trio.move_on_after(HEARTBEAT_S):
            found = await _next(subscription, query.workflow_id, seen)
        await _send(found)


async def _next(subscription: Subscription, workflow_id: str | None, seen: int) -> list[LoggedFact]:
    """The next events for this client: all of its that are waiting, and at least one."""
    found: list[LoggedFact] = []
    while not found:
        found = _wanted(await subscription.batches.receive(), workflow_id, seen)
    while len(found) < PAGE:
        try:
            found += _wanted(subscription.batches.receive_nowait(), workflow_id, seen)
        except (trio.WouldBlock, trio.EndOfChannel):
            break
    return found


def _wanted(batch: Sequence[LoggedFact], workflow_id: str | None, seen: int) -> list[LoggedFact]:
    return [
        fact
        for fact in batch
        if fact.seq > seen and (workflow_id is None or fact.workflow_id == workflow_id)
    ]


async def _send(found: Sequence[LoggedFact]) -> None:
    await websocket.send(json.dumps([fact._asdict() for fact in found]))
