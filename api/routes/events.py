"""/api/v1/events: the event log, live over a WebSocket, or page by page; and what events hold.

Each text frame of the stream is a JSON array of events in order, so that a burst is one frame; an
empty array is the heartbeat, sent whenever nothing else was for a while. A client that cannot keep
up is closed with 1013 and comes back with `after`, the last number it has seen: nothing is missing
then. Or it has asked to be told by `lagged` what it lost. When the server stops, the code is 1001.
"""

import json
from collections.abc import Sequence
from typing import Any

import trio
from quart import Blueprint, request, websocket

from actors.bus import Subscribe, Subscription
from actors.coordination.messages import GetWorkflow, ReadLog
from actors.fact_models import schemas
from actors.facts import LoggedFact
from api.body import read_query
from api.doors import Doors
from api.models import EventsPageQuery, EventsQuery, NoQuery
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
        wanted = query.filter()
        for workflow_id in wanted.workflow_ids:
            await ask(doors.manager, GetWorkflow(workflow_id=workflow_id))
        message = Subscribe(buffer=BUFFER, wanted=wanted, lag=query.lag)
        subscription = await ask(doors.bus, message)
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

    @blueprint.get("/api/v1/events")
    async def page() -> dict[str, Any]:
        query = read_query(request, EventsPageQuery)
        message = ReadLog(wanted=query.filter(), after=query.after, limit=query.limit)
        found = await ask(doors.manager, message, deadline_s=DEADLINE_S)
        data = [fact._asdict() for fact in found.facts]
        return {"data": data, "next_after": found.reached, "more": found.more}

    @blueprint.get("/api/v1/events/types")
    async def types() -> dict[str, Any]:
        read_query(request, NoQuery)
        return {"data": schemas()}

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
        message = ReadLog(wanted=query.filter(), after=after, until=until, limit=PAGE)
        page = await ask(doors.manager, message, deadline_s=DEADLINE_S)
        if page.facts:
            await _send(page.facts)
        after = page.reached if page.more else None


async def _follow(query: EventsQuery, subscription: Subscription) -> None:
    # what a client has read in the log may not have been published when it subscribed
    seen = max(query.after or 0, subscription.after)
    while True:
        found: Sequence[LoggedFact] = ()
        with trio.move_on_after(HEARTBEAT_S):
            found = await _next(subscription, seen)
        await _send(found)


async def _next(subscription: Subscription, seen: int) -> list[LoggedFact]:
    """The next events for this client: all of its that are waiting, and at least one."""
    found: list[LoggedFact] = []
    while not found:
        found = _unseen(await subscription.batches.receive(), seen)
    while len(found) < PAGE:
        try:
            found += _unseen(subscription.batches.receive_nowait(), seen)
        except (trio.WouldBlock, trio.EndOfChannel):
            break
    return found


def _unseen(batch: Sequence[LoggedFact], seen: int) -> list[LoggedFact]:
    return [fact for fact in batch if fact.seq > seen]


async def _send(found: Sequence[LoggedFact]) -> None:
    await websocket.send(json.dumps([fact._asdict() for fact in found]))
