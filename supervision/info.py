"""What a running tree looks like from outside."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["ActorInfo", "Kind", "State"]

Kind = Literal["task", "thread", "supervisor"]
State = Literal["starting", "running", "stopping", "ended", "restarting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorInfo:
    """One actor at one moment.

    Attributes:
        id: the child spec's.
        path: ids from the root down, with slashes.
        name: what `System.named` finds it by, if it has one.
        kind: a trio task, an OS thread, or a supervisor (a task too); a child that was never built
            counts as a task.
        state: `restarting` between two incarnations; `ended` for a child that is over and kept.
        restarts: incarnations after the first, under the present supervisor.
        mailbox_depth: messages that wait.
        children: in start order.
    """

    id: str
    path: str
    name: str | None
    kind: Kind
    state: State
    restarts: int
    mailbox_depth: int
    children: tuple["ActorInfo", ...] = ()

    def walk(self) -> Iterator["ActorInfo"]:
        """Yields this actor and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()
