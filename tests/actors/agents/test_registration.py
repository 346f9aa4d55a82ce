"""Registration of agents: they come, are set up anew, take no more work, and go."""

from pathlib import Path
from typing import Any

import pytest
import trio
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from actors.agents.messages import AgentBeat, AgentUp, Introduce
from actors.agents.registration_messages import (
    ActivateAgent,
    AgentIdentity,
    AgentRecord,
    DrainAgent,
    FindAgents,
    GetAgent,
    GetAgentConfig,
    GetAgentState,
    ListAgentTypes,
    RecordConfig,
    RegisterAgent,
    UnregisterAgent,
    UpdateAgentConfig,
)
from actors.errors import Conflict, NotFound, ValidationError
from actors.facts import LoggedFact
from actors.writer import write
from beadflow import Agent, Context, Task, activity, workflow
from storage import payload
from storage.coordination import agents
from supervision import Refused
from tests.support.faults import crash, restarts, tell_when_up, until
from tests.support.world import Running, running_system

COORDINATOR = "root/agents/coordinator"
LIVES: list[str] = []


class Crash:
    """What an agent of these tests cannot bear."""


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    words: str = Field(default="hello", max_length=10)
    token: SecretStr = SecretStr("")

    @field_validator("words")
    @classmethod
    def _no_accident(cls, words: str) -> str:
        if words == "crash":
            raise ZeroDivisionError("by the model itself")
        return words


class Clerk(Agent):
    """Writes what it was set up with.

    And nothing else.
    """

    agent_type = "clerk"
    max_workload = 1
    Config = Settings
    gate = trio.Event()

    async def initialize(self) -> None:
        LIVES.append(f"{self.agent_id}: {self.config.words}")
        if self.config.words == "broken":
            raise OSError("no ink")

    async def on_receive(self, message: object) -> object:
        match message:
            case Crash():
                raise RuntimeError("as told")
            case _:
                return await super().on_receive(message)

    @activity
    async def write(self, task: Task, text: str) -> str:
        """Write something."""
        await self.gate.wait()
        return f"{self.agent_id}: {self.config.words} {text}"


class Needy(Agent):
    agent_type = "needy"

    class Config(BaseModel):
        key: str

        model_config = ConfigDict(extra="forbid")


class Nimble(Clerk):
    agent_type = "nimble"

    async def configure(self, config: BaseModel) -> None:
        LIVES.append(f"told: {self.config.words}")


@workflow(agent_type="clerk")
async def letter(ctx: Context) -> str:
    return await ctx.activity(Clerk.write, "there")


@pytest.fixture(autouse=True)
def _open_gate() -> None:
    LIVES.clear()
    Clerk.gate = trio.Event()
    Clerk.gate.set()


def system(repo: Path, **more: Any) -> Any:
    given = {"workflows": [letter], "agents": [Clerk], "agent_types": [Needy, Nimble], **more}
    return running_system(repo, **given)


async def say(running: Running, message: Any) -> Any:
    return await running.ask("coordinator", message)


async def register(running: Running, kind: str = "clerk", **more: Any) -> AgentRecord:
    record: AgentRecord = await say(running, RegisterAgent(agent_type=kind, **more))
    return record


async def is_up(running: Running, agent_id: str) -> None:
    async def looked() -> bool:
        return bool((await say(running, GetAgent(agent_id=agent_id))).up)

    with trio.fail_after(10):
        while not await looked():
            await trio.sleep(0.005)


async def ids(running: Running, **which: Any) -> list[str]:
    return [record.agent_id for record in await say(running, FindAgents(**which))]


async def crash_coordinator(running: Running) -> None:
    await crash(running, COORDINATOR, AgentUp(agent_id="nobody", incarnation=1))


def logged(running: Running, kind: str) -> list[LoggedFact]:
    return [fact for fact in running.log() if fact.type == kind]


async def happens(running: Running, kind: str, times: int = 1) -> LoggedFact:
    await running.until(lambda seen: sum(fact.type == kind for fact in seen) >= times)
    return logged(running, kind)[-1]


# --- they come


async def test_a_registered_agent_works(repo: Path) -> None:
    async with system(repo) as running:
        await say(running, DrainAgent(agent_id="clerk-1"))
        record = await register(running, config={"words": "bye"}, max_workload=2)
        assert (record.agent_id, record.origin, record.status) == ("clerk-2", "request", "active")
        assert (record.max_workload, record.capabilities) == (2, ("write",))
        begun = await running.start("letter")
        await running.ended(begun.id)
        assert (await running.output(begun.id)) == "clerk-2: bye there"
        fact = await happens(running, "agent_registered")
        assert fact.data == {"agent_id": "clerk-2", "agent_type": "clerk", "max_workload": 2}


async def test_a_registered_agent_is_there_again_after_a_restart(
    repo: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with system(repo, data_dir=data) as running:
        await register(running, agent_id="fred", config={"words": "again"})
        await is_up(running, "fred")
    LIVES.clear()
    async with system(repo, data_dir=data) as running:
        await is_up(running, "fred")
        assert sorted(LIVES) == ["clerk-1: hello", "fred: again"]


async def test_a_registered_agent_outlives_its_coordinator(repo: Path) -> None:
    async with system(repo) as running:
        await register(running, agent_id="fred")
        await is_up(running, "fred")
        await crash_coordinator(running)
        assert await ids(running) == ["clerk-1", "fred"]
        await is_up(running, "fred")
        assert LIVES.count("fred: hello") == 1


async def test_ids_are_made_up_and_never_given_again(repo: Path) -> None:
    async with system(repo) as running:
        made = [(await register(running)).agent_id for _ in range(2)]
        await say(running, UnregisterAgent(agent_id="clerk-3"))
        made.append((await register(running)).agent_id)
        made.append((await register(running, "needy", config={"key": "x"})).agent_id)
        assert made == ["clerk-2", "clerk-3", "clerk-4", "needy-1"]


async def test_the_same_request_with_its_key_is_one_agent(repo: Path) -> None:
    async with system(repo) as running:
        first = await register(running, idempotency_key="k")
        again = await register(running, idempotency_key="k")
        assert first.agent_id == again.agent_id == "clerk-2"
        with pytest.raises(Conflict, match="came with another request"):
            await register(running, idempotency_key="k", max_workload=3)
        assert await ids(running) == ["clerk-1", "clerk-2"]
        assert len(logged(running, "agent_registered")) == 1


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"agent_type": "cook"}, NotFound, "known: clerk, needy, nimble"),
        ({"agent_type": "my.module:Cook"}, ValidationError, "never a module or a path"),
        ({"agent_type": "./cook.py"}, ValidationError, "never a module or a path"),
        ({"agent_id": "types"}, ValidationError, "is called by"),
        ({"agent_id": "a/b"}, ValidationError, "is called by"),
        ({"agent_id": "clerk-1"}, Conflict, "there is an agent clerk-1 already"),
        ({"max_workload": -1}, ValidationError, "0 to 1000"),
        ({"max_workload": 1001}, ValidationError, "0 to 1000"),
        ({"config": {"wrods": "x"}}, ValidationError, "config.wrods.*known: words, token"),
        ({"config": {"words": "x" * 11}}, ValidationError, "config.words"),
        ({"config": {"words": "crash"}}, ValidationError, "its model failed: ZeroDivisionError"),
        ({"agent_type": "needy"}, ValidationError, "config.key"),
        ({"config": {"words": float("nan")}}, ValidationError, "config"),
    ],
)
async def test_what_cannot_be_registered_is_refused(
    repo: Path, given: dict[str, Any], error: type[Refused], words: str
) -> None:
    async with system(repo) as running:
        with pytest.raises(error, match=words):
            await register(running, **{"kind": given.pop("agent_type", "clerk"), **given})
        assert await ids(running) == ["clerk-1"]
        assert restarts(running, COORDINATOR) == 0


async def test_an_id_can_only_be_had_once(repo: Path) -> None:
    async with system(repo) as running:
        await register(running, agent_id="fred")
        with pytest.raises(Conflict, match="there is an agent fred already") as refused:
            await register(running, agent_id="fred")
        assert refused.value.code == "agent_exists"


async def test_types_say_what_they_take(repo: Path) -> None:
    async with system(repo) as running:
        clerk, needy, _ = await say(running, ListAgentTypes())
        assert (clerk.agent_type, clerk.description) == ("clerk", "Writes what it was set up with.")
        assert (clerk.max_workload, clerk.agents) == (1, ("clerk-1",))
        (write,) = clerk.activities
        assert (write["name"], write["description"]) == ("write", "Write something.")
        assert (write["input"]["type"], write["output"]["type"]) == ("string", "string")
        assert set(clerk.config["properties"]) == {"words", "token"}
        assert (needy.config["required"], needy.agents) == (["key"], ())


# --- they are set up anew


async def test_an_agent_is_set_up_anew_between_its_tasks(repo: Path) -> None:
    Clerk.gate = trio.Event()
    async with system(repo) as running:
        begun = await running.start("letter")
        await running.until(lambda seen: any(fact.type == "step_started" for fact in seen))
        changed = UpdateAgentConfig(agent_id="clerk-1", config={"words": "bye"})
        config = await say(running, changed)
        assert (config.config["words"], config.pending) == ("bye", True)
        assert LIVES == ["clerk-1: hello"]
        Clerk.gate.set()
        await running.ended(begun.id)
        assert (await running.output(begun.id)) == "clerk-1: hello there"
        await is_up(running, "clerk-1")
        assert LIVES == ["clerk-1: hello", "clerk-1: bye"]
        assert not (await say(running, GetAgentConfig(agent_id="clerk-1"))).pending


async def test_an_agent_that_is_to_be_set_up_anew_gets_nothing_more_although_it_lives(
    repo: Path,
) -> None:
    Clerk.gate = trio.Event()
    async with system(repo) as running:
        begun = await running.start("letter")
        await running.until(lambda seen: any(fact.type == "step_started" for fact in seen))
        changed = UpdateAgentConfig(agent_id="clerk-1", config={"words": "bye"}, max_workload=2)
        assert (await say(running, changed)).pending
        up = await running.ask("agent/clerk-1", Introduce())
        running.system.named("coordinator").tell(
            AgentBeat(agent_id="clerk-1", incarnation=up.incarnation)
        )
        waits = await running.start("letter")
        await say(running, GetAgent(agent_id="clerk-1"))  # all that was said before is heard
        Clerk.gate.set()
        await running.ended(begun.id, waits.id)
        assert (await running.output(begun.id)) == "clerk-1: hello there"
        assert (await running.output(waits.id)) == "clerk-1: bye there"


async def test_an_agent_that_can_is_told_its_configuration(repo: Path) -> None:
    async with system(repo) as running:
        await register(running, "nimble", agent_id="n")
        await is_up(running, "n")
        await say(running, UpdateAgentConfig(agent_id="n", config={"words": "bye"}))
        await until(lambda: "told: bye" in LIVES)
        assert "n: bye" not in LIVES


async def test_a_configuration_survives_a_restart_and_shows_no_secrets(
    repo: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with system(repo, data_dir=data) as running:
        given = {"words": "kept", "token": "geheim"}
        await say(running, UpdateAgentConfig(agent_id="clerk-1", config=given, max_workload=7))
    async with system(repo, data_dir=data) as running:
        found = await say(running, GetAgentConfig(agent_id="clerk-1"))
        assert found.config == {"words": "kept", "token": "**********"}
        assert found.max_workload == (await say(running, GetAgent(agent_id="clerk-1"))).max_workload
        assert found.max_workload == 7
        merged = UpdateAgentConfig(agent_id="clerk-1", config={"words": "more"}, merge=True)
        assert (await say(running, merged)).config["token"] == "**********"
        row = agents.find(running.stores.coordination.inline, "clerk-1")
        assert row is not None
        assert row.config == '[1,{"token":"geheim","words":"more"}]'


async def test_a_coordinator_that_died_finds_what_is_set_up_otherwise(repo: Path) -> None:
    """It had written another configuration, and nobody had been told."""
    async with system(repo) as running:
        await is_up(running, "clerk-1")
        changed = RecordConfig(
            agent=AgentIdentity(agent_id="clerk-1", agent_type="clerk"),
            config=payload.encode({"words": "bye"}),
            max_workload=None,
            at="2026-01-01T00:00:00.000000Z",
        )
        await write(running.system.named("coordination_writer"), changed)
        assert LIVES == ["clerk-1: hello"]
        await crash_coordinator(running)
        await until(lambda: "clerk-1: bye" in LIVES)
        await is_up(running, "clerk-1")


async def test_a_configuration_that_does_not_fit_changes_nothing(repo: Path) -> None:
    async with system(repo) as running:
        with pytest.raises(ValidationError, match=r"config\.words"):
            await say(running, UpdateAgentConfig(agent_id="clerk-1", config={"words": 3}))
        with pytest.raises(NotFound, match="there is no agent nobody"):
            await say(running, UpdateAgentConfig(agent_id="nobody", config={}))
        found = await say(running, GetAgentConfig(agent_id="clerk-1"))
        assert (found.config["words"], found.pending) == ("hello", False)


async def test_an_agent_that_cannot_start_is_mended_by_another_configuration(repo: Path) -> None:
    async with system(repo) as running:
        await say(running, UpdateAgentConfig(agent_id="clerk-1", config={"words": "broken"}))
        await until(lambda: "clerk-1: broken" in LIVES)

        async def is_lost() -> bool:
            return bool((await say(running, GetAgent(agent_id="clerk-1"))).status == "lost")

        with trio.fail_after(10):
            while not await is_lost():
                await trio.sleep(0.005)
        await say(running, UpdateAgentConfig(agent_id="clerk-1", config={}))
        await say(running, ActivateAgent(agent_id="clerk-1"))
        await is_up(running, "clerk-1")


# --- they take no more work


async def test_a_draining_agent_finishes_what_it_has_and_takes_nothing_new(
    repo: Path, tmp_path: Path
) -> None:
    Clerk.gate = trio.Event()
    async with system(repo, data_dir=tmp_path / "data") as running:
        first = await running.start("letter")
        drained = await say(running, DrainAgent(agent_id="clerk-1", reason="new disk"))
        assert (drained.status, drained.reason) == ("draining", "new disk")
        assert drained.drained_at is None
        second = await running.start("letter")
        assert second.status == "queued"
        assert logged(running, "agent_drained") == []
        Clerk.gate.set()
        await running.ended(first.id)
        fact = await happens(running, "agent_drained")
        said = {"agent_id": "clerk-1", "agent_type": "clerk", "reason": "new disk"}
        assert (fact.data, logged(running, "agent_draining")[0].data) == (said, said)
        assert (await running.get(second.id)).status == "queued"
        await say(running, ActivateAgent(agent_id="clerk-1"))
        await running.ended(second.id)
        assert len(logged(running, "agent_activated")) == 1


async def test_a_drained_agent_is_drained_after_a_restart_and_says_so_once(
    repo: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for _ in range(2):
        async with system(repo, data_dir=data) as running:
            record = await say(running, DrainAgent(agent_id="clerk-1", reason="r"))
            await happens(running, "agent_drained")
            assert (record.status, record.reason) == ("draining", "r")
            assert (await running.start("letter")).status == "queued"
            assert len(logged(running, "agent_draining")) == 1
            assert len(logged(running, "agent_drained")) == 1


async def test_activating_an_agent_that_was_given_up_starts_it(repo: Path) -> None:
    async with system(repo) as running:
        await is_up(running, "clerk-1")
        path = "root/agents/agent_instances/clerk-1"
        for times in range(1, 5):
            await until(lambda times=times: len(LIVES) == times)  # type: ignore[misc]
            await tell_when_up(running.system.named("agent/clerk-1"), Crash())
        await until(lambda: running.system.snapshot(path) is None)
        assert not (await say(running, GetAgent(agent_id="clerk-1"))).up
        await say(running, ActivateAgent(agent_id="clerk-1"))
        await is_up(running, "clerk-1")


# --- they go


async def test_an_agent_with_nothing_to_do_can_be_unregistered(repo: Path) -> None:
    async with system(repo) as running:
        await register(running, agent_id="fred")
        await is_up(running, "fred")
        gone = await say(running, UnregisterAgent(agent_id="fred"))
        assert gone.agent_id == "fred"
        assert await ids(running) == ["clerk-1"]
        path = "root/agents/agent_instances/fred"
        await until(lambda: running.system.snapshot(path) is None)
        fact = await happens(running, "agent_unregistered")
        assert fact.data == {"agent_id": "fred", "agent_type": "clerk", "moved": []}
        text = running.world.meters.registry
        labels = {"agent_id": "fred", "agent_type": "clerk"}
        assert text.get_sample_value("workflow_system_agent_workload", labels) is None
        for message in (GetAgent(agent_id="fred"), UnregisterAgent(agent_id="fred")):
            with pytest.raises(NotFound, match="there is no agent fred"):
                await say(running, message)
        await register(running, agent_id="fred")
        await is_up(running, "fred")


async def test_an_agent_with_work_goes_only_by_force_and_others_do_its_work(repo: Path) -> None:
    Clerk.gate = trio.Event()
    async with system(repo) as running:
        await say(running, DrainAgent(agent_id="clerk-1"))
        await register(running, agent_id="fred")
        begun = await running.start("letter")
        await running.until(lambda seen: any(fact.type == "step_started" for fact in seen))
        with pytest.raises(Conflict, match="still has work") as refused:
            await say(running, UnregisterAgent(agent_id="fred"))
        assert refused.value.code == "agent_busy"
        await say(running, UnregisterAgent(agent_id="fred", force=True))
        assert (await happens(running, "agent_unregistered")).data["moved"] == [begun.id]
        Clerk.gate.set()
        await say(running, ActivateAgent(agent_id="clerk-1"))
        await running.ended(begun.id)
        assert (await running.output(begun.id)) == "clerk-1: hello there"
        rows = running.stores.coordination.inline.execute(
            "SELECT agent_id, status FROM agent_assignments ORDER BY id"
        )
        assert [tuple(row) for row in rows] == [("fred", "reassigned"), ("clerk-1", "completed")]


async def test_an_agent_of_the_settings_cannot_be_unregistered(repo: Path) -> None:
    async with system(repo) as running:
        with pytest.raises(Conflict, match="by the settings") as refused:
            await say(running, UnregisterAgent(agent_id="clerk-1", force=True))
        assert refused.value.code == "agent_of_settings"


async def test_an_agent_whose_type_is_gone_is_kept_and_says_why(repo: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with system(repo, data_dir=data) as running:
        await register(running, "needy", agent_id="n", config={"key": "x"})
    async with system(repo, data_dir=data, agent_types=()) as running:
        state = await say(running, GetAgentState(agent_id="n"))
        assert (state.agent.up, state.health) == (False, None)
        assert state.silence == "no plugin brings the type 'needy' along"
        await say(running, UnregisterAgent(agent_id="n"))
        assert await ids(running) == ["clerk-1"]


# --- what they are doing


async def test_the_state_of_an_agent_is_live(repo: Path) -> None:
    Clerk.gate = trio.Event()
    async with system(repo) as running:
        begun = await running.start("letter")
        await running.until(lambda seen: any(fact.type == "step_started" for fact in seen))
        state = await say(running, GetAgentState(agent_id="clerk-1"))
        assert state.agent.running == (f"{begun.id}/1",)
        assert (state.agent.workload, state.agent.max_workload, state.restarts) == (1, 1, 0)
        assert [workflow_id for _, workflow_id in state.assignments] == [begun.id]
        assert state.health is not None
        assert state.health.healthy
        assert state.metrics is not None
        assert (state.metrics.current, state.metrics.tasks_done) == (1, 0)
        with pytest.raises(NotFound):
            await say(running, GetAgentState(agent_id="nobody"))


async def test_agents_are_found_by_type_and_status(repo: Path) -> None:
    async with system(repo) as running:
        await register(running, "nimble")
        await say(running, DrainAgent(agent_id="nimble-1"))
        assert await ids(running) == ["clerk-1", "nimble-1"]
        assert await ids(running, agent_type="clerk") == ["clerk-1"]
        assert await ids(running, status="draining") == ["nimble-1"]
        assert await ids(running, status="lost") == []
