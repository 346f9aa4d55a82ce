"""One simulated system, from its first start to its last stop, as its seed wills it.

The real tree on real files, but on a clock that jumps and with every thread actor on a trio task:
the seed decides which task runs next, what clients want, whom chaos hits and when, and how each
life of the process ends but the last. A life that is killed leaves the next one its files as they
were at that moment.
"""

import json
import math
import random
import shutil
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import trio
from structlog.testing import capture_logs

from actors.facts import ENDS
from supervision import Event
from tests.simulation import flows
from tests.simulation.chaos import Chaos
from tests.simulation.clients import Clients
from tests.simulation.editor import Editor
from tests.simulation.ledger import ledger, witnessed
from tests.simulation.script import Script
from tests.simulation.seeded import run_seeded
from tests.simulation.time import now
from tests.simulation.trace import Trace, published
from tests.support.world import Running, git_repository, running_system

REPO = "repo"
KILLED = 0.7
"""The share of lives that are killed; the others are stopped in order."""

SEAM_S = 30.0
"""How long a kill waits for something to be written."""

IDLE_S = 60.0
CALM_S = 900.0
"""Time for everything to end once chaos is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What a simulation leaves behind to be judged."""

    seed: int
    repo: Path
    clients: Clients
    editor: Editor
    chaos: Chaos
    trace: Trace
    polite: bool
    issues_before_the_last_life: bytes


def simulate(seed: int, directory: Path) -> Simulation:
    """Run one simulation below an empty directory."""
    run = _Run(seed, directory)
    with capture_logs() as lines, witnessed(), run.chaos.armed():
        simulation = run_seeded(f"{seed}/scheduler", run.run)
    simulation.trace.lines.extend(map(str, lines))
    return simulation


class _Run:
    def __init__(self, seed: int, directory: Path) -> None:
        self._seed = seed
        self._script = script = Script.of(self._chance("script"))
        self._directory = directory
        self._life = 0
        self._kept = 0
        self._plan = self._chance("lives")
        self._trace = Trace(place=directory)
        self._clients = Clients.of(
            self._chance("clients"), workflows=script.workflows, within_s=script.busy_s
        )
        self._editor = Editor(self._chance("editor"), script.edits_s)
        self.chaos = Chaos(
            chance=self._chance("chaos"),
            pause_s=script.pause_s,
            at_seams=script.at_seams,
            polite=script.polite,
            full_s=script.full_s,
        )

    def _chance(self, purpose: str) -> random.Random:
        return random.Random(f"{self._seed}/{purpose}")

    def _repo(self, life: int) -> Path:
        return self._directory / f"life-{life}" / REPO

    async def run(self) -> Simulation:
        if self._script.git:
            git_repository(self._repo(0))
        else:
            self._repo(0).mkdir(parents=True)
        busy_s, lives = self._script.busy_s, self._script.lives
        ends = sorted(self._plan.uniform(0.0, busy_s) for _ in range(lives - 1))
        if not self._script.polite:
            ends.append(busy_s)  # whom a life has given up comes back in the next one
        while not await self._live(ends.pop(0) if ends else math.inf):
            del ledger[self._kept :]
            self._life += 1
        ended = published(self._repo(self._life))
        await self._live_idly()
        repo = self._repo(self._life)
        self._trace.ledger.extend(ledger)
        self._trace.read(repo)
        return Simulation(
            seed=self._seed,
            repo=repo,
            clients=self._clients,
            editor=self._editor,
            chaos=self.chaos,
            trace=self._trace,
            polite=self._script.polite,
            issues_before_the_last_life=ended,
        )

    async def _live(self, end_s: float) -> bool:
        """One life of the process; answers whether it has done all there was to do.

        It ends at `end_s`, killed or stopped in order, or before that, when the system gives up.
        """
        killed = self._plan.random() < KILLED
        done = False
        async with self._running() as running, trio.open_nursery() as nursery:
            nursery.start_soon(self._clients.run, running)
            nursery.start_soon(self.chaos.run, running, self._script.busy_s)
            nursery.start_soon(self._editor.run, self._repo(self._life), self._script.busy_s)
            nursery.start_soon(_end_with, running, nursery)
            done = await self._wait(running, end_s)
            if killed and not done:
                await self._kill(nursery)
            nursery.cancel_scope.cancel()
        self.chaos.rest()
        if not self._repo(self._life + 1).exists():
            self._leave_files()
        return done

    async def _live_idly(self) -> None:
        """A last life that has nothing to do, but to close what was only told to be closed."""
        self._life += 1
        async with self._running():
            await trio.sleep(IDLE_S)

    def _running(self) -> AbstractAsyncContextManager[Running]:
        if self._life:  # a copy is refused while its original is there
            last = self._repo(self._life - 1)
            last.rename(last.with_name("left"))
        return running_system(
            self._repo(self._life),
            workflows=flows.WORKFLOWS,
            agents=flows.AGENTS,
            seed=self._plan.getrandbits(32),
            inline=True,
            latency_s=self._script.latency_s,
            clock=now,
            incarnation=f"life-{self._life}",
            on_event=self._observe,
        )

    def _observe(self, event: Event) -> None:
        self.chaos.observe(event)
        fields = json.dumps([event.key, event.fields()], sort_keys=True)
        self._trace.lifecycle.append(f"{trio.current_time():.6f} {self._life} {fields}")

    async def _wait(self, running: Running, end_s: float) -> bool:
        """Wait for the end of this life; answers whether nothing is left to do."""
        last = end_s == math.inf
        with trio.move_on_at(self._script.busy_s + CALM_S if last else end_s):
            while trio.current_time() < self._script.busy_s or not self._is_quiet(running):
                await trio.sleep(1.0)
            await trio.sleep(IDLE_S)  # the issues follow
        return last

    def _is_quiet(self, running: Running) -> bool:
        ended = {fact.workflow_id for fact in running.log() if fact.type in ENDS}
        sql = "SELECT tempolite_workflow_id FROM workflow_mappings"
        known = running.stores.coordination.inline.execute(sql)
        return self._clients.are_served and all(row[0] in ended for row in known)

    async def _kill(self, nursery: trio.Nursery) -> None:
        """End this life the next time that something becomes durable, or right before it does.

        What it does from then on, nobody will ever see.
        """
        dead = trio.Event()

        def kill() -> None:
            self._leave_files()
            nursery.cancel_scope.cancel()
            dead.set()

        self.chaos.kill = kill
        with trio.move_on_after(SEAM_S):
            await dead.wait()

    def _leave_files(self) -> None:
        """Give the next life the files as they are now."""
        ignored = shutil.ignore_patterns("*-shm", "lock", "*.sock")  # what a dead process holds
        shutil.copytree(self._repo(self._life), self._repo(self._life + 1), ignore=ignored)
        self._kept = len(ledger)


async def _end_with(running: Running, nursery: trio.Nursery) -> None:
    """Failures that escalate to the root end the process; then somebody starts it again."""
    await running.system.wait()
    nursery.cancel_scope.cancel()
