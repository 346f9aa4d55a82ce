"""Branches: several lines of a workflow at once, and which of them was the first."""

from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import trio

from actors.workflows.causes import note_beside, note_handling
from actors.workflows.execution import CancelledError, Execution
from actors.workflows.history import Kind
from actors.workflows.replay import FIRST, NonDeterminismError
from actors.workflows.strand import Strand
from storage import payload


class Selected(NamedTuple):
    """What `ctx.select` answers: the name of the branch that was first, and its result."""

    name: str
    value: Any


@dataclass(slots=True)
class _Branch:
    """One branch: the line it runs on and what came of it."""

    strand: Strand
    value: Any = None
    error: BaseException | None = None

    async def run(self, work: Awaitable[Any]) -> None:
        self.strand.bind()
        try:
            self.value = await work
        except (Exception, CancelledError) as error:  # noqa: BLE001 - kept, and raised at the fork
            self.error = error

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


async def gather(
    execution: Execution, works: Sequence[Coroutine[Any, Any, Any]]
) -> tuple[Any, ...]:
    """Run branches at once and answer their results in order; see `Context.gather`."""
    try:
        parent = Strand.current()
        op = parent.next_op()
        note_handling(op)
        execution.replay.fork(op)
    except BaseException:
        close(works)
        raise
    branches = _fork(execution, parent, op, len(works))
    differing: list[NonDeterminismError] = []
    left = len(branches)

    async def run(branch: _Branch, work: Awaitable[Any]) -> None:
        nonlocal left
        try:
            await branch.run(work)
        except NonDeterminismError as error:
            differing.append(error)
            nursery.cancel_scope.cancel()
        finally:
            left -= 1
            if not left:  # one strand of the workflow goes on at any moment
                execution.enter(parent)
            execution.leave(branch.strand)
        await execution.journal.barrier()  # the other branches may take long

    async with trio.open_nursery() as nursery:
        for branch, work in zip(branches, works, strict=True):
            nursery.start_soon(run, branch, work)
    execution.enter(parent)
    if differing:
        raise differing[0]
    parent.cancelled = parent.cancelled or any(branch.strand.cancelled for branch in branches)
    _raise_cancellation(branches)
    errors = [branch.error for branch in branches if branch.error is not None]
    if errors:
        note_beside(errors[0], errors[1:])
    return tuple(branch.result() for branch in branches)


def _raise_cancellation(branches: Iterable[_Branch]) -> None:
    for branch in branches:
        if isinstance(branch.error, CancelledError):
            raise branch.error


async def first(execution: Execution, works: Sequence[Coroutine[Any, Any, Any]]) -> tuple[int, Any]:
    """Run branches at once until one ends; see `Context.first`."""
    try:
        if not works:
            raise ValueError("first() takes at least one branch")
        parent = Strand.current()
        op = parent.next_op()
        note_handling(op)
        record = execution.replay.take(op, FIRST)
    except BaseException:
        close(works)
        raise
    race = _Race(execution, op, parent, _fork(execution, parent, op, len(works)))
    if record is not None and record.outcome is not None:
        race.replayed(payload.decode(record.outcome.payload)["branch"])
    await race.run(works)
    execution.enter(parent)
    if race.differing:
        raise race.differing[0]
    assert race.chosen is not None  # noqa: S101 - for mypy: a race without an error has a winner
    winner = race.branches[race.chosen]
    parent.cancelled = parent.cancelled or winner.strand.cancelled
    return race.chosen, winner.result()


class _Race:
    """Branches of which one will have been the first.

    That it was is recorded before anything follows from it. A replay runs the others as far as they
    had got, because they may have left something in variables that the code reads afterwards.
    """

    def __init__(
        self, execution: Execution, op: str, parent: Strand, branches: list[_Branch]
    ) -> None:
        self._execution = execution
        self._op = op
        self._parent = parent
        self._is_replayed = False
        self.branches = branches
        self.chosen: int | None = None
        self.differing: list[NonDeterminismError] = []

    def replayed(self, chosen: int) -> None:
        self._is_replayed = True
        self.chosen = chosen
        self._mark_losers()

    async def run(self, works: Sequence[Coroutine[Any, Any, Any]]) -> None:
        async with trio.open_nursery() as nursery:
            for index, work in enumerate(works):
                nursery.start_soon(self._one, nursery, index, work)

    async def _one(self, nursery: trio.Nursery, index: int, work: Awaitable[Any]) -> None:
        strand = self.branches[index].strand
        try:
            await self.branches[index].run(work)
        except NonDeterminismError as error:
            self.differing.append(error)
            nursery.cancel_scope.cancel()
            return
        if self.chosen is None:
            if strand.has_lost:  # so has the whole race, in another one
                await self._execution.freeze(strand)
            self._choose(index)
        elif not self._is_replayed or index != self.chosen:
            self._execution.leave(strand)
            return
        self._execution.enter(self._parent)  # one strand of the workflow goes on at any moment
        self._execution.leave(strand)
        await self._execution.quiet(tuple(branch.strand.path for branch in self._losers()))
        for branch in self._losers():
            self._execution.replay.abandon(branch.strand.path)
        nursery.cancel_scope.cancel()

    def _choose(self, index: int) -> None:
        self.chosen = index
        self._mark_losers()
        body = payload.encode({"branch": index})
        self._execution.journal.append(Kind.BRANCH_CHOSEN, op=self._op, payload=body)
        self._execution.lose()

    def _losers(self) -> list[_Branch]:
        return [branch for index, branch in enumerate(self.branches) if index != self.chosen]

    def _mark_losers(self) -> None:
        for branch in self._losers():
            branch.strand.lost = f"another branch of operation {self._op} was the first"


def _fork(execution: Execution, parent: Strand, op: str, count: int) -> list[_Branch]:
    branches = [_Branch(parent.fork(f"{op}.{index}")) for index in range(count)]
    for branch in branches:
        execution.enter(branch.strand)
    execution.leave(parent)
    return branches


def close(works: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Say that these will never run."""
    for work in works:
        work.close()
