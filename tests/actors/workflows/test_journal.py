"""Recording events, and waiting until they are durable."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.errors import Conflict
from actors.workflows.history import Kind
from actors.workflows.journal import Journal
from actors.workflows.messages import AppendHistory, NewTask

EFFECT = Kind.SIDE_EFFECT_RECORDED
TASK = NewTask(op="3", agent_type="a", activity="dig", input="", policy="")


class Disk:
    """Stores commands once its gate is open."""

    def __init__(self) -> None:
        self.stored: list[AppendHistory] = []
        self.begun = 0
        self.gate = trio.Event()
        self.error: Exception | None = None

    async def write(self, command: AppendHistory) -> None:
        self.begun += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.stored.append(command)

    @property
    def seqs(self) -> list[list[int]]:
        return [[event.seq for event in command.events] for command in self.stored]


@asynccontextmanager
async def journal_on(disk: Disk) -> AsyncIterator[Journal]:
    journal = Journal(
        workflow_id="w-1",
        last_seq=1,
        write=disk.write,
        clock=lambda: datetime(2026, 3, 1, tzinfo=UTC),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run)
        yield journal
        nursery.cancel_scope.cancel()


async def test_what_is_appended_goes_on_from_the_last_stored_event() -> None:
    disk = Disk()
    disk.gate.set()
    async with journal_on(disk) as journal:
        journal.append(EFFECT, op="1")
        assert journal.last_seq == 2
        await journal.barrier()
        (command,) = disk.stored
        (event,) = command.events
        assert (command.workflow_id, event.seq, event.op) == ("w-1", 2, "1")
        assert event.at == "2026-03-01T00:00:00.000000Z"


async def test_a_barrier_with_nothing_before_it_does_not_wait() -> None:
    disk = Disk()
    async with journal_on(disk) as journal:
        with trio.fail_after(1):
            await journal.barrier()
        assert disk.begun == 0


async def test_what_gathers_while_one_write_is_on_its_way_goes_with_the_next() -> None:
    disk = Disk()
    async with journal_on(disk) as journal:
        journal.append(EFFECT, op="1")
        await wait_all_tasks_blocked()
        journal.append(EFFECT, op="2")
        journal.append(Kind.ACTIVITY_SCHEDULED, op="3", task=TASK)
        journal.append(Kind.ACTIVITY_COMPLETED, op="4", consumes_task=True)
        disk.gate.set()
        await journal.barrier()
        assert disk.seqs == [[2], [3, 4, 5]]
        assert disk.stored[1].tasks == (TASK,)
        assert disk.stored[1].consumed == ("4",)
        assert disk.stored[0].tasks == disk.stored[0].consumed == ()


async def test_a_barrier_waits_for_what_was_appended_before_it_and_no_more() -> None:
    disk = Disk()
    async with journal_on(disk) as journal:
        journal.append(EFFECT, op="1")
        passed = trio.Event()

        async def wait() -> None:
            await journal.barrier()
            passed.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            journal.append(EFFECT, op="2")
            assert not passed.is_set()
            disk.gate.set()
            disk.gate = trio.Event()  # the next write does not get through
            await passed.wait()
        assert disk.seqs == [[2]]


async def test_a_cancelled_barrier_loses_nothing() -> None:
    disk = Disk()
    async with journal_on(disk) as journal:
        journal.append(EFFECT, op="1")
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.barrier()
        disk.gate.set()
        await journal.barrier()
        assert disk.seqs == [[2]]


async def test_a_write_that_is_refused_ends_the_journal_and_lets_nobody_through() -> None:
    disk = Disk()
    disk.error = Conflict("another incarnation has gone on")
    disk.gate.set()
    passed = False
    with pytest.RaisesGroup(Conflict):
        async with journal_on(disk) as journal:
            journal.append(EFFECT, op="1")
            await journal.barrier()
            passed = True
    assert not passed
