"""What a running tree looks like from outside."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["ActorInfo", "Kind", "State", "View"]

Kind = Literal["task", "thread", "inline", "supervisor"]
State = Literal["starting", "asleep", "running", "stopping", "ended", "restarting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorInfo:
    """One actor at one moment.

    Attributes:
        id: the child spec's.
        path: ids from the root down, with slashes.
        name: what `System.named` finds it by, if it has one.
        kind: a trio task, an OS thread, a thread actor that runs inline on a task, or a supervisor
            (a task too); a child that was never built counts as a task.
        state: `asleep` for one whose task begins with its first message; `restarting` between two
            incarnations; `ended` for a child that is over and kept.
        restarts: incarnations after the first, under the present supervisor.
        last_exit: why the incarnation before this one ended; None for the first.
        mailbox_depth: messages that wait.
        mailbox_bound: how many may wait.
        handled: messages this incarnation has taken out of its mailbox.
        refused: messages it turned away because the mailbox was full; senders in several threads
            may be counted as one.
        uptime_s: seconds since `on_start` returned; 0 when it is not up.
        memory_bytes: an estimate: the actor, what its attributes hold one level deep, and its
            mailbox; what lies deeper or is shared is not seen.
        children: in start order.
        more: how many children are not shown.
    """

    id: str
    path: str
    name: str | None
    kind: Kind
    state: State
    restarts: int
    last_exit: str | None = None
    mailbox_depth: int = 0
    mailbox_bound: int = 0
    handled: int = 0
    refused: int = 0
    uptime_s: float = 0.0
    memory_bytes: int = 0
    children: tuple["ActorInfo", ...] = ()
    more: int = 0

    def walk(self) -> Iterator["ActorInfo"]:
        """Yields this actor and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class View:
    """How much of a tree to look at.

    Attributes:
        depth: levels below the actor; None for all, 0 for none.
        breadth: children shown of one supervisor; None for all.
    """

    depth: int | None = None
    breadth: int | None = None

    def below(self) -> "View":
        """One level further down."""
        return self if self.depth is None else View(self.depth - 1, self.breadth)
