"""A whole system in a directory of its own, with one class of agents and nothing else in it."""

import random
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from actors.agents.handout import agent_name
from actors.agents.messages import TaskDone
from actors.agents.registration_messages import AgentState, GetAgentState, RegisterAgent
from actors.clock import system_clock
from actors.coordination.messages import GetWorkflow, StartWorkflow, WorkflowRecord
from actors.coordination.results.messages import ListResults
from actors.stores import open_stores
from actors.telemetry import Meters
from actors.tree import World, tree
from actors.workflows.context import Context
from actors.workflows.definition import Definitions, workflow
from actors.workflows.history import CLOSED, Status
from beadflow.testing.diary import Diary, Fall, watched
from beadflow.testing.subject import Nonconformance, Subject
from storage.home import DataDir
from supervision import ActorRestarted, Event, Named, System, ask

WORKFLOW = "conformance"
LOOK_S = 0.005
ASK_S = 30.0

_OVER = CLOSED | {Status.DEAD_LETTER}


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A running system and what its agents have been through."""

    subject: Subject
    system: System
    diary: Diary
    events: list[Event]

    async def ask(self, name: str, message: Any) -> Any:
        return await ask(self.system.named(name), message, deadline_s=ASK_S)

    def agent(self, agent_id: str) -> Named:
        return self.system.named(agent_name(agent_id))

    async def register(self) -> str:
        """One more agent; it has come up, or has tried to, when it is in the diary."""
        message = RegisterAgent(
            agent_type=self.subject.agent_class.agent_type, config=self.subject.config
        )
        return str((await self.ask("coordinator", message)).agent_id)

    async def registered(self) -> str:
        """One more agent that is up."""
        agent_id = await self.register()
        await self.up(agent_id)
        return agent_id

    async def up(self, agent_id: str) -> None:
        await self.until(f"{agent_id} has come up", self._is_up, agent_id)

    async def _is_up(self, agent_id: str) -> bool:
        return (await self.state(agent_id)).agent.up

    async def state(self, agent_id: str) -> AgentState:
        found: AgentState = await self.ask("coordinator", GetAgentState(agent_id=agent_id))
        return found

    async def until(
        self,
        what: str,
        condition: Callable[..., Any],
        *given: Any,
        limit_s: float | None = None,
        otherwise: str = "",
    ) -> None:
        """Wait for something that no event tells of.

        Raises:
            Nonconformance: it did not come in time, the example's if no other is given.
        """
        limit_s = self.subject.deadline_s if limit_s is None else limit_s
        with trio.move_on_after(limit_s):
            while not await _answer(condition, *given):  # noqa: ASYNC110 - see above
                await trio.sleep(LOOK_S)
            return
        raise Nonconformance(f"it was waited for {limit_s:g} s until {what}{otherwise}")

    async def crash(self, agent_id: str) -> None:
        """Have an agent crash, and wait for its next life."""
        path = f"/{agent_id}"
        before = self.restarts(path)
        self.agent(agent_id).tell(Fall())
        await self.until(
            f"{agent_id} has been restarted after a crash", lambda: self.restarts(path) > before
        )

    def restarts(self, path: str) -> int:
        """How often the actor was restarted whose path ends so."""
        seen = (event for event in self.events if isinstance(event, ActorRestarted))
        return sum(event.path.endswith(path) for event in seen)

    async def begin(self, activity: str, given: Any) -> str:
        """Start a workflow whose only step is this."""
        variables = {"activity": activity, "input": given}
        message = StartWorkflow(title=activity, workflow_type=WORKFLOW, variables=variables)
        return str((await self.ask("manager", message)).id)

    async def look(self, workflow_id: str) -> WorkflowRecord:
        found: WorkflowRecord = await self.ask("manager", GetWorkflow(workflow_id=workflow_id))
        return found

    async def ended(self, workflow_id: str) -> WorkflowRecord:
        async def is_over() -> bool:
            return (await self.look(workflow_id)).status in _OVER

        await self.until("a workflow of one step has ended", is_over)
        return await self.look(workflow_id)

    async def output(self, workflow_id: str) -> Any:
        """What a workflow came to; it is shown a moment after its end."""
        found: list[Any] = []

        async def is_there() -> bool:
            page = await self.ask("results", ListResults(workflow_id=workflow_id))
            found.extend(one.result_data for one in page.records if one.step == "output")
            return bool(found)

        await self.until("the result of a workflow is shown", is_there)
        return found[0]

    async def idle(self, agent_id: str) -> None:
        async def is_idle() -> bool:
            found = await self.state(agent_id)
            return found.metrics is not None and found.metrics.current == 0

        await self.until(f"{agent_id} has nothing left to do", is_idle)

    def hand_in(self, late: TaskDone) -> None:
        self.system.named("coordinator").tell(late)


async def _answer(condition: Callable[..., Any], *given: Any) -> bool:
    found = condition(*given)
    return bool(await found if hasattr(found, "__await__") else found)


@asynccontextmanager
async def house(subject: Subject) -> AsyncIterator[House]:
    """Run one until the block ends; then it is stopped in order and its directory is gone."""
    diary, events = Diary(), list[Event]()
    kind = watched(subject.agent_class, diary)
    diary.gate.set()

    @workflow(name=WORKFLOW, agent_type=kind.agent_type)
    async def one_step(ctx: Context, variables: dict[str, Any]) -> Any:
        definition = kind.activities[variables["activity"]]
        given = () if definition.input_type is None else (variables["input"],)
        return await ctx.activity(definition.function, *given)

    with tempfile.TemporaryDirectory(prefix="beadflow-conformance-") as place:
        repo = Path(place).resolve() / "repo"  # noqa: ASYNC240 - nothing else runs yet
        repo.mkdir()
        subprocess.run(["git", "init", "--quiet"], cwd=repo, check=True)  # noqa: ASYNC221 - nothing else runs yet
        subject.prepare(repo)
        with DataDir.resolve(repo) as data:
            meters, chance = Meters(), random.Random()  # noqa: S311 - names, no secrets
            async with (
                open_stores(data, chance=chance, observe=meters.observe_query) as stores,
                System.open(events.append) as system,
            ):
                world = World(
                    data=data,
                    stores=stores,
                    repo=repo,
                    definitions=Definitions.of([one_step]),
                    agents=(),
                    agent_types=(kind,),
                    meters=meters,
                    clock=system_clock,
                    chance=chance,
                    incarnation="conformance",
                    agent_commands=subject.commands,
                )
                await system.start(tree(system, world))
                yield House(subject=subject, system=system, diary=diary, events=events)
