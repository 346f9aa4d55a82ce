"""/api/v1/events: the event log, as it grows or page by page; and what events hold.

It grows over a WebSocket, or as Server-Sent Events (`api.streams.sse`) for who accepts those.
Each text frame of the WebSocket is a JSON array of events in order, so that a burst is one frame;
an empty array is the heartbeat, sent whenever nothing else was for a while; an object comes first
where the log does not go back to where the client was. With `ops` a client
says in frames of its own what it wants, see `api.streams.desk`. A client that cannot keep up is
closed with 1013 and comes back with `after`, the last number it has seen: nothing is missing then.
Or it has asked to be told by `lagged` what it lost. When the server stops, the code is 1001.
"""

from dataclasses import asdict
from typing import Any

import trio
from quart import Blueprint, Response, g, request, websocket

from actors.auth.errors import Unauthenticated
from actors.coordination.messages import ReadLog
from actors.errors import Forbidden
from actors.fact_models import schemas
from api.authority import principal
from api.body import read_query
from api.conventions import links
from api.doors import Doors
from api.models import EventsPageQuery, EventsQuery, EventStreamQuery, NoQuery
from api.streams import desk, socket, sse
from api.streams.following import Asked, Following, lost_place
from api.streams.hangup import Hangup, of_refusal, when_closing
from api.streams.seeing import refuse_unseen, seen
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Refused, ask

DEADLINE_S = 10.0


def routes(doors: Doors, closing: trio.Event) -> Blueprint:
    blueprint = Blueprint("events", __name__)
    watches = (when_closing(closing),)

    @blueprint.websocket("/api/v1/events")
    async def events() -> None:
        try:
            query = read_query(websocket, EventsQuery)
            hangup = await (by_ops() if query.ops else of_query(query))
        except (Forbidden, Unauthenticated):
            raise  # the guard's to answer
        except (Refused, ActorDeadError, ActorRestarting, AskTimeout) as error:
            if not g.get("heard"):
                raise
            hangup = of_refusal(error)
        await websocket.close(hangup.code, hangup.why)

    async def by_ops() -> Hangup:
        await websocket.accept()
        return await desk.Desk(doors, principal(), watches).run()

    async def of_query(query: EventsQuery) -> Hangup:
        following = Following(doors, asked(query, query.after))
        try:
            await following.begin()
            await websocket.accept()
            return await socket.stream(following, watches)
        finally:
            following.close()

    @blueprint.get("/api/v1/events")
    async def page() -> Response:
        if sse.is_wanted():
            return await server_sent()
        query = read_query(request, EventsPageQuery)
        wanted = query.filter()
        refuse_unseen(principal(), wanted)
        reset = await lost_place(doors, query.after)
        after = query.after if reset is None else reset.reached
        message = ReadLog(wanted=wanted, after=after, limit=query.limit)
        found = await ask(doors.manager, message, deadline_s=DEADLINE_S)
        data = [fact._asdict() for fact in seen(principal(), found.facts)]
        return links.numbered(
            request,
            data,
            after=found.reached if found.more else None,
            next_after=found.reached,
            more=found.more,
            reset=None if reset is None else asdict(reset),
        )

    async def server_sent() -> Response:
        query = read_query(request, EventStreamQuery)
        last = sse.last_event_id()
        return await sse.response(
            Following(doors, asked(query, query.after if last is None else last)), watches
        )

    @blueprint.get("/api/v1/events/types")
    async def types() -> dict[str, Any]:
        read_query(request, NoQuery)
        return {"data": schemas()}

    return blueprint


def asked(query: EventStreamQuery, after: int | None) -> Asked:
    return Asked(wanted=query.filter(), after=after, lag=query.lag, who=principal())
