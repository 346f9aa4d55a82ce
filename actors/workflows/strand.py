"""Strands: who may ask for the next operation, and what that operation is called.

A workflow starts on strand "". Each operation takes the next number of its strand: 1, 2, 3. Each
branch of a fork (`gather`, `first`) at operation 3 is a strand of its own, 3.0, 3.1 …, whose
operations are 3.0.1, 3.0.2 and so on. The names depend on the code alone, never on which branch ran
first. In the second run of a workflow that continued as new they begin with "2~", and so on: no two
operations of a workflow share a name.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

import trio

_current: ContextVar["Strand | None"] = ContextVar("beadflow_strand", default=None)


class StrandError(RuntimeError):
    """A workflow's context was used from a task that the context did not start."""


@dataclass(slots=True, eq=False)
class Strand:
    """One line of operations, bound to the trio task that runs it.

    Args:
        path: where it was forked, "" for the function itself.
        run: which run of the workflow, from 1.
        parent: the strand it was forked from.
        cancelled: the workflow's cancellation has been raised on it, or before it began.
        lost: another branch of its fork was the first, in words; "" where none was.
        shielded: it compensates, which a cancellation does not stop.
    """

    path: str
    run: int = 1
    parent: "Strand | None" = None
    cancelled: bool = False
    lost: str = ""
    shielded: bool = False
    _count: int = 0
    _draws: int = 0
    task: object = None

    def next_op(self) -> str:
        self._count += 1
        return self._op(self._count)

    def peek_op(self) -> str:
        """What `next_op` would answer."""
        return self._op(self._count + 1)

    def _op(self, number: int) -> str:
        if self.path:
            return f"{self.path}.{number}"
        return str(number) if self.run == 1 else f"{self.run}~{number}"

    def draw(self) -> str:
        """A name for the next value that is made without being recorded."""
        self._draws += 1
        return f"{self._op(self._count)}#{self._draws}"

    @property
    def takes_cancellation(self) -> bool:
        return not (self.cancelled or self.shielded)

    @property
    def has_lost(self) -> bool:
        """Whether it, or a strand it was forked from, has lost."""
        return self.why_lost != ""

    @property
    def why_lost(self) -> str:
        return self.lost or ("" if self.parent is None else self.parent.why_lost)

    @classmethod
    def enter(cls, run: int = 1) -> "Strand":
        """Make the first strand of a run, and the current task's own from here on."""
        strand = cls("", run)
        strand.bind()
        return strand

    def fork(self, path: str) -> "Strand":
        """Make a strand for a branch; its task binds it."""
        return Strand(path, self.run, self, self.cancelled, shielded=self.shielded)

    def bind(self) -> None:
        """Make it the current task's own from here on."""
        self.task = trio.lowlevel.current_task()
        _current.set(self)

    def is_under(self, path: str) -> bool:
        return self.path == path or self.path.startswith(f"{path}.")

    @classmethod
    def current(cls) -> "Strand":
        """The current task's strand.

        Raises:
            StrandError: the task was started with a nursery of its own, not by the context.
        """
        strand = _current.get()
        if strand is None or strand.task is not trio.lowlevel.current_task():
            raise StrandError(
                "the workflow's context was used from a task it did not start; run branches with "
                "ctx.gather(...) or ctx.first(...), not with a nursery of your own"
            )
        return strand


def place(op: str) -> tuple[int, ...]:
    """Where an operation stands among those of its run: "2~3.0.1" is (3, 0, 1).

    Numbers at even places are of operations, those at odd places of branches.
    """
    return tuple(map(int, op.rpartition("~")[2].split(".")))


def forks_above(op: str) -> Iterator[str]:
    """The forks that an operation lies under, innermost first: "3.0.2.1.1" is under two."""
    if "." not in op:
        return
    numbers = op.split(".")
    for length in range(len(numbers) - 2, 0, -2):
        yield ".".join(numbers[:length])
