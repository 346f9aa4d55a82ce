"""An agent that closes the issue of its workflow says so that its step is done.

Pure: which step that is, and what its result is.
"""

import contextlib
import json
from collections.abc import Iterator
from typing import Any, Final

from actors.coordination.reconciling.view import OpenTask, View
from actors.issues import issue
from actors.workflows.activities import check_result, encode_result
from actors.workflows.definition import ActivityDefinition, ActivityFailure
from storage.issues import instants

DONE: Final = "done"


def step_of(view: View, agent_id: str, closed_at: str) -> OpenTask | None:
    """The step that the agent is at; None where nothing waits for it.

    What was scheduled after the close is another step, which nobody has done yet.
    """
    before = [t for t in view.tasks if not _is_later(t.created_at, closed_at)]
    own = [task for task in before if task.agent_id == agent_id and task.state == "running"]
    held = view.mapped is not None and view.mapped.agent_id == agent_id
    kind = view.mapped.assigned_type if held and view.mapped is not None else None
    waiting = [task for task in before if task.state == "ready" and task.agent_type == kind]
    return next(iter((*own, *waiting)), None)


def result_of(
    view: View,
    agent_id: str,
    task: OpenTask,
    definition: ActivityDefinition | None,
    closed_at: str,
) -> str | None:
    """The stored result; None where nothing that was said is what the activity answers.

    It is the close reason: the JSON in it where it is some, else its text, or the notes of the
    issue where no reason was given.
    """
    facts: dict[str, object] = {"agent_id": agent_id, "agent_type": task.agent_type, "attempts": 1}
    facts["seconds"] = (instants.to_ns(closed_at) - instants.to_ns(task.created_at)) / 1e9
    for value in _said(view):
        try:
            text = encode_result(value, "what the agent said", **facts)
            return text if definition is None else check_result(definition, text)
        except ActivityFailure:
            continue
    return None


def said(view: View) -> str:
    """What the agent said when it closed the issue."""
    row = (view.told.row if view.told is not None else None) or {}
    reason = str(row.get("close_reason") or "")
    if reason in ("", issue.DEFAULT_REASON):
        reason = str(row.get("notes") or "")
    return reason.strip()


def _said(view: View) -> Iterator[Any]:
    """What it can mean, the likeliest first."""
    text = said(view) or DONE
    value: Any = None
    with contextlib.suppress(ValueError):
        value = json.loads(text)
    if isinstance(value, dict | list):
        yield value
    yield text
    yield {"summary": text}
    yield value


def _is_later(one: str, other: str) -> bool:
    return instants.to_ns(one) > instants.to_ns(other)
