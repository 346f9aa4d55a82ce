"""A workflow's log as it grows: what is there, then what comes, until the workflow has ended."""

from collections.abc import Sequence

import trio
from quart import Response

from actors.bus import CatchUp
from actors.coordination.assigning import ENDED
from actors.coordination.messages import GetWorkflow
from actors.event_filter import EventFilter
from actors.event_texts import Batch
from actors.facts import ENDS
from api.authority import principal
from api.doors import Doors
from api.logs import line_of
from api.streams import sse
from api.streams.following import DEADLINE_S, Asked, Following
from api.streams.hangup import Watch, when_closing
from supervision import ask


class LogBody(sse.Body):
    """The lines of one workflow, each under the number of its event, and at last its status."""

    def __init__(
        self, doors: Doors, workflow_id: str, following: Following, watches: Sequence[Watch]
    ) -> None:
        super().__init__(following, watches, self._lines)
        self._doors = doors
        self._workflow_id = workflow_id
        self._followed = following
        self._may_have_ended = True
        self._status = ""

    def _lines(self, following: Following, batches: Sequence[Batch]) -> str:
        del following
        found = [fact for batch in batches for fact in batch]
        self._may_have_ended = self._may_have_ended or any(fact.type in ENDS for fact in found)
        return "".join(sse.numbered(fact.seq, line_of(fact)) for fact in found)

    async def _is_over(self) -> bool:
        """Its record says whether it has ended: after an event that does, it may go on again."""
        if not self._may_have_ended:
            return False
        self._may_have_ended = False
        record = await ask(self._doors.manager, GetWorkflow(workflow_id=self._workflow_id))
        if record.status not in ENDED:
            return False
        await ask(self._doors.bus, CatchUp(), deadline_s=DEADLINE_S)
        self._may_have_ended = self._followed.has_more  # the rest comes first
        self._status = record.status
        return not self._may_have_ended

    def _farewell(self) -> str:
        return sse.named("end", {"status": self._status})


async def response(doors: Doors, workflow_id: str, after: int, closing: trio.Event) -> Response:
    """The log as an answer.

    A client that comes back by itself after the end is told so by 204, as EventSource expects.

    Raises:
        NotFound: there is no such workflow.
        ValidationError: Last-Event-ID is no number.
    """
    last = sse.last_event_id()
    wanted = EventFilter(workflow_ids=(workflow_id,))
    asked = Asked(wanted=wanted, after=after if last is None else last, who=principal())
    following = Following(doors, asked)
    await following.begin()
    again = following.again()
    if last is not None and await _is_told(doors, workflow_id, asked):
        return Response(b"", status=204)
    return sse.answer(LogBody(doors, workflow_id, again, (when_closing(closing),)))


async def _is_told(doors: Doors, workflow_id: str, asked: Asked) -> bool:
    """Whether it has ended and there is nothing after what the client has."""
    record = await ask(doors.manager, GetWorkflow(workflow_id=workflow_id))
    if record.status not in ENDED:
        return False
    await ask(doors.bus, CatchUp(), deadline_s=DEADLINE_S)
    there = Following(doors, asked)
    await there.begin()
    try:
        return not await there.logged()
    finally:
        there.close()
