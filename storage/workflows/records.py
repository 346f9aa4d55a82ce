"""Rows of the engine's database, as plain values."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """One workflow instance. `input` is stored JSON text, times are RFC 3339.

    Args:
        parked: it waits as this row only; no actor runs it.
        run: 1, and one more for each time it continued as new.
        run_seq: the event of its history that its present run began with.
        parent_id: whose child it is, started by the operation `parent_op` there.
    """

    workflow_id: str
    name: str
    version: int
    status: str
    input: str
    recoveries: int
    parked: int = 0
    run: int = 1
    run_seq: int = 1
    parent_id: str | None = None
    parent_op: str | None = None
    on_parent_close: str | None = None


class HistoryRow(NamedTuple):
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
    """One activity for an agent. `input`, `policy` and `outcome` are stored JSON text.

    Args:
        outcome: of the last attempt that has ended.
        next_at: when it may be tried again.
        start_by: when an agent has to have taken it for the first time.
        close_by: when it has to be done.
    """

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
    next_at: str | None = None
    start_by: str | None = None
    close_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """One signal that no operation has consumed yet; `payload` is stored JSON text."""

    position: int
    message_id: str
    name: str
    payload: str


class Ties(NamedTuple):
    """What hangs on a workflow: whose child it is, and whether it has these of its own."""

    parent_id: str | None
    children: int
    tasks: int
    heartbeats: int
