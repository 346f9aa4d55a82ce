"""Random trees whose starts and stops take time, while more and more happens to them.

What comes of it depends on who is first, so there is no model here: only what must never be, and
what must be once all is calm again.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from supervision import (
    ActorDeadError,
    ActorExited,
    ActorInfo,
    ActorRestarting,
    ActorStarted,
    Ask,
    DeleteChild,
    Event,
    Refused,
    RestartChild,
    StartChild,
    System,
    TerminateChild,
    ask,
)
from supervision.strategy import RESTARTS

from .support import seeded
from .trees import Branch, Die, Fates, Leaf, Who, paths, spec_of, trees
from .world import Step

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
EXAMPLES = 10_000 if SOAK else 300

DEEDS = ("crash", "crash", "stop", "break", "add", "terminate", "restart", "delete")
STEPS = st.lists(
    st.builds(
        Step,
        do=st.sampled_from(DEEDS),
        at=st.sampled_from([0, 0, 1, 1, 2, 3, 4, 5, 7]),
        n=st.integers(0, 3),
        after_s=st.sampled_from([0.0, 0.0, 0.1, 0.25, 0.5, 1.0]),
    ),
    min_size=4,
    max_size=16,
)
SLOWNESS_S = st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0]), min_size=6, max_size=6)
GONE = (Refused, ActorDeadError, ActorRestarting)


class Watch:
    """Knows who is up, and sees that nobody outlives its supervisor."""

    def __init__(self, fates: Fates) -> None:
        self.up: set[str] = set()
        self.outlived: list[str] = []
        self._fates = fates

    def __call__(self, event: Event) -> None:
        match event:
            case ActorStarted(path=path):
                self.up.add(path)
            case ActorExited(path=path):
                self.up.discard(path)
                self.outlived += [left for left in self.up if left.startswith(f"{path}/")]
                self._fates.ended[path.rpartition("/")[2]] += 1


class Trouble:
    """Does things to the actors of a tree, whatever state they are in."""

    def __init__(self, tree: Branch, system: System, fates: Fates) -> None:
        self.system = system
        self.fates = fates
        nodes = [(path.rpartition("/")[2], node) for path, node in paths(tree)]
        self.supervisors = [label for label, node in nodes if not isinstance(node, Leaf)]
        added = [f"{label}{n}" for label in self.supervisors for n in range(2)]
        self.leaves = [label for label, node in nodes if isinstance(node, Leaf)] + added
        self._labels = [label for label, _ in nodes] + added

    def make(self, step: Step) -> Ask[Any] | None:
        """Does it, or returns the request to send to `owner(step)`."""
        leaf = self.leaves[step.at % len(self.leaves)]
        match step.do:
            case "crash":
                with suppress(*GONE):
                    self.system.named(leaf).tell(Die())
            case "stop":
                ref = self.system.named(self._labels[step.at % len(self._labels)]).ref
                if ref is not None:
                    ref.stop(block=False)
            case "break":
                (self.fates.starts if step.n else self.fates.stops)[leaf] = step.n or 1
            case _:
                return self._request(step)
        return None

    def owner(self, step: Step) -> str:
        return self.supervisors[step.at % len(self.supervisors)]

    def _request(self, step: Step) -> Ask[Any]:
        owner = self.owner(step)
        below = [label for label in self._labels if label[:-1] == owner]
        child = below[step.n % len(below)]
        match step.do:
            case "add":
                restart: Any = RESTARTS[step.n % 3]
                leaf = Leaf(restart=restart)
                return StartChild(spec=spec_of(leaf, f"{owner}{step.n % 2}", self.fates))
            case "terminate":
                return TerminateChild(id=child)
            case "restart":
                return RestartChild(id=child)
            case _:
                return DeleteChild(id=child)

    async def send(self, owner: str, request: Ask[Any]) -> None:
        """Asks; anything is an answer but that there is none."""
        with suppress(*GONE):
            await ask(self.system.named(owner), request, deadline_s=10_000)


async def drive(tree: Branch, steps: Sequence[Step], slowness_s: Sequence[float]) -> None:
    fates = Fates()
    watch = Watch(fates)
    async with System.open(on_event=watch, random=seeded(1)) as system:
        trouble = Trouble(tree, system, fates)
        slow = {leaf: slowness_s[n % len(slowness_s)] for n, leaf in enumerate(trouble.leaves)}
        fates.slow = {leaf: seconds for leaf, seconds in slow.items() if seconds}
        await system.start(spec_of(tree, "t", fates))
        async with trio.open_nursery() as nursery:
            for step in steps:
                await trio.sleep(step.after_s)
                request = trouble.make(step)
                if request is not None:
                    nursery.start_soon(trouble.send, trouble.owner(step), request)
        fates.starts.clear()
        await trio.sleep(1_000)
        await check_calm(system, watch, trouble)
        begun = trio.current_time()
        await system.stop()
        assert trio.current_time() - begun < 200
    assert (watch.up, watch.outlived, fates.overlapped) == (set(), [], [])


async def check_calm(system: System, watch: Watch, trouble: Trouble) -> None:
    """Everybody is up or over, the picture is that of the events, and names say what is so."""
    infos = list(_running_or_ended(system))
    assert {info.path for info in infos if info.state == "running"} == watch.up
    running = {info.id for info in infos if info.state == "running"}
    for leaf in trouble.leaves:
        try:
            answer: int | str = await ask(system.named(leaf), Who())
        except (ActorDeadError, ActorRestarting) as error:
            answer = type(error).__name__
        expected = trouble.fates.built[leaf] if leaf in running else "ActorDeadError"
        assert (leaf, answer) == (leaf, expected)


def _running_or_ended(system: System) -> Iterator[ActorInfo]:
    root = system.snapshot()
    assert root is not None
    for info in root.walk():
        assert info.state in ("running", "ended"), info
        yield info


@settings(max_examples=EXAMPLES, deadline=None, derandomize=not SOAK)
@given(trees(), STEPS, SLOWNESS_S)
def test_whoever_is_first_nothing_overlaps_and_all_comes_to_rest(
    tree: Branch, steps: list[Step], slowness_s: list[float]
) -> None:
    trio.run(drive, tree, steps, slowness_s, clock=MockClock(autojump_threshold=0))
