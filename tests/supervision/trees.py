"""Random trees of actors, described as values, and the specs that the kernel runs them from.

A label says where a node stands: the root is `t`, its second child `tb`, that one's first `tba`. It
is the node's id and name; the children of a pool are called after a slot (`tb0`).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

import trio
from hypothesis import strategies as st

from supervision import (
    Actor,
    Ask,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    ExitReason,
    Intensity,
    supervisor,
)
from supervision.dynamic import Entry
from supervision.strategy import (
    AUTO_SHUTDOWNS,
    RESTARTS,
    STRATEGIES,
    AutoShutdown,
    Restart,
    Strategy,
)

from .support import Boom

PATIENT = Backoff(initial_s=0.25, factor=2.0, max_s=1.0, jitter=0.0, reset_after_s=2.0)
AT_ONCE = replace(PATIENT, initial_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """An actor that does nothing but live."""

    restart: Restart = "permanent"
    significant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A dynamic supervisor, at first with so many children; a strict one crashes at giving up."""

    restart: Restart = "permanent"
    significant: bool = False
    intensity: Intensity = field(default_factory=Intensity)
    backoff: Backoff = AT_ONCE
    strict: bool = False
    filled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A static supervisor."""

    children: "tuple[Node, ...]"
    strategy: Strategy = "one_for_one"
    restart: Restart = "permanent"
    significant: bool = False
    intensity: Intensity = field(default_factory=Intensity)
    backoff: Backoff = AT_ONCE
    auto_shutdown: AutoShutdown = "never"


Node: TypeAlias = Leaf | Pool | Branch


def labelled(branch: Branch, label: str) -> Iterator[tuple[str, Node]]:
    """The children of a branch with their labels, significant only where that is allowed."""
    for letter, child in zip("abcdefgh", branch.children, strict=False):
        allowed = branch.auto_shutdown != "never" and child.restart != "permanent"
        yield label + letter, replace(child, significant=child.significant and allowed)


def paths(node: Node, label: str = "t", parent: str = "") -> Iterator[tuple[str, Node]]:
    """This node and all below it, with the paths the kernel gives them."""
    path = f"{parent}/{label}" if parent else label
    yield path, node
    if isinstance(node, Branch):
        for below, child in labelled(node, label):
            yield from paths(child, below, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Who(Ask[int]):
    """Answer with the number of the incarnation, from 1."""


@dataclass(frozen=True, slots=True)
class Die:
    """Crash."""


@dataclass(slots=True)
class Fates:
    """By label: how many of the next starts and stops fail, and how many were built."""

    starts: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    built: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    slow: dict[str, float] = field(default_factory=dict)  # seconds that its starts and stops take
    overlapped: list[str] = field(default_factory=list)  # began before the one before had ended

    def starts_badly(self, label: str) -> bool:
        if self.built[label] > self.ended[label]:
            self.overlapped.append(label)
        self.built[label] += 1
        return _one_of(self.starts, label)

    def stops_badly(self, label: str) -> bool:
        return _one_of(self.stops, label)


def _one_of(left: Counter[str], label: str) -> bool:
    bad = left[label] > 0
    left[label] -= bad
    return bad


class Mortal(Actor):
    """A leaf at work. It meets the fate of its label."""

    def __init__(self, label: str, fates: Fates) -> None:
        super().__init__()
        self._label = label
        self._fates = fates
        self._number = 0

    async def on_start(self) -> None:
        bad = self._fates.starts_badly(self._label)
        self._number = self._fates.built[self._label]
        await self._take_time()
        if bad:
            raise Boom("start")

    async def on_receive(self, message: object) -> object:
        match message:
            case Who():
                return self._number
            case Die():
                raise Boom("message")
            case _:
                return await super().on_receive(message)

    async def on_stop(self) -> None:
        await self._take_time()
        if self._fates.stops_badly(self._label):
            raise Boom("stop")

    async def _take_time(self) -> None:
        if self._label in self._fates.slow:
            await trio.sleep(self._fates.slow[self._label])


def spec_of(node: Node, label: str, fates: Fates) -> ChildSpec:
    """What the kernel is told of a node and all below it."""
    match node:
        case Leaf():
            spec = ChildSpec(id=label, build=partial(Mortal, label, fates))
        case Pool(intensity=intensity, backoff=backoff, strict=strict):
            build = partial(Strict if strict else DynamicSupervisor, intensity, backoff)
            spec = ChildSpec(id=label, build=build, shutdown_s=float("inf"))
        case Branch():
            spec = supervisor(
                label,
                node.strategy,
                [spec_of(child, below, fates) for below, child in labelled(node, label)],
                intensity=node.intensity,
                backoff=node.backoff,
                auto_shutdown=node.auto_shutdown,
            )
    return replace(spec, name=label, restart=node.restart, significant=node.significant)


class Strict(DynamicSupervisor):
    """Crashes with the first child it gives up."""

    def _give_up(self, entry: Entry, reason: ExitReason) -> None:
        super()._give_up(entry, reason)
        raise Boom(f"gave {entry.spec.id} up")


INTENSITIES = st.builds(
    Intensity, restarts=st.integers(0, 3), period_s=st.sampled_from([0.5, 1.0, 2.0, 4.0])
)
BACKOFFS = st.sampled_from([AT_ONCE, PATIENT])

LEAVES: st.SearchStrategy[Leaf] = st.builds(
    Leaf, restart=st.sampled_from(RESTARTS), significant=st.booleans()
)
POOLS: st.SearchStrategy[Pool] = st.builds(
    Pool,
    restart=st.sampled_from(RESTARTS),
    significant=st.booleans(),
    intensity=INTENSITIES,
    backoff=BACKOFFS,
    strict=st.booleans(),
    filled=st.integers(0, 3),
)


def branches(
    children: st.SearchStrategy[Node], most: int, **fixed: st.SearchStrategy[object]
) -> st.SearchStrategy[Branch]:
    options: dict[str, st.SearchStrategy[object]] = {
        "strategy": st.sampled_from(STRATEGIES),
        "restart": st.sampled_from(RESTARTS),
        "significant": st.booleans(),
        "intensity": INTENSITIES,
        "backoff": BACKOFFS,
        "auto_shutdown": st.sampled_from(AUTO_SHUTDOWNS),
    }
    below = st.lists(children, min_size=1, max_size=most).map(tuple)
    return st.builds(Branch, children=below, **{**options, **fixed})


def trees() -> st.SearchStrategy[Branch]:
    """Roots with one to three levels of supervisors."""
    lowest = branches(st.one_of(LEAVES, LEAVES, POOLS), 3)
    middle = branches(st.one_of(LEAVES, lowest), 3)
    never = st.just(False)
    return branches(st.one_of(LEAVES, lowest, middle, POOLS), 4, significant=never)
