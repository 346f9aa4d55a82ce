"""What a handoff still has to do once it is decided: tell the workflow.

The decision is one transaction in the coordination database, which holds an intent with all that is
needed here. The signal's message id is the intent's, so telling it twice is telling it once.
"""

from typing import Final

import structlog

from actors.errors import Conflict, NotFound
from actors.workflows.messages import AddSignal
from actors.writer import write
from storage import payload
from supervision import Named

SIGNAL: Final = "agent_handoff"
"""The name of the signal that a workflow gets when it was handed on."""

PASSED_ON: Final = "passed-"
"""How the ids of handoffs begin that beadflow makes by itself, between two steps.

A workflow that takes no notice of them would have one more waiting with each: so only the newest of
these waits. What was handed over by hand is never replaced.
"""

log = structlog.get_logger("beadflow.handoff")


async def make(intent_id: str, plan: str, *, tempolite: Named) -> tuple[str, ...]:
    """Give the workflow its signal. Idempotent. Answers who has to be woken.

    Args:
        intent_id: names the handoff.
        plan: stored JSON text: whose it is, when it was, and what the signal says.
        tempolite: the engine's writer.

    Raises:
        StorageFull: the disk is full; the intent stays open.
        MailboxFull: the writer has more work than room for it; the intent stays open.
        DatabaseUnavailable: the writer gave no answer in time; the intent stays open.
    """
    said = payload.decode(plan)
    workflow_id, at = said.pop("workflow_id"), said.pop("at")
    handed_over = said.pop("payload")
    said["payload"] = None if handed_over is None else payload.decode(handed_over)
    signal = AddSignal(
        workflow_id=workflow_id,
        message_id=intent_id,
        name=SIGNAL,
        value=payload.encode(said),
        at=at,
        replaces=PASSED_ON if intent_id.startswith(PASSED_ON) else None,
    )
    try:
        return await write(tempolite, signal)
    except (Conflict, NotFound) as error:  # it has ended, or takes no signals any more
        log.info("nobody to tell of a handoff", workflow_id=workflow_id, why=error.message)
        return ()
