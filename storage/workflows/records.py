"""Rows of the engine's database, as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """One workflow instance. `input` is stored JSON text, times are RFC 3339."""

    workflow_id: str
    name: str
    version: int
    status: str
    input: str
    recoveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One event of a history; `position` is its place in the outbox."""

    position: int
    workflow_id: str
    seq: int
    kind: str
    op: str
    name: str
    payload: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One activity for an agent. `input`, `policy` and `outcome` are stored JSON text."""

    workflow_id: str
    op: str
    agent_type: str
    activity: str
    input: str
    policy: str
    state: str
    attempt: int
    fence: int
    agent_id: str | None
    outcome: str | None
