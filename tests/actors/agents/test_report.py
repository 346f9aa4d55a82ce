"""What an agent says of itself: that it lives, how it is, and what it has done."""

from typing import Any, ClassVar

import pytest
import trio
import trio.testing
from pydantic import BaseModel

from actors.agents.messages import AgentBeat, Configure, Examine, Introduce, TaskDone
from beadflow import Agent, AgentHealth, Task, activity
from storage import payload
from supervision import ask
from tests.actors.agents.test_protocol import Stage, stage


class Depths(BaseModel):
    metres: int = 1


class Digger(Agent):
    agent_type = "digger"
    Config = Depths
    health: ClassVar[Any] = AgentHealth()
    told: ClassVar[list[int]] = []

    @activity
    async def dig(self, task: Task) -> int:
        return int(self.config.metres)

    @activity
    async def fail(self, task: Task) -> None:
        raise KeyError("rock")

    async def configure(self, config: BaseModel) -> None:
        assert config is self.config
        self.told.append(self.config.metres)

    async def health_check(self) -> AgentHealth:
        if isinstance(self.health, BaseException):
            raise self.health
        if self.health is None:
            await trio.sleep_forever()
        return self.health  # type: ignore[no-any-return]


async def dug(made: Stage) -> int:
    done = await made.do("dig")
    assert isinstance(done, TaskDone)
    return int(payload.decode(done.result)["result"])


def state_of_health(monkeypatch: pytest.MonkeyPatch, health: Any) -> None:
    monkeypatch.setattr(Digger, "health", health)


async def test_an_agent_says_every_five_seconds_that_it_lives(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with stage(Digger) as made:
        up = await ask(made.system.named("agent"), Introduce())
        await trio.sleep(10.5)
        beats = [said for said in made.heard if isinstance(said, AgentBeat)]
        assert beats == [AgentBeat(agent_id="digger-1", incarnation=up.incarnation)] * 2


async def test_an_agent_is_healthy_until_it_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(Digger) as made:
        agent = made.system.named("agent")
        assert (await ask(agent, Examine())).health == AgentHealth()
        worn = AgentHealth(healthy=False, message="worn out", details={"shovels": 0})
        state_of_health(monkeypatch, worn)
        assert (await ask(agent, Examine())).health == worn


@pytest.mark.parametrize(
    ("health", "why"),
    [
        (OSError("no shovel"), "its health check failed: OSError: no shovel"),
        (SystemExit(3), "its health check failed: SystemExit: 3"),
        (None, "its health check took longer than 5 s"),
        ("fine", "its health check answered something else than an AgentHealth"),
        (
            AgentHealth(details={"x": object()}),
            "its health check answered details that are no JSON",
        ),
    ],
    ids=["raises", "exits", "hangs", "answers nonsense", "answers no JSON"],
)
async def test_a_health_check_that_goes_wrong_is_a_bad_state_of_health(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, health: Any, why: str
) -> None:
    state_of_health(monkeypatch, health)
    async with stage(Digger) as made:
        agent = made.system.named("agent")
        report = await ask(agent, Examine(), deadline_s=6.0)
        assert (report.health.healthy, report.health.message) == (False, why)
        assert (await ask(agent, Introduce())).agent_id == "digger-1"


async def test_an_agent_counts_what_it_has_done() -> None:
    async with stage(Digger) as made:
        await made.do("dig")
        await made.do("dig", op="2")
        await made.do("fail", op="3")
        metrics = (await ask(made.system.named("agent"), Examine())).metrics
        assert (metrics.tasks_done, metrics.tasks_failed, metrics.current) == (2, 1, 0)
        assert metrics.seconds > 0


async def test_an_agent_goes_on_with_another_configuration() -> None:
    async with stage(Digger) as made:
        agent = made.system.named("agent")
        assert await dug(made) == 1
        await ask(agent, Configure(config=Depths(metres=7), config_sha256="abc"))
        assert Digger.told == [7]
        assert (await ask(agent, Introduce())).config_sha256 == "abc"
        assert await dug(made) == 7


def test_a_configuration_that_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Config of agent .*Odd is no pydantic model"):

        class Odd(Agent):
            agent_type = "odd"
            Config = dict  # type: ignore[assignment]
