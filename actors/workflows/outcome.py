"""What became of a run: which of its function's errors decides, what is stored, what is answered.

Pure. Used by the workflow's actor and by whoever reruns a history.
"""

from actors.errors import Conflict
from actors.workflows.activities import failure_of
from actors.workflows.definition import ActivityFailure
from actors.workflows.execution import CancelledError, HistoryTooLarge
from actors.workflows.replay import NonDeterminismError
from actors.workflows.saga import CompensationError
from actors.workflows.steps import ActivityError
from actors.workflows.waits import ChildError


def failure_of_run(error: BaseException) -> ActivityFailure:
    """The failure that a workflow is recorded with when its function raised `error`."""
    if isinstance(error, ActivityError | ChildError | CompensationError):
        return ActivityFailure(error.code, str(error))
    if isinstance(error, HistoryTooLarge):
        return ActivityFailure("history_too_large", str(error))
    return failure_of(error)


def decisive(error: BaseException) -> BaseException:
    """What a nursery of the workflow's own has wrapped, when that decides what becomes of it."""
    for kind in (NonDeterminismError, CancelledError, SystemExit):
        found: BaseException | None = None
        if isinstance(error, BaseExceptionGroup):
            found = error.subgroup(kind)
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        if found is not None:
            return found
    return error


def stalled(workflow_id: str, why: str) -> Conflict:
    """What a query is answered once the workflow's code does not get to where it was."""
    return Conflict(
        f"workflow {workflow_id} is stalled: {why}",
        code="workflow_stalled",
        hint="bring back code that fits its history, start the server again, and ask again",
    )
