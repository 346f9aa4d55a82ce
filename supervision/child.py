"""Child specs: what a supervisor must know of a child before there is one.

Everything in a spec is checked when it is made, before any child runs, and the bad value is named.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervision.errors import SpecError
from supervision.strategy import RESTARTS, AutoShutdown, Restart

if TYPE_CHECKING:
    from supervision.base import ActorBase

__all__ = ["ChildSpec", "check_ids", "check_names", "check_significant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """How to start, stop and restart one child.

    Attributes:
        id: unique among its siblings; part of the path, so without a slash.
        build: makes the actor, not yet running, anew for each incarnation; runs on the trio thread.
        restart: `permanent` always, `transient` after a crash, `temporary` never.
        shutdown_s: seconds between the request to stop and the cancellation of a task actor (1 at
            most while it is still in `on_start`), or the abandonment of a thread actor; infinity
            waits as long as it takes.
        significant: whether its end may end its supervisor (`auto_shutdown`); not for permanent
            children.
        name: what `System.named` finds it by, unique in the system; None for no name.
        children: the specs below a supervisor, so that a tree is checked whole; `supervisor()`
            fills it.
    """

    id: str
    build: Callable[[], "ActorBase"]
    restart: Restart = "permanent"
    shutdown_s: float = 5.0
    significant: bool = False
    name: str | None = None
    children: tuple["ChildSpec", ...] = ()

    def __post_init__(self) -> None:
        if not self.id or "/" in self.id:
            raise SpecError(f"child spec: id must be text without a slash, not {self.id!r}")
        if not callable(self.build):
            raise SpecError(f"child spec {self.id}: build must be callable, not {self.build!r}")
        if self.restart not in RESTARTS:
            text = f"child spec {self.id}: restart must be one of {', '.join(RESTARTS)}"
            raise SpecError(f"{text}, not {self.restart!r}")
        if math.isnan(self.shutdown_s) or self.shutdown_s <= 0:
            text = f"child spec {self.id}: shutdown_s must be above 0, not {self.shutdown_s!r}"
            raise SpecError(text)
        if self.significant and self.restart == "permanent":
            raise SpecError(f"child spec {self.id}: a permanent child cannot be significant")
        if self.name is not None and not self.name:
            raise SpecError(f"child spec {self.id}: name must be text or None, not {self.name!r}")

    def names(self) -> Iterator[str]:
        """Yields the names in this spec and in all below it."""
        if self.name is not None:
            yield self.name
        for child in self.children:
            yield from child.names()


def check_ids(owner: str, children: Sequence[ChildSpec]) -> None:
    """Raises SpecError when two siblings share an id."""
    _refuse_double(owner, "id", (child.id for child in children))


def check_names(owner: str, children: Sequence[ChildSpec]) -> None:
    """Raises SpecError when a name occurs twice among the children and all below them."""
    _refuse_double(owner, "name", (name for child in children for name in child.names()))


def check_significant(
    owner: str, auto_shutdown: AutoShutdown, children: Sequence[ChildSpec]
) -> None:
    """Raises SpecError when a child is significant to a supervisor that never shuts down for it."""
    for child in children:
        if child.significant and auto_shutdown == "never":
            text = f"supervisor {owner}: child {child.id!r} is significant"
            raise SpecError(f"{text}, but auto_shutdown is 'never'")


def _refuse_double(owner: str, what: str, values: Iterator[str]) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            raise SpecError(f"supervisor {owner}: {what} {value!r} occurs {count} times")
