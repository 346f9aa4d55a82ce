"""How changes of title, priority and variables go into the bridge's database.

Run by its writer, inside its transaction. A change that the engine has to make, too, is an intent
first: whoever finds it goes on with it. Nobody sees anything of it before it is made there, since
the engine can refuse. The issue follows the fact. The other way round, an issue whose title or
priority somebody changes by hand, here or in another clone, takes the workflow along.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from actors import facts
from actors.clock import rfc3339
from actors.coordination import repeats
from actors.coordination.messages import (
    ApplyUpdate,
    RecordUpdate,
    UpdatePlan,
    WorkflowChanged,
)
from actors.errors import NotFound, Overloaded
from actors.facts import Fact, LoggedFact
from storage import payload
from storage.coordination import queries, updates

KIND: Final = "update"
BY_THE_ISSUE: Final = "issue"
"""The author of a change that follows a workflow's issue."""


def plan_to_text(plan: UpdatePlan) -> str:
    return payload.encode(asdict(plan))


def plan_from_text(text: str) -> UpdatePlan:
    stored = payload.decode(text)
    key = stored.pop("key")
    return UpdatePlan(**stored, key=None if key is None else (key[0], key[1]))


def record_update(connection: sqlite3.Connection, command: RecordUpdate) -> bool:
    """Decide it; False where it was made before: its key says so."""
    plan = command.plan
    if _is_known(connection, plan):
        return False
    _require(connection, plan.workflow_id, command.expected)
    there = updates.open_update(connection, plan.workflow_id)
    if there is None:
        _insert(connection, plan)
    elif there != plan.update_id:
        raise Overloaded(f"another change of workflow {plan.workflow_id} is being made")
    return True


def apply_update(
    connection: sqlite3.Connection, command: ApplyUpdate
) -> tuple[Sequence[Fact], bool]:
    """What is to be logged about it, and whether it is new. The same twice is once."""
    plan = command.plan
    queries.delete_intent(connection, plan.update_id)
    if _is_known(connection, plan):
        return (), False
    row = _require(connection, plan.workflow_id, None)
    if row["updated_at"] == plan.at:  # done: each change has a moment of its own
        return (), False
    if command.expected is not None:
        _require(connection, plan.workflow_id, command.expected)
    changed = _changed(row, plan)
    if changed:
        _update(connection, row, plan.workflow_id, changed, plan.at)
    if plan.key is not None:
        key, sha256 = plan.key
        answer = {"workflow_id": plan.workflow_id}
        repeats.remember(connection, key, sha256, answer=answer, at=plan.at)
    return ((_fact(plan.workflow_id, changed, plan.author, plan.at),) if changed else ()), True


def follow_issues(connection: sqlite3.Connection, found: Sequence[Fact]) -> tuple[Fact, ...]:
    """Take over what was changed on issues by hand; answers what is to be logged about that.

    A change that only follows the workflow comes back here, and is none: it is not later than what
    it follows.
    """
    by_hand = [
        fact
        for fact in found
        if fact.type in (facts.ISSUE_UPDATED, facts.ISSUE_CLOSED)
        and fact.issue_id is not None
        and not fact.data.get("automatic")
        and not {"title", "priority"}.isdisjoint(fact.data.get("fields", ()))
    ]
    if not by_hand:
        return ()
    ids = sorted({fact.issue_id for fact in by_hand if fact.issue_id is not None})
    followed: list[Fact] = []
    for fact in by_hand:  # one by one: of several of one issue each has its fact
        row = updates.of_issues(connection, ids).get(fact.issue_id or "")
        if row is not None and (row["updated_at"] or "") < fact.at:
            followed += _follow(connection, row, fact)
    return tuple(followed)


def _follow(connection: sqlite3.Connection, row: sqlite3.Row, fact: Fact) -> list[Fact]:
    given = {name: fact.data.get(name) for name in ("title", "priority")}
    changed = {
        name: value
        for name, value in given.items()
        if name in fact.data["fields"] and value is not None and row[name] != value
    }
    if not changed:
        return []
    workflow_id = row["tempolite_workflow_id"]
    _update(connection, row, workflow_id, changed, fact.at)
    if "priority" in changed:
        plan = UpdatePlan(
            update_id=f"{workflow_id}@{fact.at}",
            workflow_id=workflow_id,
            priority=changed["priority"],
            author=BY_THE_ISSUE,
            at=fact.at,
        )
        _insert(connection, plan)
    return [_fact(workflow_id, changed, BY_THE_ISSUE, fact.at)._replace(issue_id=fact.issue_id)]


def is_of_an_issue(fact: LoggedFact) -> bool:
    """Whether a workflow was changed because its issue was: the engine has to hear of it."""
    return fact.type == facts.WORKFLOW_UPDATED and fact.data["author"] == BY_THE_ISSUE


def _insert(connection: sqlite3.Connection, plan: UpdatePlan) -> None:
    queries.insert_intent(
        connection,
        intent_id=plan.update_id,
        workflow_id=plan.workflow_id,
        kind=KIND,
        payload=plan_to_text(plan),
        at=plan.at,
    )


def _is_known(connection: sqlite3.Connection, plan: UpdatePlan) -> bool:
    return plan.key is not None and repeats.known(connection, *plan.key) is not None


def _require(connection: sqlite3.Connection, workflow_id: str, expected: str | None) -> sqlite3.Row:
    row = queries.mapping(connection, workflow_id)
    if row is None:
        raise NotFound(f"there is no workflow {workflow_id!r}")
    if expected not in (None, row["updated_at"]):
        raise WorkflowChanged(f"workflow {workflow_id} has changed since {expected}")
    return row


def _changed(row: sqlite3.Row, plan: UpdatePlan) -> dict[str, Any]:
    """What is another than before; variables as stored text."""
    given = {"title": plan.title, "priority": plan.priority, "metadata": plan.variables}
    return {
        name: value for name, value in given.items() if value is not None and row[name] != value
    }


def _update(
    connection: sqlite3.Connection,
    row: sqlite3.Row,
    workflow_id: str,
    changed: Mapping[str, Any],
    at: str,
) -> None:
    after = {name: row[name] for name in ("title", "priority", "metadata")} | dict(changed)
    updates.update(
        connection,
        workflow_id,
        title=after["title"],
        priority=after["priority"],
        variables=after["metadata"],
        at=at,
    )


def _fact(workflow_id: str, changed: Mapping[str, Any], author: str, at: str) -> Fact:
    names = {"metadata": "variables"}
    shown = {name: value for name, value in changed.items() if name != "metadata"}
    fields = sorted(names.get(name, name) for name in changed)
    data = {"fields": fields, "author": author, **shown}
    return Fact(type=facts.WORKFLOW_UPDATED, workflow_id=workflow_id, at=at, data=data)


def later(at: str, than: str) -> str:
    """A moment of its own for a change: now, or just after the last one."""
    if at > than:
        return at
    return rfc3339(datetime.fromisoformat(than) + timedelta(microseconds=1))
