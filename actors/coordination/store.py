"""How the bridge's commands change its database. Run by its writer, inside its transaction.

Logging a fact and what follows from it here (the mapping's status, the stored result, the end of
an assignment) are one transaction, so that no reader ever sees one without the other.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from actors import facts
from actors.agents.messages import AssignQueued
from actors.coordination.intents import plan_to_text
from actors.coordination.messages import CloseIntent, Identity, LogFacts, RecordStart
from actors.errors import Conflict
from actors.facts import Fact, LoggedFact, Result
from actors.writer import Handler
from storage import payload
from storage.coordination import queries


def record_start(connection: sqlite3.Connection, command: RecordStart) -> str | None:
    plan = command.plan
    there = queries.mapping(connection, plan.workflow_id)
    if there is not None:
        if there["beads_issue_id"] == plan.issue_id:
            return None  # this very start, which came twice
        return _same_request(there, plan.request_sha256, "id")
    if plan.idempotency_key is not None:
        known = queries.mapping_of_key(connection, plan.idempotency_key)
        if known is not None:
            return _same_request(known, plan.request_sha256, "idempotency key")
    values = {
        "issue_id": plan.issue_id,
        "workflow_id": plan.workflow_id,
        "workflow_type": plan.workflow_type,
        "version": plan.version,
        "title": plan.title,
        "status": plan.status,
        "priority": plan.priority,
        "agent_type": plan.agent_type,
        "variables": plan.variables,
        "at": plan.at,
        "idempotency_key": plan.idempotency_key,
        "request_sha256": plan.request_sha256,
    }
    queries.insert_mapping(connection, values)
    queries.insert_intent(connection, plan.workflow_id, plan_to_text(plan), plan.at)
    if plan.agent_type is not None:
        queries.insert_assignment(
            connection,
            workflow_id=plan.workflow_id,
            agent_type=plan.agent_type,
            agent_id=plan.agent_id,
            at=plan.at,
        )
    return None


def _same_request(known: sqlite3.Row, request_sha256: str, what: str) -> str:
    if known["request_sha256"] != request_sha256:
        raise Conflict(
            f"this {what} started workflow {known['tempolite_workflow_id']} with another request; "
            f"use a new {what} for a new request"
        )
    return str(known["tempolite_workflow_id"])


def close_intent(connection: sqlite3.Connection, command: CloseIntent) -> None:
    queries.delete_intent(connection, command.workflow_id)


def assign_queued(connection: sqlite3.Connection, command: AssignQueued) -> bool:
    return queries.assign(connection, command.workflow_id, command.agent_id, command.at)


def claim_home(connection: sqlite3.Connection, *, home: str, repository: str) -> Identity:
    """Record at the first start whose data this is, and answer it ever after."""
    if queries.meta(connection, "home") is None:
        queries.set_meta(connection, "repository", repository)
        queries.set_meta(connection, "home", home)  # last: it says that the claim is whole
    return Identity(
        home=queries.meta(connection, "home") or "",
        repository=queries.meta(connection, "repository") or "",
    )


def log_facts(connection: sqlite3.Connection, command: LogFacts) -> tuple[LoggedFact, ...] | None:
    moves = command.moves
    if any(queries.cursor(connection, move.source) != move.after for move in moves):
        return None
    for move in moves:
        queries.set_cursor(connection, move.source, move.position)
    return _log(connection, command.facts)


def _log(connection: sqlite3.Connection, found: Sequence[Fact]) -> tuple[LoggedFact, ...]:
    """Number and store facts, and what follows from them: few statements for many facts."""
    seq = queries.last_event(connection)
    names = _Names(connection)
    logged: list[LoggedFact] = []
    results: list[tuple[object, ...]] = []
    for fact in found:
        seq += 1
        workflow_id, issue_id = names.of(fact)
        logged.append(
            LoggedFact(
                seq=seq,
                type=fact.type,
                workflow_id=workflow_id,
                issue_id=issue_id,
                at=fact.at,
                data=fact.data,
            )
        )
        _follow(connection, fact)
        if fact.result is not None and issue_id is not None:
            # a child's are in its history, and its output in its parent's
            results.append(_result_row(fact.workflow_id, fact.result, fact.at))
    queries.insert_events(connection, map(_event_row, logged))
    queries.insert_results(connection, results)
    return tuple(logged)


class _Names:
    """Which workflow an issue belongs to, and the other way round; asked once for each."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._issues: dict[str, str | None] = {}
        self._workflows: dict[str, str | None] = {}

    def of(self, fact: Fact) -> tuple[str | None, str | None]:
        workflow_id, issue_id = fact.workflow_id, fact.issue_id
        if workflow_id is not None and issue_id is None:
            if workflow_id not in self._issues:
                self._issues[workflow_id] = queries.issue_of(self._connection, workflow_id)
            issue_id = self._issues[workflow_id]
        elif workflow_id is None and issue_id is not None:
            if issue_id not in self._workflows:
                self._workflows[issue_id] = queries.workflow_of(self._connection, issue_id)
            workflow_id = self._workflows[issue_id]
        return workflow_id, issue_id


def _event_row(fact: LoggedFact) -> tuple[int, str, str | None, str | None, str, str]:
    text = payload.encode(dict(fact.data))
    return fact.seq, fact.type, fact.workflow_id, fact.issue_id, fact.at, text


def _result_row(workflow_id: str | None, result: Result, at: str) -> tuple[object, ...]:
    return (
        workflow_id,
        result.step,
        result.result_type,
        result.agent_type,
        result.agent_id,
        payload.encode(result.value),
        result.confidence_score,
        at,
    )


def _follow(connection: sqlite3.Connection, fact: Fact) -> None:
    """What a fact means for the rest of this database."""
    if fact.workflow_id is None:
        return
    workflow_id, error = fact.workflow_id, (fact.data.get("code"), fact.data.get("message"))
    match fact.type:
        case facts.WORKFLOW_STARTED:
            status = "paused" if fact.data.get("paused") else "active"
            queries.set_status(connection, workflow_id, status, started_at=fact.at)
        case facts.WORKFLOW_RESUMED:
            status = "queued" if fact.data.get("queued") else "active"
            queries.set_status(connection, workflow_id, status)
        case facts.WORKFLOW_PAUSED:
            queries.set_status(connection, workflow_id, "paused")
        case facts.WORKFLOW_CANCEL_REQUESTED if fact.data.get("resumes"):
            queries.set_status(connection, workflow_id, "active")
        case facts.WORKFLOW_CANCELLED:
            queries.set_status(connection, workflow_id, "cancelled", completed_at=fact.at)
        case facts.WORKFLOW_TERMINATED:
            queries.set_status(connection, workflow_id, "terminated", completed_at=fact.at)
        case facts.WORKFLOW_STALLED:
            queries.set_status(connection, workflow_id, "stalled", error=_pair(error))
        case facts.WORKFLOW_COMPLETED:
            queries.set_status(connection, workflow_id, "completed", completed_at=fact.at)
        case facts.WORKFLOW_FAILED:
            queries.set_status(
                connection, workflow_id, "failed", completed_at=fact.at, error=_pair(error)
            )
        case facts.WORKFLOW_DEAD_LETTERED:
            queries.set_status(connection, workflow_id, "dead_letter", error=_pair(error))
    if fact.type in facts.ENDS:
        queries.complete_assignments(connection, workflow_id, fact.at)


def _pair(error: tuple[str | None, str | None]) -> tuple[str, str]:
    code, message = error
    return code or "unknown", message or ""


HANDLERS: Mapping[type, Handler] = {
    RecordStart: record_start,
    CloseIntent: close_intent,
    AssignQueued: assign_queued,
    LogFacts: log_facts,
}
