"""A model of who has what: whatever happens to agents and their coordinator, the rules hold.

A script of events is drawn, and run on a whole system on trio's own clock. After each of them, and
whenever an agent begins a task: nobody has more than there is room for, no workflow is with two
agents or with none. At the end, when agents are well again, every workflow has been done, by the
attempts that were handed out last, and nothing that a lost agent handed in was taken.
HYPOTHESIS_PROFILE=soak draws many more.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, event, example, given, note, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.agents.messages import AgentView, ListAgents, TaskDone, TaskOrder
from actors.agents.registration_messages import ActivateAgent, DrainAgent
from actors.coordination.assignment_messages import BY_HAND, HANDOFF, MoveWorkflow
from beadflow import Agent, Context, Task, activity, workflow
from supervision import ActorDeadError, ActorRestarting, Refused
from tests.actors.test_tree import trios_clock
from tests.support.world import Running, git_repository, running_system

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times

EXAMPLES = 1500 if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else 10
AGENTS = 2
LATE = '[1,{"value":"late"}]'


class Hang:
    """What an agent never gets over."""


class Crash:
    """What an agent cannot bear."""


@dataclass(slots=True)
class Seen:
    """What agents were told to do, and which attempts handed in a result."""

    orders: list[tuple[str, TaskOrder]] = field(default_factory=list)


seen = Seen()


class Digger(Agent):
    agent_type = "digger"
    max_workload = 2

    async def on_receive(self, message: object) -> object:
        match message:
            case Hang():
                await trio.sleep_forever()
            case Crash():
                raise RuntimeError("as told")
            case TaskOrder():
                seen.orders.append((self.agent_id, message))
        return await super().on_receive(message)

    @activity
    async def dig(self, task: Task, seconds: float) -> list[Any]:
        await trio.sleep(seconds)
        return [self.agent_id, task.attempt]


@workflow(name="digs", agent_type="digger")
async def digs(ctx: Context, variables: dict[str, Any]) -> Any:
    first = ctx.activity(Digger.dig, variables["seconds"])
    second = ctx.activity(Digger.dig, variables["seconds"])
    return [*await ctx.gather(first, second), await ctx.activity(Digger.dig, 1.0)]


AGENT = st.integers(1, AGENTS).map("digger-{}".format)
WHICH = st.integers(0, 9)
START = st.tuples(st.just("start"), st.integers(0, 4), st.sampled_from([0.5, 7.0, 45.0]))
EVENTS = st.one_of(
    START,
    START,
    START,
    st.tuples(st.just("hang"), AGENT),
    st.tuples(st.just("crash"), AGENT),
    st.tuples(st.just("drain"), AGENT),
    st.tuples(st.just("activate"), AGENT),
    st.tuples(st.just("give"), WHICH, AGENT),
    st.tuples(st.just("hand on"), WHICH),
    st.tuples(st.just("late"), WHICH),
    st.tuples(st.just("coordinator crashes")),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 4.0, 40.0])),
)


@dataclass(slots=True)
class Script:
    """Runs drawn events, one after the other."""

    running: Running
    started: list[str] = field(default_factory=list)
    moves: int = 0

    async def run(self, events: Sequence[tuple[Any, ...]]) -> None:
        for kind, *given_ in events:
            event(kind)
            await getattr(self, f"_{kind.replace(' ', '_')}")(*given_)
            await self._check()

    async def _start(self, priority: int, seconds: float) -> None:
        variables = {"seconds": seconds}
        async with _refusals():
            started = await self.running.start("digs", priority=priority, variables=variables)
            self.started.append(started.id)

    async def _hang(self, agent_id: str) -> None:
        self._tell(f"agent/{agent_id}", Hang())

    async def _crash(self, agent_id: str) -> None:
        self._tell(f"agent/{agent_id}", Crash())

    async def _drain(self, agent_id: str) -> None:
        await self._ask(DrainAgent(agent_id=agent_id))

    async def _activate(self, agent_id: str) -> None:
        await self._ask(ActivateAgent(agent_id=agent_id))

    async def _give(self, which: int, agent_id: str) -> None:
        await self._move(which, kind=BY_HAND, to_agent=agent_id)

    async def _hand_on(self, which: int) -> None:
        await self._move(which, kind=HANDOFF, to_type="digger")

    async def _move(self, which: int, **how: Any) -> None:
        if self.started:
            workflow_id = self.started[which % len(self.started)]
            self.moves += 1
            await self._ask(MoveWorkflow(move_id=f"m{self.moves}", workflow_id=workflow_id, **how))

    async def _late(self, which: int) -> None:
        """A result of an attempt that another one has followed."""
        latest = {(o.workflow_id, o.op): o.fence for _, o in seen.orders}
        old = [(a, o) for a, o in seen.orders if latest[o.workflow_id, o.op] != o.fence]
        if old:
            agent_id, order = old[which % len(old)]
            self._tell("coordinator", TaskDone(agent_id=agent_id, order=order, result=LATE))

    async def _coordinator_crashes(self) -> None:
        self._tell("coordinator", TaskDone(agent_id="digger-1", order=None, result=""))  # type: ignore[arg-type]
        await trio.sleep(5.0)

    async def _wait(self, seconds: float) -> None:
        await trio.sleep(seconds)

    def _tell(self, name: str, message: object) -> None:
        try:
            self.running.system.named(name).tell(message)
        except (ActorDeadError, ActorRestarting):
            event("was away")

    async def _ask(self, message: Any) -> None:
        async with _refusals():
            await self.running.ask("coordinator", message)

    async def _check(self) -> None:
        agents: tuple[AgentView, ...] = ()
        async with _refusals():
            agents = await self.running.ask("coordinator", ListAgents())
        for agent in agents:
            assert agent.workload <= agent.max_workload, agent
        rows = self.running.stores.coordination.inline.execute(
            "SELECT m.tempolite_workflow_id, m.status, count(a.id) FROM workflow_mappings m"
            " LEFT JOIN agent_assignments a ON a.workflow_id = m.tempolite_workflow_id"
            " AND a.status IN ('queued', 'assigned') GROUP BY m.tempolite_workflow_id"
        ).fetchall()
        for workflow_id, status, count in rows:
            assert count == (status in ("queued", "active", "paused")), (workflow_id, status)

    async def end(self) -> None:
        """Everybody is well again; then all of it is done."""
        for number in range(1, AGENTS + 1):
            await self._activate(f"digger-{number}")
        with trio.fail_after(3600.0):
            while not await self._are_done():
                await self._check()
                await trio.sleep(5.0)
        latest = {(o.workflow_id, o.op): (a, o.attempt) for a, o in seen.orders}
        for workflow_id in self.started:
            output = await self.running.output(workflow_id)
            doers = {done for (w, _), done in latest.items() if w == workflow_id}
            assert {tuple(done) for done in output} == doers, (output, doers)

    async def _are_done(self) -> bool:
        found = [await self.running.get(workflow_id) for workflow_id in self.started]
        assert all(w.status in ("queued", "active", "completed") for w in found), found
        return all(w.status == "completed" for w in found)


class _refusals:  # noqa: N801 - reads as a function
    """What the system may answer instead, at any time."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, kind: object, error: object, trace: object) -> bool:
        del kind, trace
        return isinstance(error, Refused | ActorDeadError | ActorRestarting)


async def play(repo: Path, events: Sequence[tuple[Any, ...]]) -> None:
    seen.orders.clear()
    async with running_system(
        repo, workflows=[digs], agents=[Digger] * AGENTS, inline=True, clock=trios_clock
    ) as running:
        script = Script(running)
        await script.run(events)
        await script.end()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(EVENTS, min_size=5, max_size=25))
@example(
    [
        ("give", 3, "digger-1"),
        ("crash", "digger-2"),
        ("hang", "digger-2"),
        ("start", 3, 7.0),
        ("hand on", 0),
        ("activate", "digger-1"),
    ]
)
def test_the_rules_of_who_has_what_hold_whatever_happens(events: list[tuple[Any, ...]]) -> None:
    note(f"events: {events}")
    with tempfile.TemporaryDirectory() as directory:
        repo = git_repository(Path(directory) / "repo")
        trio.run(play, repo, events, clock=MockClock(autojump_threshold=0))
