"""One tree twice, on the kernel and in the model, and what both are made to go through.

After each step they must agree in everything: what was told and in which order, who lives and in
which state, which incarnation answers to each name, and what is said where nobody answers.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from supervision import (
    ActorDeadError,
    ActorExited,
    ActorRestarted,
    ActorRestarting,
    ActorStarted,
    Ask,
    ChildGaveUp,
    DeleteChild,
    Event,
    Refused,
    RestartChild,
    RestartScheduled,
    StartChild,
    System,
    TerminateChild,
    ask,
)
from supervision.exits import ExitKind
from supervision.strategy import RESTARTS

from .model import Life, Model, Told
from .support import seeded
from .trees import Branch, Die, Fates, Leaf, Pool, Who, paths, spec_of

__all__ = ["Recorder", "Step", "World", "drive"]

TICK_S = 2.0**-10  # every step has a time of its own, so that no two restarts are ever due at once
FAILS_AT = 4  # a child that is added there does not start


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Wait, then do something to the `at`-th of those it can be done to."""

    do: str
    at: int = 0
    n: int = 1
    after_s: float = 0.0


class Recorder:
    """What the kernel told, in the words of the model; and whether a budget was ever overdrawn."""

    def __init__(self, tree: Branch) -> None:
        self.told: list[Told] = []
        self.overdrawn: list[tuple[str, list[float]]] = []
        self._budgets = {path: node for path, node in paths(tree) if not isinstance(node, Leaf)}
        self._spent: dict[str, list[float]] = defaultdict(list)

    def __call__(self, event: Event) -> None:
        match event:
            case ActorStarted(path=path):
                self.told.append(("up", path))
                if isinstance(self._budgets.get(path), Branch):
                    self.forget(path)
            case ActorExited(reason=reason):
                self.told.append((reason.kind, event.path))
            case ChildGaveUp(restarts=restarts):
                self.told.append(("gave up", event.path, restarts))
            case RestartScheduled(delay_s=delay_s):
                self.told.append(("scheduled", event.path, delay_s))
                self._spend(event.path)
            case ActorRestarted(restarts=restarts):
                self.told.append(("restarted", event.path, restarts))

    def forget(self, path: str) -> None:
        """The restarts of this branch, or of this child of a pool, count anew."""
        self._spent[path].clear()

    def _spend(self, path: str) -> None:
        """Counts a restart without the kernel's help; exactly one period old still counts."""
        parent = _parent(path)
        node = self._budgets[parent]
        times = self._spent[path if isinstance(node, Pool) else parent]
        times.append(trio.current_time())
        recent = [at for at in times if at >= times[-1] - node.intensity.period_s]
        if len(recent) > node.intensity.restarts:
            self.overdrawn.append((path, recent))


class World:
    """A tree on the kernel and the same tree in the model."""

    def __init__(self, tree: Branch, system: System, recorder: Recorder, fates: Fates) -> None:
        self.model = Model(tree)
        self.system = system
        self.recorder = recorder
        self.fates = fates
        self._leaves: set[str] = set()
        self._pools = {path for path, node in paths(tree) if isinstance(node, Pool)}
        self._seen = 0

    async def fill_pools(self) -> None:
        """Starts the first children of every pool."""
        lives = [life for life in self.model.lives() if isinstance(life.member.node, Pool)]
        for life in lives:
            assert isinstance(life.member.node, Pool)
            for number in range(life.member.node.filled):
                await self._administer("add", life, number, number)
        await self.check()

    async def take(self, step: Step) -> None:
        """Takes one step in both worlds and compares them."""
        await trio.sleep(step.after_s + TICK_S)
        self.model.sleep(step.after_s + TICK_S)
        match step.do:
            case "crash" | "stop" | "burst":
                await self._end(step)
            case "break":
                self._break(step)
            case "replace":
                await self._replace(step)
            case _:
                supervisors = [m for m in self.model.lives() if m.member.is_supervisor]
                if supervisors:
                    owner = supervisors[step.at % len(supervisors)]
                    await self._administer(step.do, owner, step.at, step.n)
        await wait_all_tasks_blocked()
        self.model.settle()
        await self.check()

    async def rest(self, seconds: float) -> None:
        """Lets time pass in both worlds."""
        await trio.sleep(seconds)
        self.model.sleep(seconds)
        await self.check(ask_all=True)

    # --- steps ---

    async def _end(self, step: Step) -> None:
        lives = [life for life in self.model.lives() if life.owner is not None]
        if step.do != "stop":
            lives = [life for life in lives if not life.member.is_supervisor]
        if not lives:
            return
        first = lives[step.at % len(lives)]
        victims = self._siblings(first, lives)[: step.n + 1] if step.do == "burst" else [first]
        ends: dict[str, tuple[Life, ExitKind]] = {}
        for number, victim in enumerate(victims):
            stops = step.do == "stop" or (step.do == "burst" and number == step.n % 2 + 1)
            ends[victim.member.path] = victim, "normal" if stops else "crash"
            ref = self.system.named(victim.member.label).ref
            assert ref is not None
            if stops:
                ref.stop(block=False)
            else:
                ref.tell(Die())
        mark = len(self.recorder.told)
        await wait_all_tasks_blocked()
        # who comes first of several is up to the scheduler; what follows from it is not
        paths = [str(told[1]) for told in self.recorder.told[mark:]]
        for path in sorted(ends, key=paths.index):
            self.model.ends(*ends[path])

    def _siblings(self, first: Life, lives: list[Life]) -> list[Life]:
        """Who may end at the same moment: none that two things would happen to at once then."""
        assert first.owner is not None
        match first.owner.member.node:
            case Branch(strategy="one_for_one", backoff=backoff) if backoff.initial_s:
                return [first]
            case Pool(strict=True):
                return [first]
            case _:
                return [life for life in lives if life.owner is first.owner]

    def _break(self, step: Step) -> None:
        labels = sorted(m.label for m in self.model.members() if not m.is_supervisor)
        if labels:
            label = labels[step.at % len(labels)]
            for fates in (self.fates, self.model.fates):
                (fates.starts if step.n else fates.stops)[label] = step.n or 1

    async def _replace(self, step: Step) -> None:
        """Another child of the same id takes the place of one in a pool."""
        pools = [life for life in self.model.lives() if isinstance(life.member.node, Pool)]
        places = [(pool, n) for pool in pools for n in range(len(pool.members))]
        if places:
            pool, n = places[step.at % len(places)]
            label = list(pool.members)[n]
            await self._administer("terminate", pool, 0, n)
            await self._administer("add", pool, step.n, int(label[-1]))

    async def _administer(self, do: str, owner: Life, at: int, n: int) -> None:
        prefix = owner.member.label
        known = [*owner.members, f"{prefix}0"]
        label = f"{prefix}{n}" if do == "add" else known[n % len(known)]
        restart: Any = RESTARTS[at % 3]
        leaf = Leaf(restart=restart)
        if do == "add" and at == FAILS_AT:
            self.fates.starts[label] = self.model.fates.starts[label] = 1
        expected = self._model_answer(do, owner, label, leaf)
        if do == "add" and expected == "ok":
            self._leaves.add(label)
            if isinstance(owner.member.node, Pool):
                self.recorder.forget(f"{owner.member.path}/{label}")
        request = _request(do, label, leaf, self.fates)
        try:
            await ask(self.system.named(prefix), request)
        except Refused as refusal:
            answer = type(refusal).__name__
        else:
            answer = "ok"
        _agree((request, answer), (request, expected))

    def _model_answer(self, do: str, owner: Life, label: str, leaf: Leaf) -> str:
        dynamic = isinstance(owner.member.node, Pool)
        match do:
            case "add":
                return self.model.add(owner, label, leaf)
            case "terminate":
                return self.model.terminate(owner, label)
            case "restart":
                return "UnexpectedMessage" if dynamic else self.model.restart(owner, label)
            case _:
                return "UnexpectedMessage" if dynamic else self.model.delete(owner, label)

    # --- comparisons ---

    async def check(self, *, ask_all: bool = False) -> None:
        self._check_told()
        if self.model.over is None:
            self._check_picture()
        await self._check_names(ask_all=ask_all)

    def _check_told(self) -> None:
        told, self._seen = self.recorder.told[self._seen :], len(self.recorder.told)
        _agree(_in_order(told, self._pools), _in_order(self.model.told, self._pools))
        self.model.told.clear()

    def _check_picture(self) -> None:
        root = self.system.snapshot()
        assert root is not None
        seen = [(i.path, i.state, i.restarts, _kind(i.last_exit)) for i in root.walk()]
        members = self.model.members()
        expected = [(m.path, m.state, m.restarts, m.last_exit) for m in members]
        _agree(seen, expected)

    async def _check_names(self, *, ask_all: bool) -> None:
        self._leaves |= {m.label for m in self.model.members() if not m.is_supervisor}
        _agree(+self.fates.built, +self.model.fates.built)
        for label in sorted(self._leaves):
            expected = self.model.answer(label)
            if ask_all or isinstance(expected, str) or self.system.named(label).ref is None:
                answer = await self._answer(label)
                _agree((label, answer), (label, expected))

    async def _answer(self, label: str) -> int | str:
        try:
            return await ask(self.system.named(label), Who())
        except (ActorDeadError, ActorRestarting) as error:
            return type(error).__name__


def _request(do: str, label: str, leaf: Leaf, fates: Fates) -> Ask[Any]:
    match do:
        case "add":
            return StartChild(spec=spec_of(leaf, label, fates))
        case "terminate":
            return TerminateChild(id=label)
        case "restart":
            return RestartChild(id=label)
        case _:
            return DeleteChild(id=label)


def _agree(kernel: object, model: object) -> None:
    assert kernel == model, f"the kernel:\n  {kernel}\nthe model:\n  {model}"


def _in_order(told: Sequence[Told], pools: set[str]) -> list[Told]:
    """What was told, sorted by child where it happened side by side: in a pool."""
    ordered: list[Told] = []
    for parent, group in groupby(told, key=lambda one: _parent(str(one[1]))):
        in_order = list(group)
        ordered += sorted(in_order, key=lambda one: str(one[1])) if parent in pools else in_order
    return ordered


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _kind(exit_reason: str | None) -> str | None:
    return exit_reason.partition(":")[0] if exit_reason is not None else None


async def drive(tree: Branch, steps: Sequence[Step]) -> None:
    """Takes all steps, then lets everything come to rest and stops it."""
    recorder, fates = Recorder(tree), Fates()
    async with System.open(on_event=recorder, random=seeded(1)) as system:
        await system.start(spec_of(tree, "t", fates))
        world = World(tree, system, recorder, fates)
        await world.fill_pools()
        for step in steps:
            await world.take(step)
            if world.model.over is not None:
                break
        await world.rest(10.0)
        await system.stop()
        world.model.stop()
        await world.check()
        assert (await system.wait()).kind == world.model.over
    assert recorder.overdrawn == []
