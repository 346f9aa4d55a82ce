"""Strands: who may ask for the next operation, and what that operation is called.

A workflow starts on strand "". Each operation takes the next number of its strand: 1, 2, 3. Each
branch of a gather at operation 3 is a strand of its own, 3.0, 3.1 …, whose operations are 3.0.1,
3.0.2 and so on. The names depend on the code alone, never on which branch ran first.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field

import trio

_current: ContextVar["Strand | None"] = ContextVar("beadflow_strand", default=None)


class StrandError(RuntimeError):
    """A workflow's context was used from a task that the context did not start."""


@dataclass(slots=True)
class Strand:
    """One line of operations, bound to the trio task that runs it."""

    path: str
    _count: int = 0
    task: object = field(default_factory=trio.lowlevel.current_task)

    def next_op(self) -> str:
        self._count += 1
        return f"{self.path}.{self._count}" if self.path else str(self._count)

    @classmethod
    def enter(cls, path: str = "") -> "Strand":
        """Make a strand for the current task, and the current task's own from here on."""
        strand = cls(path)
        _current.set(strand)
        return strand

    @classmethod
    def current(cls) -> "Strand":
        """The current task's strand.

        Raises:
            StrandError: the task was started with a nursery of its own, not with `ctx.gather`.
        """
        strand = _current.get()
        if strand is None or strand.task is not trio.lowlevel.current_task():
            raise StrandError(
                "the workflow's context was used from a task it did not start; "
                "run branches with ctx.gather(...), not with a nursery of your own"
            )
        return strand


def gathers_above(op: str) -> Iterator[str]:
    """The gathers that an operation lies under, innermost first: "3.0.2.1.1" is under two."""
    numbers = op.split(".")
    for length in range(len(numbers) - 2, 0, -2):
        yield ".".join(numbers[:length])
