"""How the bridge's commands change its database. Run by its writer, inside its transaction.

Logging a fact and what follows from it here (the mapping's status, the stored result, the end of
an assignment) are one transaction, so that no reader ever sees one without the other.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from actors import facts
from actors.coordination import repeats, revising
from actors.coordination.intents import plan_to_text
from actors.coordination.messages import (
    ApplyUpdate,
    CloseIntent,
    Identity,
    LogFacts,
    RecordAnswer,
    RecordStart,
    RecordUpdate,
)
from actors.errors import Conflict, KeyReused
from actors.facts import Fact, LoggedFact
from actors.writer import Handler
from storage import payload
from storage.coordination import queries
from storage.coordination.queries import Progress


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
        if repeats.other_than_start(connection, plan.idempotency_key):
            raise KeyReused("this idempotency key came with another request")
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
    queries.insert_intent(
        connection,
        intent_id=plan.workflow_id,
        workflow_id=plan.workflow_id,
        kind="start",
        payload=plan_to_text(plan),
        at=plan.at,
    )
    if plan.agent_type is not None:
        queries.insert_assignment(
            connection,
            workflow_id=plan.workflow_id,
            agent_type=plan.agent_type,
            agent_id=plan.agent_id,
            priority=plan.priority,
            at=plan.at,
        )
    return None


def _same_request(known: sqlite3.Row, request_sha256: str, what: str) -> str:
    if known["request_sha256"] != request_sha256:
        refusal = KeyReused if what == "idempotency key" else Conflict
        raise refusal(
            f"this {what} started workflow {known['tempolite_workflow_id']} with another request; "
            f"use a new {what} for a new request"
        )
    return str(known["tempolite_workflow_id"])


def close_intent(connection: sqlite3.Connection, command: CloseIntent) -> None:
    queries.delete_intent(connection, command.intent_id)


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
    return log_own(connection, command.facts)


def log_own(connection: sqlite3.Connection, found: Sequence[Fact]) -> tuple[LoggedFact, ...]:
    """Number and store facts, and what follows from them: few statements for many facts.

    A command that makes something true in this database logs it in its own transaction; whoever
    asked for it rings the bus, which publishes what it finds logged.
    """
    found = (*found, *revising.follow_issues(connection, found))
    names = _names_of(connection, found)
    first = queries.last_event(connection) + 1
    logged = tuple(
        LoggedFact(seq, fact.type, workflow_id, issue_id, fact.at, fact.data)
        for seq, (fact, (workflow_id, issue_id)) in enumerate(
            zip(found, names, strict=True), start=first
        )
    )
    events = [(*fact[:-1], payload.encode(dict(fact.data))) for fact in logged]
    queries.insert_events(connection, events)
    results = [
        (fact.workflow_id, *fact.result, fact.at)
        for fact, (_, issue_id) in zip(found, names, strict=True)
        # a child's are in its history, and its output in its parent's
        if fact.result is not None and issue_id is not None
    ]
    queries.insert_results(connection, results)
    _follow(connection, found)
    return logged


def apply_update(connection: sqlite3.Connection, command: ApplyUpdate) -> bool:
    found, is_new = revising.apply_update(connection, command)
    if found:
        log_own(connection, found)
    return is_new


def _names_of(
    connection: sqlite3.Connection, found: Sequence[Fact]
) -> list[tuple[str | None, str | None]]:
    """The workflow and the issue of each fact: one belongs to the other."""
    issueless = {f.workflow_id for f in found if f.workflow_id is not None and f.issue_id is None}
    others = {f.issue_id for f in found if f.workflow_id is None and f.issue_id is not None}
    issues = queries.issues_of(connection, sorted(issueless)) if issueless else {}
    workflows = queries.workflows_of(connection, sorted(others)) if others else {}
    return [
        (
            fact.workflow_id or workflows.get(fact.issue_id or ""),
            fact.issue_id or issues.get(fact.workflow_id or ""),
        )
        for fact in found
    ]


def _follow(connection: sqlite3.Connection, found: Sequence[Fact]) -> None:
    """What facts mean for the rest of this database; of several of one workflow the last counts."""
    progress: dict[str, Progress] = {}
    ends: dict[str, str] = {}
    for fact in found:
        if fact.workflow_id is None or fact.type in _STAND_STILL:
            continue
        reached = _progress_of(fact)
        if reached is not None:
            before = progress.get(fact.workflow_id)
            if before is not None and before.started_at is not None:
                reached.started_at = before.started_at
            progress[fact.workflow_id] = reached
        if fact.type in facts.ENDS:
            ends[fact.workflow_id] = fact.at
        elif fact.type == facts.WORKFLOW_RETRIED and fact.data["queued"]:
            queries.complete_assignments(connection, ends)  # its own may be among them
            ends.clear()
            queries.queue_again(connection, fact.workflow_id, fact.at)
    if progress:
        queries.note_progress(connection, progress)
    if ends:
        queries.complete_assignments(connection, ends)


# the commonest, which take longest to find that they mean nothing here
_STAND_STILL = frozenset({facts.STEP_COMPLETED, facts.STEP_STARTED, facts.STEP_SCHEDULED})


def _progress_of(fact: Fact) -> Progress | None:
    """Where a fact says that its workflow has got to."""
    match fact.type:
        case facts.WORKFLOW_STARTED:
            status = "paused" if fact.data.get("paused") else "active"
            return Progress(status, started_at=fact.at)
        case facts.WORKFLOW_RESUMED:
            return Progress("queued" if fact.data.get("queued") else "active")
        case facts.WORKFLOW_RETRIED:
            return Progress("queued" if fact.data["queued"] else "active")
        case facts.WORKFLOW_PAUSED:
            return Progress("paused")
        case facts.WORKFLOW_CANCEL_REQUESTED if fact.data.get("resumes"):
            return Progress("active")
        case facts.WORKFLOW_COMPLETED | facts.WORKFLOW_CANCELLED | facts.WORKFLOW_TERMINATED:
            return Progress(_ENDED_AS[fact.type], completed_at=fact.at)
        case facts.WORKFLOW_FAILED:
            return Progress("failed", None, fact.at, *_error_of(fact))
        case facts.WORKFLOW_STALLED:
            return Progress("stalled", None, None, *_error_of(fact))
        case facts.WORKFLOW_DEAD_LETTERED:
            return Progress("dead_letter", None, None, *_error_of(fact))
    return None


_ENDED_AS = {
    facts.WORKFLOW_COMPLETED: "completed",
    facts.WORKFLOW_CANCELLED: "cancelled",
    facts.WORKFLOW_TERMINATED: "terminated",
}


def _error_of(fact: Fact) -> tuple[str, str]:
    return fact.data.get("code") or "unknown", fact.data.get("message") or ""


HANDLERS: Mapping[type, Handler] = {
    RecordStart: record_start,
    CloseIntent: close_intent,
    LogFacts: log_facts,
    RecordUpdate: revising.record_update,
    ApplyUpdate: apply_update,
    RecordAnswer: repeats.keep_answer,
}
