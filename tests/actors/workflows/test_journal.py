"""Recording events, and waiting until they are durable."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import trio
from trio.testing import wait_all_tasks_blocked

from actors.errors import Conflict
from actors.workflows.history import Kind
from actors.workflows.journal import Journal
from actors.workflows.messages import (
    Appended,
    AppendHistory,
    NewChild,
    NewRun,
    NewTask,
    RunTransaction,
    Transacted,
)

EFFECT = Kind.SIDE_EFFECT_RECORDED
TASK = NewTask(op="3", agent_type="a", activity="dig", input="", policy="")
CHILD = NewChild(
    workflow_id="w-1.4",
    op="4",
    name="small",
    version=1,
    variables="[1,{}]",
    agent_type=None,
    on_parent_close="cancel",
)


class Disk:
    """Stores commands once its gate is open."""

    def __init__(self) -> None:
        self.stored: list[AppendHistory] = []
        self.ran: list[RunTransaction] = []
        self.last = 1
        self.begun = 0
        self.gate = trio.Event()
        self.error: Exception | None = None
        self.others = 0
        self.woken: tuple[str, ...] = ()
        self.told: list[tuple[str, ...]] = []
        self.broken: list[Exception] = []

    async def write(self, command: AppendHistory) -> Appended:
        self.begun += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        assert command.after == self.last
        self.stored.append(command)
        self.last += self.others + len(command.events)
        return Appended(seq=self.last, woken=self.woken)

    async def transact(self, command: RunTransaction) -> Transacted:
        await self.gate.wait()
        assert command.after == self.last
        self.ran.append(command)
        self.last += 1
        return Transacted(seq=self.last, kind=Kind.TRANSACTION_COMPLETED, payload="[1,null]")

    @property
    def seqs(self) -> list[list[int]]:
        return [
            [command.after + index for index, _ in enumerate(command.events, 1)]
            for command in self.stored
        ]


@asynccontextmanager
async def journal_on(disk: Disk) -> AsyncIterator[Journal]:
    journal = Journal(
        workflow_id="w-1",
        after=1,
        count=1,
        write=disk.write,
        transact=disk.transact,
        told=disk.told.append,
        broken=disk.broken.append,
        clock=lambda: datetime(2026, 3, 1, tzinfo=UTC),
    )
    yield journal


async def test_what_is_appended_goes_on_from_the_last_stored_event() -> None:
    disk = Disk()
    disk.gate.set()
    async with journal_on(disk) as journal:
        journal.append(EFFECT, op="1")
        assert (journal.count, journal.last_seq) == (2, 1)
        await journal.barrier()
        (command,) = disk.stored
        (event,) = command.events
        assert (command.workflow_id, command.after, event.op) == ("w-1", 1, "1")
        assert (journal.count, journal.last_seq) == (2, 2)
        assert event.at == "2026-03-01T00:00:00.000000Z"


async def test_a_barrier_with_nothing_before_it_does_not_wait() -> None:
    disk = Disk()
    async with journal_on(disk) as journal:
        with trio.fail_after(1):
            await journal.barrier()
        assert disk.begun == 0


async def test_what_gathers_while_one_write_is_on_its_way_goes_with_the_next() -> None:
    disk = Disk()
    async with journal_on(disk) as journal, trio.open_nursery() as nursery:
        journal.append(EFFECT, op="1")
        nursery.start_soon(journal.barrier)
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


async def test_a_write_that_is_refused_breaks_the_journal_and_lets_nobody_through() -> None:
    disk = Disk()
    disk.error = Conflict("another incarnation has gone on")
    disk.gate.set()
    passed = False
    async with journal_on(disk) as journal, trio.open_nursery() as nursery:

        async def follow() -> None:
            nonlocal passed
            await journal.barrier()
            passed = True

        journal.append(EFFECT, op="1")
        nursery.start_soon(follow)
        await wait_all_tasks_blocked()
        assert disk.broken == [disk.error]
        nursery.cancel_scope.cancel()
    assert not passed


async def test_what_a_cancelled_branch_had_sent_is_sent_again_as_it_was() -> None:
    disk = Disk()
    async with journal_on(disk) as journal, trio.open_nursery() as nursery:
        journal.append(EFFECT, op="1")
        scope = trio.CancelScope()

        async def cancelled() -> None:
            with scope:
                await journal.barrier()

        nursery.start_soon(cancelled)
        await wait_all_tasks_blocked()
        journal.append(EFFECT, op="2")
        scope.cancel()
        await wait_all_tasks_blocked()
        disk.gate.set()
        await journal.barrier()
        assert disk.seqs == [[2], [3]]
        assert disk.begun == 3


async def test_what_others_have_recorded_meanwhile_is_gone_on_from_and_not_counted() -> None:
    disk = Disk()
    disk.gate.set()
    disk.others = 2
    async with journal_on(disk) as journal:
        journal.append(EFFECT, op="1")
        await journal.barrier()
        assert (journal.count, journal.last_seq) == (2, 4)
        journal.append(EFFECT, op="2")
        await journal.barrier()
        assert [command.after for command in disk.stored] == [1, 4]


async def test_those_who_have_to_be_run_or_told_are_handed_on_once_all_is_durable() -> None:
    disk = Disk()
    disk.woken = ("w-2", "w-3")
    async with journal_on(disk) as journal, trio.open_nursery() as nursery:
        journal.append(EFFECT, op="1")
        nursery.start_soon(journal.barrier)
        await wait_all_tasks_blocked()
        assert disk.told == []
        disk.gate.set()
        await journal.barrier()
        assert disk.told == [("w-2", "w-3")]


async def test_all_that_goes_with_an_event_goes_in_its_command() -> None:
    disk = Disk()
    disk.gate.set()
    run = NewRun(version=2, variables="[1,{}]")
    async with journal_on(disk) as journal:
        journal.append(Kind.SIGNAL_CONSUMED, op="1", message_id="m-1")
        journal.append(Kind.OPERATION_CANCELLED, op="2", cancels_task=True, cancels_child=True)
        journal.append(Kind.ACTIVITY_COMPLETED, op="3", ends_heartbeat=True)
        journal.append(Kind.CHILD_STARTED, op="4", child=CHILD)
        journal.append(Kind.WORKFLOW_CONTINUED_AS_NEW, run=run)
        await journal.barrier()
    (command,) = disk.stored
    assert command.messages == (("m-1", "1"),)
    assert command.cancelled == command.cancelled_children == ("2",)
    assert command.heartbeats == ("3",)
    assert command.children == (CHILD,)
    assert command.run == run


async def test_a_new_run_counts_from_its_own_first_event() -> None:
    disk = Disk()
    disk.gate.set()
    async with journal_on(disk) as journal:
        for _ in range(3):
            journal.append(EFFECT, op="1")
        journal.append(Kind.WORKFLOW_CONTINUED_AS_NEW)
        await journal.barrier()
        journal.begin_run()
        assert journal.count == 1
        journal.append(EFFECT, op="2~1")
        await journal.barrier()
        assert (journal.count, disk.seqs[-1]) == (2, [6])


async def test_a_transaction_follows_what_was_appended_before_it_and_is_counted() -> None:
    disk = Disk()
    async with journal_on(disk) as journal:
        journal.append(EFFECT, op="1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.transaction, "2", "name", len, "x")
            await wait_all_tasks_blocked()
            assert disk.ran == []
            disk.gate.set()
        (command,) = disk.ran
        assert (command.after, command.op, command.name, command.value) == (2, "2", "name", "x")
        assert (journal.count, journal.last_seq) == (3, 3)
        journal.append(EFFECT, op="3")
        await journal.barrier()
        assert disk.seqs == [[2], [4]]


async def test_what_is_appended_while_a_transaction_runs_follows_it() -> None:
    disk = Disk()
    async with journal_on(disk) as journal:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.transaction, "1.0.1", "name", len, "x")
            await wait_all_tasks_blocked()
            journal.append(EFFECT, op="1.1.1")
            await wait_all_tasks_blocked()
            assert disk.begun == 0
            disk.gate.set()
            await journal.barrier()
        assert (disk.ran[0].after, disk.seqs) == (1, [[3]])
