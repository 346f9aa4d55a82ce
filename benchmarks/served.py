"""The whole tree in this process, as the server runs it but without its doors.

Real files, real SQLite, a real Git repository of its own. One is made for each measurement, so that
none inherits the backlog of the one before.
"""

import random
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from actors.agents.catalogue import AgentSpec
from actors.bus import Subscribe
from actors.clock import system_clock
from actors.facts import ISSUE_CLOSED, WORKFLOW_COMPLETED
from actors.stores import Stores, open_stores
from actors.telemetry import Meters
from actors.tree import World, tree
from actors.workflows.definition import Definitions
from benchmarks.commits import Commits, counted
from benchmarks.machine import as_served
from storage.home import DataDir
from supervision import ActorExited, Event, Named, System, ask

INSTANCES = "root/engine/workflow_instances/"


@dataclass(slots=True)
class Ends:
    """Whoever waits for the end of a workflow."""

    _expected: dict[str, trio.Event] = field(default_factory=dict)

    def expect(self, workflow_id: str) -> trio.Event:
        return self._expected.setdefault(workflow_id, trio.Event())

    def come(self, workflow_id: str) -> None:
        self.expect(workflow_id).set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running system.

    Args:
        exits: set when a workflow's actor has ended; its history is durable then.
        completions: set when `workflow_completed` is in the event log; see `follow`.
        closings: set when the issue is closed and the event log says so; see `follow`.
        tempolite_commits: of the engine's database alone.
        all_commits: of the three databases together.
    """

    system: System
    world: World
    stores: Stores
    exits: Ends
    completions: Ends
    closings: Ends
    tempolite_commits: Commits
    all_commits: Commits

    def named(self, name: str) -> Named:
        return self.system.named(name)

    async def follow(self) -> None:
        """Hear of ends as a client of the event stream does, until cancelled."""
        ends = {WORKFLOW_COMPLETED: self.completions, ISSUE_CLOSED: self.closings}
        subscription = await ask(self.named("event_bus"), Subscribe(buffer=100_000))
        with subscription.batches:
            async for batch in subscription.batches:
                for fact in batch:
                    if fact.type in ends and fact.workflow_id is not None:
                        ends[fact.type].come(fact.workflow_id)
        raise RuntimeError("the event bus ended the subscription")


@asynccontextmanager
async def served(
    repo: Path,
    workflows: Sequence[object],
    *,
    agents: Sequence[AgentSpec] = (),
    life: str = "benchmark",
) -> AsyncIterator[Served]:
    """Run the tree on a repository until the block ends; then it is stopped in order.

    Args:
        repo: made when it is not there.
        workflows: their functions.
        agents: those of the settings.
        life: names this life of the data, if there was one before.
    """
    _make_repository(repo)
    meters, exits = Meters(), Ends()

    def observe(event: Event) -> None:
        if isinstance(event, ActorExited) and event.path.startswith(INSTANCES):
            exits.come(event.path.removeprefix(INSTANCES))

    chance = random.Random(1)
    with ExitStack() as files, DataDir.resolve(repo) as data:
        async with (
            open_stores(data, chance=chance, observe=meters.observe_query) as stores,
            System.open(observe) as system,
        ):
            world = World(
                data=data,
                stores=stores,
                repo=repo,
                definitions=Definitions.of(workflows),
                agents=agents,
                meters=meters,
                clock=system_clock,
                chance=chance,
                incarnation=life,
            )
            await system.start(tree(system, world))
            databases = data.tempolite_db, data.coordination_db, data.beads_db
            with as_served():
                yield Served(
                    system=system,
                    world=world,
                    stores=stores,
                    exits=exits,
                    completions=Ends(),
                    closings=Ends(),
                    tempolite_commits=files.enter_context(counted(data.tempolite_db)),
                    all_commits=files.enter_context(counted(*databases)),
                )


def _make_repository(path: Path) -> None:
    if path.exists():
        return
    path.mkdir(parents=True)
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "config", "user.name", "Benchmark"],
        ["git", "config", "user.email", "benchmark@example.invalid"],
        ["git", "commit", "--quiet", "--allow-empty", "--message", "first"],
    ):
        subprocess.run(command, cwd=path, check=True, capture_output=True)
