"""Crashes at random times, in whatever actor of the tree.

When it is polite, it leaves every supervisor the restarts that its budget has, so that nothing may
be given up, and whatever was acknowledged has to end as if nothing had happened.
"""

import errno
import random
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio

from actors.batch import Batches, Poisoned
from actors.hints import hint
from actors.issues.publishing.git_worker import GitWorker
from actors.writer import DatabaseWriter, Poison
from storage.issues import file
from supervision import (
    Actor,
    ActorExited,
    ActorStarted,
    BlockingActor,
    Delivery,
    Event,
    RestartScheduled,
)
from tests.support.world import Running

DATABASES = ("coordination", "tempolite", "beads")
FILE = "file"
WRITERS = tuple(f"{database}_writer" for database in DATABASES)
ACTORS = {
    "telemetry": "root",
    "event_bus": "root",
    "intents": "root",
    "reconciler": "root",
    "git_worker": "root/stores",
    "tracker": "root/issues",
    "publisher": "root/issues",
    "manager": "root/coordination",
    "agent_instances": "root/agents",
    "coordinator": "root/agents",
    "workflow_instances": "root/engine",
    "dispatcher": "root/engine",
    "timers": "root/engine",
    **dict.fromkeys(WRITERS, "root/stores"),
}
"""Whom it may hit, and who restarts them."""

INSTANCES = {
    "root/agents/agent_instances": "agent",
    "root/engine/workflow_instances": "workflow",
}
"""Dynamic supervisors, and what the names of their children begin with."""

KILL = 0.2
FULL = 0.2
PERIOD_S = 60.0
ROOT_BUDGET = 2
BUDGET = 3


class Injected(Exception):  # noqa: N818 - what a crash is called here
    """The reason of every crash that was meant."""


MEANT = (Injected, Poisoned)


@dataclass(frozen=True, slots=True)
class Crash:
    """Told to any actor but a writer; it raises."""


SEAMS = (
    (Batches, "commit"),
    (GitWorker, "on_receive"),
    (file, "replace"),
    (file, "_write_durably"),
)
"""Where something becomes durable: right before and right after is when a crash tells most."""


@dataclass(slots=True)
class Chaos:
    """Crashes actors of one system after another.

    Args:
        chance: decides when, whom and how.
        pause_s: the longest pause between two crashes, in virtual seconds.
        at_seams: how likely a crash is at each seam.
        polite: see the module.
        full_s: the longest time for which a disk is full; 0 for never.
        kill: called at the first seam once it is set.
    """

    chance: random.Random
    pause_s: float
    at_seams: float
    polite: bool
    full_s: float
    running: Running | None = None
    kill: Callable[[], None] | None = None
    crashes: int = 0
    muted: set[str] = field(default_factory=set)
    full_until: dict[str, float] = field(default_factory=dict)
    living: dict[str, str] = field(default_factory=dict)
    restarts: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def observe(self, event: Event) -> None:
        """Keep account of who lives, and of restarts that a crash brought with it."""
        parent, _, child = event.path.rpartition("/")
        match event:
            case ActorStarted() if parent in INSTANCES:
                self.living[f"{INSTANCES[parent]}/{child}"] = event.path
            case ActorExited():
                self.living.pop(f"{INSTANCES.get(parent)}/{child}", None)
            case RestartScheduled() if not isinstance(event.reason.cause, MEANT):
                owner = event.path if parent in INSTANCES else parent
                self.restarts[owner].append(trio.current_time())

    async def run(self, running: Running, until_s: float) -> None:
        self.running = running
        while trio.current_time() < until_s:
            await trio.sleep(self.chance.uniform(0.0, self.pause_s))
            self._strike(running)
            if self.full_s and self.chance.random() < FULL:
                disk = self.chance.choice([*DATABASES, FILE])
                self.full_until[disk] = trio.current_time() + self.chance.uniform(0.0, self.full_s)
        self.rest()

    def rest(self) -> None:
        """Hit nobody until the next `run`."""
        self.running = self.kill = None
        self.muted.clear()
        self.full_until.clear()

    def _pass_seam(self) -> None:
        if self.kill is not None and self.chance.random() < KILL:
            kill, self.kill = self.kill, None
            kill()
        if self.running is not None and self.chance.random() < self.at_seams:
            self._strike(self.running)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Make actors do what `Crash` says, and writers die between commit and answer."""
        answer, commit, write = DatabaseWriter._answer, Batches.commit, file._write_durably

        def answer_or_die(writer: DatabaseWriter, delivery: Delivery, outcome: object) -> None:
            if writer._database in self.muted:
                self.muted.discard(writer._database)
                raise Injected("died before it could answer")
            answer(writer, delivery, outcome)

        def commit_or_not(batches: Batches, *args: Any) -> Any:
            if self._is_full(batches._database):
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return commit(batches, *args)

        def write_or_not(*args: Any) -> None:
            if self._is_full(FILE):
                raise OSError(errno.ENOSPC, "no space left")
            write(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Batches, "commit", commit_or_not)
            patch.setattr(file, "_write_durably", write_or_not)
            for place, name in SEAMS:
                patch.setattr(place, name, self._seamed(getattr(place, name)))
            patch.setattr(Actor, "on_receive", _or_crash(Actor.on_receive))
            patch.setattr(BlockingActor, "on_receive", _or_crash(BlockingActor.on_receive))
            patch.setattr(DatabaseWriter, "_answer", answer_or_die)
            yield

    def _is_full(self, disk: str) -> bool:
        return trio.current_time() < self.full_until.get(disk, 0.0)

    def _seamed(self, function: Any) -> Any:
        def with_seams(*args: Any, **kwargs: Any) -> Any:
            self._pass_seam()
            answer = function(*args, **kwargs)
            self._pass_seam()
            return answer

        return with_seams

    def _strike(self, running: Running) -> None:
        name, owner = self.chance.choice([*ACTORS.items(), *self.living.items()])
        how = self.chance.random()
        if not self._may(owner):
            return
        self.restarts[owner].append(trio.current_time())
        self.crashes += 1
        if name not in WRITERS:
            hint(running.system.named(name), Crash())
        elif how < 0.5:
            hint(running.system.named(name), Poison())
        else:
            self.muted.add(name.removesuffix("_writer"))

    def _may(self, owner: str) -> bool:
        """Whether its supervisor has a restart left, beside one for what a crash brings with it."""
        if not self.polite:
            return True
        since = trio.current_time() - PERIOD_S
        taken = sum(at > since for at in self.restarts[owner])
        return taken < (ROOT_BUDGET if owner == "root" else BUDGET) - 1


def _or_crash(receive: Any) -> Any:
    def receive_or_crash(actor: Any, message: object) -> Any:
        if isinstance(message, Crash):
            raise Injected("was told to crash")
        return receive(actor, message)

    return receive_or_crash
