"""A WebSocket that its client steers: several subscriptions on one connection.

They are begun and ended by ops; each has an id of its own and its own place in the log. Every frame
is a JSON object with `op`: what was asked is answered with `subscribed`, `unsubscribed` or `error`;
`events` are of one subscription; `heartbeat` is sent when nothing else was for a while. Ops are
answered one after the other, so that a client cannot ask for more at once.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import trio
from quart import g, websocket

from actors.auth.messages import Principal
from actors.errors import Conflict, NotFound
from actors.event_texts import Batch
from api import problem
from api.doors import Doors
from api.limits import count_request
from api.streams import ops
from api.streams.following import Asked, Following
from api.streams.hangup import TOO_SLOW, Hangup, Watch
from api.streams.socket import GONE, HEARTBEAT_S, Ending, array
from supervision import ActorDeadError, ActorRestarting, AskTimeout, Refused

SUBSCRIPTIONS: Final = 20
"""On one connection at a time."""


class Desk:
    """See the module.

    Args:
        who: whose connection this is; each subscription is looked at for what they may see.
        watches: each returns when the connection has to end.
    """

    def __init__(self, doors: Doors, who: Principal, watches: Sequence[Watch]) -> None:
        self._doors = doors
        self._who = who
        self._ending = Ending(watches)
        self._open: dict[str, Following] = {}
        self._sent_at = trio.current_time()

    async def run(self) -> Hangup:
        """Serve until the connection has to end; answers why."""
        async with trio.open_nursery() as around:
            self._ending.watch(around)
            with self._ending.last_words:
                async with trio.open_nursery() as talking:
                    talking.start_soon(self._beat)
                    await self._listen(talking)
            around.cancel_scope.cancel()
        return self._ending.hangup or TOO_SLOW

    async def _listen(self, talking: trio.Nursery) -> None:
        while (frame := await self._receive()) is not None:
            try:
                count_request(g.principal)
                await self._answer(ops.parse(frame), talking)
            except (Refused, ActorDeadError, ActorRestarting, AskTimeout) as error:
                await self._refuse(error)

    async def _receive(self) -> str | bytes | None:
        """The next frame; None when the connection has to end."""
        found: str | bytes | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stop_at_end, nursery.cancel_scope)
            found = await websocket.receive()
            nursery.cancel_scope.cancel()
        return None if self._ending.ended.is_set() else found

    async def _stop_at_end(self, scope: trio.CancelScope) -> None:
        await self._ending.ended.wait()
        scope.cancel()

    async def _answer(self, op: ops.SubscribeOp | ops.UnsubscribeOp, talking: trio.Nursery) -> None:
        match op:
            case ops.SubscribeOp():
                await self._subscribe(op, talking)
            case ops.UnsubscribeOp():
                await self._unsubscribe(op)

    async def _subscribe(self, op: ops.SubscribeOp, talking: trio.Nursery) -> None:
        if op.id in self._open:
            raise Conflict(f"there is a subscription {op.id} already", hint="choose another id")
        if len(self._open) >= SUBSCRIPTIONS:
            raise Conflict(
                f"a connection has at most {SUBSCRIPTIONS} subscriptions",
                hint="end one of them, or open another connection",
            )
        asked = Asked(wanted=op.filter(), after=op.after, lag=op.lag, who=self._who)
        following = Following(self._doors, asked)
        await following.begin()
        self._open[op.id] = following
        self._ending.add(following)
        await self._send({"op": "subscribed", "id": op.id, "after": following.reached})
        if following.reset is not None:
            await self._send({"op": "reset", "id": op.id, **asdict(following.reset)})
        talking.start_soon(self._pump, op.id, following)

    async def _unsubscribe(self, op: ops.UnsubscribeOp) -> None:
        following = self._open.get(op.id)
        if following is None:
            raise NotFound(f"there is no subscription {op.id}")
        del self._open[op.id]
        self._ending.remove(following)

    async def _pump(self, name: str, following: Following) -> None:
        try:
            while True:
                batches = await following.frame()
                await self._send_events(name, following, batches)
        except GONE:
            if not following.is_closed:
                self._ending.end(TOO_SLOW)
        finally:
            following.close()
        if not self._ending.ended.is_set():
            await self._send({"op": "unsubscribed", "id": name, "after": following.reached})

    async def _send_events(self, name: str, following: Following, batches: Sequence[Batch]) -> None:
        head = f'{{"op":"events","id":"{name}","reached":{following.reached},"events":'
        await self._send_text(f"{head}{array(following.texts, batches)}}}")

    async def _refuse(self, error: Refused | problem.Absence) -> None:
        said = problem.of_part(error, str(g.get("request_id", "unknown")))
        await self._send({"op": "error", "problem": said})

    async def _beat(self) -> None:
        while not self._ending.ended.is_set():
            due = self._sent_at + HEARTBEAT_S
            with trio.move_on_at(due):
                await self._ending.ended.wait()
                return
            if self._sent_at + HEARTBEAT_S <= trio.current_time():
                await self._send({"op": "heartbeat"})

    async def _send(self, given: dict[str, Any]) -> None:
        await self._send_text(json.dumps(given, separators=(",", ":")))

    async def _send_text(self, text: str) -> None:
        self._sent_at = trio.current_time()
        await websocket.send(text)
