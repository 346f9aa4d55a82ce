"""What the server says, parsed at the edge into records.

Commands that print JSON pass the server's own objects on (`raw`), so that a field added by a newer
server is not lost; everything that decides or draws uses the records. Unknown fields are ignored,
and a missing one that matters is a Problem, not a crash.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cli import problem

Status = Literal[
    "queued",
    "active",
    "paused",
    "stalled",
    "completed",
    "failed",
    "cancelled",
    "terminated",
    "dead_letter",
]
STATUSES: tuple[Status, ...] = get_args(Status)
FINAL = frozenset({"completed", "failed", "cancelled", "terminated", "dead_letter"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One workflow as the server sees it now."""

    id: str
    issue_id: str
    type: str
    title: str
    status: str
    priority: int | None
    agent: str
    created_at: str
    started_at: str
    completed_at: str
    error: str
    parent_id: str
    links: Mapping[str, str]
    raw: Mapping[str, Any]

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def succeeded(self) -> bool:
        return self.status == "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowType:
    """A kind of workflow that can be started; `variables` marks required names with `*`.

    `agents` are the types of agents that it may be handed to. `warnings` are what the server says
    its code must not do, a line each.
    """

    name: str
    version: str
    description: str
    agent: str
    agents: tuple[str, ...]
    variables: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One stored result; `value` is whatever the step or the workflow returned."""

    step: str
    result_type: str
    agent: str
    confidence: float | None
    created_at: str
    value: Any

    @property
    def is_output(self) -> bool:
        """True for the workflow's own final value."""
        return self.result_type == "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a workflow's log."""

    seq: int
    at: str
    level: str
    source: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """One event of a workflow's history; `payload` depends on its kind."""

    seq: int
    kind: str
    op: str
    name: str
    at: str
    payload: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact from the event log; `seq` grows, and resuming after it loses nothing."""

    seq: int
    type: str
    workflow_id: str
    issue_id: str
    at: str
    data: Mapping[str, Any]


def workflow(raw: object) -> Workflow:
    fields = mapping(raw, "a workflow")
    return Workflow(
        id=required(fields, "id", "a workflow"),
        issue_id=text(fields, "beads_issue_id"),
        type=text(fields, "type"),
        title=text(fields, "title"),
        status=required(fields, "status", "a workflow"),
        priority=whole(fields, "priority"),
        agent=_agent(fields),
        created_at=text(fields, "created_at"),
        started_at=text(fields, "started_at"),
        completed_at=text(fields, "completed_at"),
        error=_error(fields.get("error")),
        parent_id=text(fields, "parent_id"),
        links=_links(fields.get("links")),
        raw=fields,
    )


def _agent(fields: Mapping[str, Any]) -> str:
    """Who has it, or what it waits for."""
    waits_for = text(fields, "waits_for_agent")
    if waits_for:
        return f"waits for {waits_for}"
    return text(fields, "agent_id") or text(fields, "agent_type")


def workflow_type(raw: object) -> WorkflowType:
    fields = mapping(raw, "a workflow type")
    return WorkflowType(
        name=required(fields, "name", "a workflow type"),
        version=text(fields, "version"),
        description=text(fields, "description"),
        agent=text(fields, "agent_type"),
        agents=_words(fields.get("agents")),
        variables=_variables(fields.get("variables")),
        warnings=_warnings(fields.get("warnings")),
    )


def _words(raw: object) -> tuple[str, ...]:
    return tuple(each for each in raw if isinstance(each, str)) if isinstance(raw, list) else ()


def result(raw: object) -> Result:
    fields = mapping(raw, "a result")
    return Result(
        step=text(fields, "step"),
        result_type=required(fields, "result_type", "a result"),
        agent=text(fields, "agent_id") or text(fields, "agent_type"),
        confidence=number(fields, "confidence_score"),
        created_at=text(fields, "created_at"),
        value=fields.get("result_data"),
    )


def log_line(raw: object) -> LogLine:
    fields = mapping(raw, "a log line")
    return LogLine(
        seq=_sequence(fields),
        at=text(fields, "at"),
        level=text(fields, "level"),
        source=text(fields, "source"),
        message=text(fields, "message"),
    )


def history_event(raw: object) -> HistoryEvent:
    fields = mapping(raw, "an event of a history")
    return HistoryEvent(
        seq=_sequence(fields),
        kind=required(fields, "kind", "an event of a history"),
        op=text(fields, "op"),
        name=text(fields, "name"),
        at=text(fields, "at"),
        payload=fields.get("payload"),
    )


def event(raw: object) -> Event:
    fields = mapping(raw, "an event")
    data = fields.get("data")
    return Event(
        seq=_sequence(fields),
        type=required(fields, "type", "an event"),
        workflow_id=text(fields, "workflow_id"),
        issue_id=text(fields, "issue_id"),
        at=text(fields, "at"),
        data=data if isinstance(data, dict) else {},
    )


def items(answer: Mapping[str, Any]) -> list[Any]:
    """The list in an answer that carries one under `data`."""
    data = answer.get("data")
    if not isinstance(data, list):
        raise problem.unreadable("it should hold a list under `data`")
    return data


def text(fields: Mapping[str, Any], key: str) -> str:
    """A field as text: absent and null are empty, numbers are written out."""
    value = fields.get(key)
    return "" if value is None or isinstance(value, dict | list) else str(value)


def whole(fields: Mapping[str, Any], key: str) -> int | None:
    value = fields.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(fields: Mapping[str, Any], key: str) -> float | None:
    value = fields.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def mapping(raw: object, what: str) -> dict[str, Any]:
    """An object of the answer; `what` says what it should be."""
    if not isinstance(raw, dict):
        raise problem.unreadable(f"it should hold {what}")
    return raw


def required(fields: Mapping[str, Any], key: str, what: str) -> str:
    """A field as text without which `what` cannot be used."""
    if found := text(fields, key):
        return found
    raise problem.unreadable(f"it holds {what} without `{key}`")


def _sequence(fields: Mapping[str, Any]) -> int:
    seq = whole(fields, "seq")
    if seq is None:
        raise problem.unreadable("an entry has no `seq`")
    return seq


def _error(raw: object) -> str:
    if not isinstance(raw, dict):
        return ""
    return ": ".join(part for part in (text(raw, "code"), text(raw, "message")) if part)


def _links(raw: object) -> dict[str, str]:
    if not isinstance(raw, dict):
        return {}
    return {name: value for name, value in raw.items() if isinstance(value, str)}


def _variables(schema: object) -> tuple[str, ...]:
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        return ()
    required = schema.get("required") or ()
    return tuple(f"{name}*" if name in required else name for name in schema["properties"])


def _warnings(found: object) -> tuple[str, ...]:
    entries = found if isinstance(found, list) else []
    return tuple(_warning(entry) for entry in entries if isinstance(entry, dict))


def _warning(entry: dict[str, Any]) -> str:
    where = f"{text(entry, 'file')}:{text(entry, 'line')}"
    what = f"{text(entry, 'what')} ({text(entry, 'rule')})"
    return f"{where}: {what}: {text(entry, 'why')}; instead: {text(entry, 'instead')}"
