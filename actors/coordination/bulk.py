"""The commonest of the bridge's commands, many at once: starts, and the ends of their intents.

They do what `record_start` and `close_intent` do one by one, with a fixed number of statements for
all of them. Starts that have come before, and keys that were used, are left to those.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from actors.batch import LEFT, Group
from actors.coordination.intents import plan_to_text
from actors.coordination.messages import CloseIntent, RecordStart, StartPlan
from storage.coordination import bulk


def record_starts(
    connection: sqlite3.Connection, commands: Sequence[RecordStart]
) -> Sequence[object]:
    """The answers of starts of different workflows; `LEFT` for those that may not be new."""
    plans = [command.plan for command in commands]
    keys = [plan.idempotency_key for plan in plans if plan.idempotency_key is not None]
    known = bulk.started(connection, [plan.workflow_id for plan in plans])
    used = bulk.used_keys(connection, keys) if keys else set()
    new = list(_new(plans, known, used))
    bulk.insert_mappings(connection, [_mapping(plan) for plan in new])
    bulk.insert_intents(
        connection,
        [(p.workflow_id, p.workflow_id, "start", plan_to_text(p), p.at) for p in new],
    )
    bulk.insert_assignments(
        connection,
        [
            (p.workflow_id, p.agent_type, p.agent_id, 1, *_given(p), p.priority, p.at)
            for p in new
            if p.agent_type is not None
        ],
    )
    done = {plan.workflow_id for plan in new}
    return [None if plan.workflow_id in done else LEFT for plan in plans]


def _new(plans: Sequence[StartPlan], known: set[str], used: set[str]) -> Iterator[StartPlan]:
    """Those that nobody has asked for before, here or earlier in this batch."""
    for plan in plans:
        key = plan.idempotency_key
        if plan.workflow_id not in known and key not in used:
            if key is not None:
                used.add(key)
            yield plan


def _mapping(plan: StartPlan) -> tuple[Any, ...]:
    return (
        plan.issue_id,
        plan.workflow_id,
        plan.workflow_type,
        plan.version,
        plan.title,
        plan.status,
        plan.priority,
        plan.agent_type,
        plan.variables,
        plan.at,
        plan.idempotency_key,
        plan.request_sha256,
    )


def _given(plan: StartPlan) -> tuple[str, str | None]:
    return ("queued", None) if plan.agent_id is None else ("assigned", plan.at)


def close_intents(
    connection: sqlite3.Connection, commands: Sequence[CloseIntent]
) -> Sequence[object]:
    bulk.delete_intents(connection, [command.intent_id for command in commands])
    return [None] * len(commands)


GROUPS: Mapping[type, Group] = {
    RecordStart: Group(record_starts, attrgetter("plan.workflow_id")),
    CloseIntent: Group(close_intents, attrgetter("intent_id")),
}
