"""A whole system in the test's own process: real files, real SQLite, real Git, no doors.

`running_system` is the one way tests get one, so that every suite runs the tree that users run.
"""

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from actors import fact_models
from actors.agents.catalogue import AgentSpec
from actors.agents.protocol import Agent
from actors.bus import NO_END, Subscribe, logged_fact
from actors.clock import Clock, system_clock
from actors.coordination.messages import GetWorkflow, StartWorkflow, WorkflowRecord
from actors.coordination.results.messages import ListResults
from actors.facts import ENDS, LoggedFact
from actors.stores import Stores, open_stores
from actors.telemetry import Meters
from actors.tree import World, tree
from actors.workflows.definition import Definitions
from storage.coordination.queries import EVENTS
from storage.home import DataDir
from storage.issues.file import PUBLISHED
from supervision import ActorDeadError, ActorRestarting, ChildSpec, Event, System, ask
from supervision.events import Observer
from tests.support import prepared

DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running system and what tests ask of it."""

    system: System
    stores: Stores
    world: World
    events: list[Event] = field(default_factory=list)

    async def ask(self, name: str, message: Any, *, deadline_s: float = DEADLINE_S) -> Any:
        return await ask(self.system.named(name), message, deadline_s=deadline_s)

    async def start(
        self, workflow_type: str, title: str = "a title", **given: Any
    ) -> WorkflowRecord:
        message = StartWorkflow(title=title, workflow_type=workflow_type, **given)
        record: WorkflowRecord = await self.ask("manager", message)
        return record

    async def get(self, workflow_id: str) -> WorkflowRecord:
        record: WorkflowRecord = await self.ask("manager", GetWorkflow(workflow_id=workflow_id))
        return record

    async def output(self, workflow_id: str) -> Any:
        found = await self.ask("results", ListResults(workflow_id=workflow_id))
        return next(r.result_data for r in found.records if r.step == "output")

    async def ended(
        self, *workflow_ids: str, deadline_s: float = DEADLINE_S
    ) -> list[WorkflowRecord]:
        """Wait until these workflows have ended; answers what became of them, in order."""
        await self.until(
            lambda seen: set(workflow_ids) <= ended_workflows(seen), deadline_s=deadline_s
        )
        return [await self.get(workflow_id) for workflow_id in workflow_ids]

    async def until(
        self,
        satisfied: Callable[[Sequence[LoggedFact]], bool],
        *,
        deadline_s: float = DEADLINE_S,
    ) -> list[LoggedFact]:
        """Wait until the event log satisfies a condition; answers the log up to there."""
        with trio.fail_after(deadline_s):
            while True:
                try:
                    return await self._until(satisfied)
                except (ActorDeadError, ActorRestarting):
                    await trio.sleep(0.01)

    async def _until(self, satisfied: Callable[[Sequence[LoggedFact]], bool]) -> list[LoggedFact]:
        subscription = await ask(self.system.named("event_bus"), Subscribe(), deadline_s=DEADLINE_S)
        seen = self.log()
        with subscription.batches:
            while not satisfied(seen):
                try:
                    await subscription.batches.receive()
                except trio.EndOfChannel as error:
                    raise ActorRestarting("the bus went away") from error
                seen = self.log()
        return seen

    def log(self) -> list[LoggedFact]:
        rows = self.stores.coordination.inline.execute(EVENTS, (0, NO_END, -1)).fetchall()
        return [logged_fact(row) for row in rows]


def ended_workflows(seen: Sequence[LoggedFact]) -> set[str]:
    return {fact.workflow_id for fact in seen if fact.type in ENDS and fact.workflow_id}


@asynccontextmanager
async def running_system(
    repo: Path,
    *,
    workflows: Sequence[object] = (),
    agents: Sequence[type[Agent]] = (),
    agent_types: Sequence[type[Agent]] = (),
    data_dir: Path | None = None,
    poison: bool = True,
    seed: int = 1,
    drives_all: bool = True,
    retention_days: int = 0,
    reconcile_s: float = 0.0,
    doors: Callable[[System, World], Sequence[ChildSpec]] | None = None,
    inline: bool = False,
    latency_s: float = 0.0,
    clock: Clock = system_clock,
    incarnation: str | None = None,
    on_event: Observer | None = None,
    facts_checked: bool = True,
    **more: Any,
) -> AsyncIterator[Running]:
    """Run the tree on a directory until the block ends; then it is stopped in order.

    Every event that was logged is held to the model of its type, unless the test has failed anyway
    or something else has changed the databases (`facts_checked`).

    With `inline`, nothing of it runs off the trio thread, and whoever writes takes up to
    `latency_s` of trio's clock for it. `more` is given to the `World`.
    """
    chance = random.Random(seed)
    meters = Meters()
    events: list[Event] = []

    def observe(event: Event) -> None:
        events.append(event)
        if on_event is not None:
            on_event(event)

    with DataDir.resolve(repo, data_dir) as data:
        prepared.copy_databases(data)
        async with (
            open_stores(
                data,
                chance=chance,
                observe=meters.observe_query,
                published=repo / PUBLISHED,
                inline=inline,
            ) as stores,
            System.open(
                observe, random=random.Random(seed), inline=inline, latency_s=latency_s
            ) as system,
        ):
            world = World(
                data=data,
                stores=stores,
                repo=repo,
                definitions=Definitions.of(workflows),
                agents=numbered(agents),
                agent_types=agent_types,
                meters=meters,
                clock=clock,
                chance=chance,
                incarnation=incarnation or f"life-{random.SystemRandom().random()}",
                poison=poison,
                drives_all=drives_all,
                retention_days=retention_days,
                reconcile_s=reconcile_s,
                **more,
            )
            await system.start(tree(system, world, doors(system, world) if doors else ()))
            running = Running(system=system, stores=stores, world=world, events=events)
            yield running
            for fact in running.log() if facts_checked else ():
                fact_models.check(fact.type, fact.data)


def numbered(agents: Sequence[type[Agent]]) -> list[AgentSpec]:
    """An instance of each, "<type>-1" and so on; a class that is named twice has two."""
    seen = Counter[str]()
    specs = []
    for kind in agents:
        seen[kind.agent_type] += 1
        agent_id = f"{kind.agent_type}-{seen[kind.agent_type]}"
        specs.append(AgentSpec(agent_id=agent_id, agent_class=kind))
    return specs


def git_repository(path: Path) -> Path:
    """A real repository with one commit."""
    prepared.copy_repository(path)
    return path
