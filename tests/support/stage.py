"""One workflow over a history in memory: what its context does, and what it only repeats."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import trio

from actors.workflows.context import Context
from actors.workflows.definition import Definitions
from actors.workflows.execution import CancelledError, ChildEnd, Execution
from actors.workflows.history import OUTER, HistoryEvent, Kind
from actors.workflows.journal import Journal
from actors.workflows.messages import (
    Appended,
    AppendHistory,
    RecordHeartbeat,
    RunTransaction,
    Transacted,
)
from actors.workflows.replay import NonDeterminismError, Replay
from actors.workflows.strand import Strand
from storage.workflows.records import TaskRow

Body = Callable[[Context], Awaitable[Any]]

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def _raise(error: Exception) -> None:
    raise error


def started() -> list[HistoryEvent]:
    return [HistoryEvent(seq=1, kind=Kind.WORKFLOW_STARTED, at="t")]


@dataclass
class Stage:
    """Where one workflow runs, is cut off, and runs again.

    Its clock is trio's: moments pass as trio's clock passes them.
    """

    stored: list[HistoryEvent] = field(default_factory=started)
    offered: int = 0
    lines: list[tuple[str, str]] = field(default_factory=list)
    outcomes: dict[str, TaskRow] = field(default_factory=dict)
    heartbeats: dict[str, str] = field(default_factory=dict)
    stalled: bool = False
    execution: Execution | None = None

    async def run(self, body: Body) -> Any:
        """Run the body to its end on what is stored; a new life each time."""
        journal = Journal(
            workflow_id="w-1",
            after=max(event.seq for event in self.stored if event.kind not in OUTER),
            count=len(self.stored),
            write=self.write,
            transact=self.transact,
            broken=_raise,
            told=lambda _: None,
            clock=self.now,
        )
        replay = Replay.of("w-1", self.stored)
        self.execution = execution = Execution(
            workflow_id="w-1",
            issue_id="x-1",
            run=1,
            replay=replay,
            journal=journal,
            surroundings=self,
            definitions=Definitions(),
            recovered=replay.behind,
            stalled=self.stalled,
        )
        outcome = await self.outcome(body, execution)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def outcome(self, body: Body, execution: Execution) -> Any:
        execution.enter(Strand.enter())
        try:
            answer = await body(Context(execution))
            execution.replay.close()
        except (Exception, NonDeterminismError, CancelledError) as error:  # noqa: BLE001 - out of the nursery as it is
            answer = error
        await execution.journal.barrier()
        return answer

    async def write(self, command: AppendHistory) -> Appended:
        await trio.lowlevel.checkpoint()
        for event in command.events:
            self.stored.append(
                HistoryEvent(
                    seq=self.stored[-1].seq + 1,
                    kind=event.kind,
                    op=event.op,
                    name=event.name,
                    payload=event.payload,
                    at=event.at,
                )
            )
        return Appended(seq=self.stored[-1].seq)

    async def transact(self, command: RunTransaction) -> Transacted:
        raise NotImplementedError(command.name)

    def waiting_for(self) -> list[str]:
        """The operations in progress."""
        assert self.execution is not None
        return sorted(f"{op} {found.name}" for op, found in self.execution.pending.items())

    # What the context needs of its actor.

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=trio.current_time())

    def offer_task(self) -> None:
        self.offered += 1

    def withdraw_task(self, op: str) -> None:
        pass

    def task_outcome(self, op: str) -> TaskRow | None:
        return self.outcomes.get(op)

    def child_end(self, workflow_id: str) -> ChildEnd | None:
        return None

    async def news(self) -> None:
        await trio.sleep_forever()

    def idle(self) -> None:
        pass

    def heartbeat(self, command: RecordHeartbeat) -> None:
        self.heartbeats[command.op] = command.details

    def last_heartbeat(self, op: str) -> str | None:
        return self.heartbeats.get(op)

    def log(self, message: str, level: str) -> None:
        self.lines.append((message, level))

    # What is stored.

    def kinds(self) -> list[Kind]:
        return [event.kind for event in self.stored]

    def ops(self) -> dict[str, str]:
        return {event.op: event.name for event in self.stored if event.op}
