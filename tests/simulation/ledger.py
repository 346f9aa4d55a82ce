"""The ledger: what really happened in a simulation, in order, over all lives of the process.

Steps enter their own beginning. What was committed is entered by a witness beside the writers,
right after the commit and before anybody is told. What a life did after it was killed is cut, since
nobody will ever see it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from actors.batch import Batches
from actors.workflows.history import Kind
from actors.workflows.messages import AppendHistory

ENDED = (Kind.ACTIVITY_COMPLETED, Kind.ACTIVITY_FAILED)
WORKLOADS = """
    SELECT agent_id, count(*) FROM agent_assignments WHERE status = 'assigned' GROUP BY agent_id"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt of a step began."""

    at_s: float
    step: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a step is in the history; it may come twice, as its command may."""

    at_s: float
    step: str


@dataclass(frozen=True, slots=True)
class Workload:
    """So many workflows have this agent assigned."""

    at_s: float
    agent_id: str
    workflows: int


ledger: list[Attempt | Outcome | Workload] = []


@contextmanager
def witnessed() -> Iterator[None]:
    """Keep the ledger while the block runs."""
    commit = Batches.commit

    def commit_and_enter(self: Batches, conn: sqlite3.Connection, commands: list[object]) -> Any:
        outcomes = commit(self, conn, commands)
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(command, AppendHistory) and not isinstance(outcome, Exception):
                steps = [f"{command.workflow_id}/{e.op}" for e in command.events if e.kind in ENDED]
                ledger.extend(Outcome(trio.current_time(), step) for step in steps)
        if self._database == "coordination":
            ledger.extend(Workload(trio.current_time(), *row) for row in conn.execute(WORKLOADS))
        return outcomes

    ledger.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batches, "commit", commit_and_enter)
        yield
