"""Waiting for the end of a workflow while its client waits for the answer.

The listener is there before the workflow is looked at, so that no end slips through in between.
Meanwhile the request takes nobody's place.
"""

from contextlib import suppress
from typing import Final

import trio

from actors import facts
from actors.bus import Subscribe
from actors.coordination.assigning import ENDED
from actors.coordination.messages import GetWorkflow, WorkflowRecord
from actors.errors import Overloaded
from actors.event_filter import EventFilter
from api import overload
from api.doors import Doors
from supervision import ask

DEADLINE_S: Final = 10.0
BUFFER: Final = 64


async def until_ended(doors: Doors, workflow_id: str, wait_s: float) -> WorkflowRecord:
    """The workflow once it has ended, or as it is when the time is up.

    Raises:
        NotFound: there is none.
    """
    wanted = EventFilter(workflow_ids=(workflow_id,), topics=tuple(sorted(facts.ENDS)))
    message = Subscribe(buffer=BUFFER, wanted=wanted)
    subscription = await ask(doors.bus, message, deadline_s=DEADLINE_S)
    with subscription.batches:
        record = await _present(doors, workflow_id)
        if record.status in ENDED or not wait_s:
            return record
        with suppress(trio.EndOfChannel, Overloaded):
            async with overload.aside():
                with trio.move_on_after(wait_s):
                    await subscription.batches.receive()
    return await _present(doors, workflow_id)


async def _present(doors: Doors, workflow_id: str) -> WorkflowRecord:
    message = GetWorkflow(workflow_id=workflow_id)
    return await ask(doors.manager, message, deadline_s=DEADLINE_S)
