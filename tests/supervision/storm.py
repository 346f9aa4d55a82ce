"""A storm: a thousand children under all sorts of supervisors, crashed in every way there is."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Literal, get_args

import trio

from supervision import (
    Actor,
    ActorCrashed,
    ActorDeadError,
    ActorExited,
    ActorRestarting,
    ActorStarted,
    AskTimeout,
    BlockingActor,
    ChildExists,
    ChildGaveUp,
    ChildSpec,
    DynamicSupervisor,
    Event,
    Intensity,
    RestartScheduled,
    StartChild,
    System,
    WhichChildren,
    ask,
    supervisor,
)
from supervision.strategy import Strategy

from .census import tasks
from .support import AT_ONCE, Boom, Echo, seeded

__all__ = ["HANG_S", "MODES", "Storm", "Verdict"]

HANG_S = 10.0
"""So long nothing happens at all when something hangs."""

STRIKERS = 50
MORE = 10
"""Crashes between two looks at a supervisor's children."""

GROUPS, GROUP_SIZE = 16, 25
POOLS, POOL_SIZE = 6, 100
GROUP_BUDGET = Intensity(restarts=10, period_s=30.0)
CHILD_BUDGET = Intensity(restarts=3, period_s=30.0)
ROOT_BUDGET = Intensity(restarts=100_000, period_s=1.0)
GONE = (ActorRestarting, ActorDeadError)

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

Mode = Literal["on_start", "on_receive", "on_stop", "deferred", "background", "for_ever"]
MODES: tuple[Mode, ...] = get_args(Mode)
TASK_MODES = MODES[:-1]
THREAD_MODES = MODES[:3]
THREADS_EACH = 4
"""Children of each supervisor that are threads."""


@dataclass(slots=True, eq=False, kw_only=True)
class Fate:
    """How one child fails, over all its incarnations.

    Attributes:
        pool: name of the dynamic supervisor that starts it; empty below a static one.
        doom: how many of its next starts fail.
    """

    id: str
    parent: str
    pool: str
    mode: Mode
    thread: bool
    doom: float = 0

    @property
    def path(self) -> str:
        return f"{self.parent}/{self.id}"

    @property
    def kind(self) -> str:
        return f"{'thread' if self.thread else 'task'} {self.mode}"

    def spec(self) -> ChildSpec:
        build = partial(FragileThread if self.thread else Fragile, self)
        return ChildSpec(id=self.id, name=self.id, build=build)

    def arm(self, random: Random) -> None:
        """Decides about the starts after the next crash."""
        if self.mode == "on_start":
            self.doom = random.randint(1, 2)
        elif self.mode == "for_ever":  # below a static one until it has taken its group along
            self.doom = math.inf if self.pool else GROUP_BUDGET.restarts + 1

    def begin(self) -> None:
        if self.doom > 0:
            self.doom -= 1
            raise Boom(self.kind)


@dataclass(frozen=True, slots=True)
class Blow:
    """Crash in your own way."""


class Fragile(Actor):
    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self._fate = fate
        self._struck = False

    async def on_start(self) -> None:
        self._fate.begin()

    async def on_receive(self, message: object) -> object:
        match message:
            case Echo(value=value):
                return value
            case Blow():
                return self._fall()
            case _:
                return await super().on_receive(message)

    async def on_stop(self) -> None:
        if self._struck:
            raise Boom(self._fate.kind)

    def _fall(self) -> object:
        match self._fate.mode:
            case "deferred":
                return self.defer(self._fail())
            case "background":
                self.spawn(self._fail)
            case "on_stop":
                self._struck = True
                self.stop()
            case _:
                raise Boom(self._fate.kind)
        return None

    async def _fail(self) -> None:
        await trio.lowlevel.checkpoint()
        raise Boom(self._fate.kind)


class FragileThread(BlockingActor):
    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self._fate = fate
        self._struck = False

    def on_start(self) -> None:
        self._fate.begin()

    def on_receive(self, message: object) -> object:
        match message:
            case Echo(value=value):
                return value
            case Blow() if self._fate.mode == "on_stop":
                self._struck = True
                self.stop()
                return None
            case Blow():
                raise Boom(self._fate.kind)
            case _:
                return super().on_receive(message)

    def on_stop(self) -> None:
        if self._struck:
            raise Boom(self._fate.kind)


@dataclass(kw_only=True)
class Verdict:
    """What came of a storm.

    Attributes:
        crashes: of children, by thread or task and by how.
        given_up: children given up by dynamic supervisors, and groups that took themselves along.
        excesses: what a supervisor allowed beyond its intensity, or refused within it.
        lists: how often each supervisor said which children it has.
        wrong_lists: what one said that could not be.
        orphans: tasks that were not there before.
        silent: children that did not answer after it was over.
        hung: whether nothing happened for ten seconds.
    """

    crashes: Counter[str] = field(default_factory=Counter)
    given_up: Counter[str] = field(default_factory=Counter)
    excesses: list[str] = field(default_factory=list)
    lists: Counter[str] = field(default_factory=Counter)
    wrong_lists: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    hung: bool = False


class Budgets:
    """Recomputes from events alone whether intensities were kept.

    An admission lies between the end that asked for it and the event that tells of it. What is
    called an excess here is one wherever in between it was.
    """

    def __init__(self, static: dict[str, Intensity], dynamic: dict[str, Intensity]) -> None:
        self._static = static
        self._dynamic = dynamic
        self._ends: dict[str, float] = {}
        self._admitted: dict[str, list[tuple[float, float]]] = {}
        self.excesses: list[str] = []

    def take(self, at: float, event: Event) -> None:
        match event:
            case ActorStarted(path=path):
                self._begin(path)
            case ActorExited(path=path):
                self._ends[path] = at
            case RestartScheduled(path=path):
                self._admit(at, path)
            case ChildGaveUp(path=path):
                self._give_up(path)

    def _begin(self, path: str) -> None:
        """A supervisor's new incarnation begins with a whole budget."""
        if path in self._static:
            self._admitted[path] = []
        elif path in self._dynamic:
            for child in [c for c in self._admitted if c.startswith(f"{path}/")]:
                del self._admitted[child]

    def _budget(self, child: str) -> tuple[str, Intensity]:
        """Whose restarts are counted together with the child's, and how many there may be."""
        parent = child.rpartition("/")[0]
        if parent in self._static:
            return parent, self._static[parent]
        return child, self._dynamic[parent]

    def _admit(self, at: float, child: str) -> None:
        owner, budget = self._budget(child)
        admitted = self._admitted.setdefault(owner, [])
        admitted.append((self._ends[child], at))
        if len(admitted) > budget.restarts:
            within_s = at - admitted[-budget.restarts - 1][0]
            if within_s <= budget.period_s:
                count = budget.restarts + 1
                self.excesses.append(f"{owner} was restarted {count} times in {within_s:.3f} s")

    def _give_up(self, child: str) -> None:
        owner, budget = self._budget(child)
        admitted = self._admitted.pop(owner, [])
        if len(admitted) < budget.restarts:
            self.excesses.append(f"{owner} was given up after {len(admitted)} restarts")
        elif self._ends[child] - admitted[-budget.restarts][1] > budget.period_s:
            self.excesses.append(f"{owner} was given up although it was calm before")


class Storm:
    """One storm over one tree; `run` is for `trio.run`."""

    def __init__(self, crashes: int, seed: int) -> None:
        self.verdict = Verdict()
        self._wanted = crashes
        self._random = seeded(seed)
        self._fates = list(_fates())
        self._leaves = {fate.path: fate for fate in self._fates}
        self._supervisors = _supervisors(self._fates)
        static = dict.fromkeys(self._supervisors, GROUP_BUDGET) | {"root": ROOT_BUDGET}
        dynamic = {fate.parent: CHILD_BUDGET for fate in self._fates if fate.pool}
        self._budgets = Budgets({p: b for p, b in static.items() if p not in dynamic}, dynamic)
        self._pools = dynamic.keys()
        self._changes: dict[str, trio.Event] = {}
        self._more_crashes = trio.Event()
        self._crashes = 0
        self._guard = trio.CancelScope()
        self._over = False

    async def run(self) -> Verdict:
        await _warm_up()
        before = tasks()
        with self._guard:
            async with System.open(on_event=self, random=self._random) as system:
                await system.start(_tree(self._fates))
                await self._rage(system)
                await self._ask_all(system)
        self.verdict.hung = self._guard.cancelled_caught
        self.verdict.excesses = self._budgets.excesses
        self.verdict.orphans = sorted((tasks() - before).elements())
        return self.verdict

    def __call__(self, event: Event) -> None:
        """Observes."""
        now = trio.current_time()
        self._guard.deadline = now + HANG_S
        self._budgets.take(now, event)
        match event:
            case ActorCrashed(path=path, reason=reason) if path in self._leaves:
                self.verdict.crashes[str(reason.cause)] += 1
                self._count()
            case ChildGaveUp(path=path):
                self.verdict.given_up["child" if self._leaves[path].pool else "group"] += 1
        self._wake(event.path)

    def _change(self, path: str) -> trio.Event:
        """Returns what is set when something happens to the actor, or to one above it."""
        return self._changes.setdefault(path, trio.Event())

    def _wake(self, path: str) -> None:
        woken = [path]
        if path in self._supervisors:
            woken += [other for other in self._changes if other.startswith(f"{path}/")]
        for other in woken:
            if other in self._changes:
                self._changes.pop(other).set()

    def _count(self) -> None:
        self._crashes += 1
        self._over = self._crashes >= self._wanted
        if self._crashes % MORE == 0:
            self._more_crashes.set()
            self._more_crashes = trio.Event()

    async def _rage(self, system: System) -> None:
        async with trio.open_nursery() as nursery:
            for path in self._supervisors:
                nursery.start_soon(self._list_children, system, path)
            async with trio.open_nursery() as strikers:
                for first in range(STRIKERS):
                    strikers.start_soon(self._strike, system, self._fates[first::STRIKERS])
            nursery.cancel_scope.cancel()

    async def _strike(self, system: System, mine: list[Fate]) -> None:
        while not self._over:
            fate = self._random.choice(mine)
            await self._revive(system, fate)
            fate.arm(self._random)
            with suppress(*GONE):
                system.named(fate.id).tell(Blow())
            await self._settled(system, fate)

    async def _settled(self, system: System, fate: Fate) -> None:
        """Waits until the child answers, or is given up."""
        while True:
            changed = self._change(fate.path)
            try:
                await ask(system.named(fate.id), Echo(), deadline_s=HANG_S)
            except ActorRestarting:
                await changed.wait()
            except ActorDeadError:
                if fate.pool:
                    return
                await changed.wait()
            else:
                return

    async def _revive(self, system: System, fate: Fate) -> None:
        """Starts a child again that was given up, or whose supervisor was restarted."""
        while fate.pool and system.named(fate.id).ref is None:
            fate.doom = 0
            changed = self._change(fate.path)
            try:
                await ask(system.named(fate.pool), StartChild(spec=fate.spec()), deadline_s=HANG_S)
            except ChildExists:  # between two incarnations, or just being started
                await self._settled(system, fate)
                return
            except GONE:
                await changed.wait()

    async def _list_children(self, system: System, path: str) -> None:
        name, children = self._supervisors[path]
        while True:
            changed = self._change(path)
            try:
                listed = await ask(system.named(name), WhichChildren(), deadline_s=HANG_S)
            except GONE:
                await changed.wait()  # it was taken along, and comes back
                continue
            except AskTimeout as error:
                self.verdict.wrong_lists.append(str(error))
                continue
            self.verdict.lists[path] += 1
            right = set(listed) <= children if path in self._pools else set(listed) == children
            if not right:
                self.verdict.wrong_lists.append(f"{path}: {listed}")
            await self._more_crashes.wait()

    async def _ask_all(self, system: System) -> None:
        """Every child is there once nobody strikes any more, or can be started again."""
        for fate in self._fates:
            fate.doom = 0
        for fate in self._fates:
            await self._revive(system, fate)
            await self._settled(system, fate)
            if system.named(fate.id).ref is None:
                self.verdict.silent.append(fate.path)


async def _warm_up() -> None:
    """What the kernel keeps once for each loop is made by the first ask."""
    async with System.open() as system:
        await system.start(supervisor("root", "one_for_one", [], name="root"))
        await ask(system.named("root"), WhichChildren())


# --- the tree ---


def _fates() -> Iterator[Fate]:
    for group in range(GROUPS):
        yield from _children(f"root/group{group}", "", f"g{group}", GROUP_SIZE)
    for pool in range(POOLS):
        parent = f"root/wing{pool}/pool{pool}"
        yield from _children(parent, f"pool{pool}", f"p{pool}", POOL_SIZE)
        yield _sentinel(pool)


def _children(parent: str, pool: str, prefix: str, size: int) -> Iterator[Fate]:
    for number in range(size):
        thread = number < THREADS_EACH
        modes = THREAD_MODES if thread else TASK_MODES
        mode: Mode = "for_ever" if number % 24 == 0 else modes[number % len(modes)]
        yield Fate(id=f"{prefix}c{number}", parent=parent, pool=pool, mode=mode, thread=thread)


def _sentinel(pool: int) -> Fate:
    """Stands before a pool: when it falls, the pool is started again, and is empty then."""
    return Fate(
        id=f"sentinel{pool}", parent=f"root/wing{pool}", pool="", mode="on_receive", thread=False
    )


def _supervisors(fates: list[Fate]) -> dict[str, tuple[str, set[str]]]:
    """By path: the name, and the ids of the children there may be."""
    found: dict[str, tuple[str, set[str]]] = {}
    for fate in fates:
        *above, name = fate.parent.split("/")
        found.setdefault(fate.parent, (name, set()))[1].add(fate.id)
        if len(above) > 1:
            found.setdefault("/".join(above), (above[-1], set()))[1].add(name)
    tops = {path.split("/")[1] for path in found}
    return {"root": ("root", tops), **found}


def _tree(fates: list[Fate]) -> ChildSpec:
    tops = []
    for path, (name, _) in _supervisors(fates).items():
        below = [fate.spec() for fate in fates if fate.parent == path and not fate.pool]
        if name.startswith("group"):
            tops.append(_static(name, STRATEGIES[int(name[5:]) % len(STRATEGIES)], below))
        elif name.startswith("wing"):
            pool = f"pool{name[4:]}"
            build = partial(DynamicSupervisor, CHILD_BUDGET, AT_ONCE)
            below.append(ChildSpec(id=pool, name=pool, build=build, shutdown_s=math.inf))
            tops.append(_static(name, "rest_for_one", below))
    return supervisor(
        "root", "one_for_one", tops, intensity=ROOT_BUDGET, backoff=AT_ONCE, name="root"
    )


def _static(name: str, strategy: Strategy, children: list[ChildSpec]) -> ChildSpec:
    return supervisor(name, strategy, children, intensity=GROUP_BUDGET, backoff=AT_ONCE, name=name)
