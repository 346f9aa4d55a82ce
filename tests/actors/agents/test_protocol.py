"""The agent: its activities, one task each, and whatever they raise is only an outcome."""

import contextlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from pydantic import BaseModel

from actors.agents.messages import (
    AgentUp,
    Introduce,
    TaskDone,
    TaskFailed,
    TaskNote,
    TaskOrder,
)
from actors.agents.site import Site
from beadflow import ActivityFailure, Agent, Task, activity
from storage import payload
from supervision import (
    Actor,
    Backoff,
    ChildSpec,
    MailboxFull,
    StartError,
    System,
    UnexpectedMessage,
    ask,
    supervisor,
)


class Depth(BaseModel):
    metres: int


class Digger(Agent):
    agent_type = "digger"
    gate = trio.Event()

    @activity
    async def dig(self, task: Task, depth: Depth) -> int:
        return depth.metres * 2

    @activity
    def dig_in_a_thread(self, task: Task) -> str:
        return threading.current_thread().name

    @activity
    async def who(self, task: Task) -> list[Any]:
        return [
            task.workflow_id,
            task.op,
            task.attempt,
            task.id,
            task.idempotency_key,
            task.repo.name,
        ]

    @activity
    async def wait(self, task: Task) -> int:
        await self.gate.wait()
        return task.attempt

    @activity
    async def talk(self, task: Task) -> None:
        task.progress("half", 0.5)
        task.progress("too much", 10**400)
        task.progress("no number", float("nan"))
        task.progress("nothing")
        task.log("odd: a\udcffb", level="warning")

    @activity
    async def measure(self, task: Task, what: Any) -> int:
        return what  # type: ignore[no-any-return]

    @activity
    async def fail(self, task: Task, how: str) -> Any:
        match how:
            case "understood":
                raise ActivityFailure("rock", "too hard", retryable=False)
            case "surprise":
                raise KeyError("x")
            case "exit":
                raise SystemExit(3)
            case "group":
                raise ExceptionGroup("several", [OSError("one")])
            case _:
                return object()


@dataclass
class Stage:
    system: System = None  # type: ignore[assignment]
    heard: list[Any] = field(default_factory=list)
    gate: trio.Event = field(default_factory=trio.Event)

    def order(self, what: str, given: Any = None, **more: Any) -> TaskOrder:
        usual = {"workflow_id": "w-1", "op": "1", "attempt": 1, "fence": 1, "timeout_s": 5.0}
        return TaskOrder(**{**usual, "activity": what, "input": given, **more})

    async def do(self, what: str, given: Any = None, **more: Any) -> TaskDone | TaskFailed:
        """Have an activity done; answers how it ended."""
        before = len(self.ends())
        self.system.named("agent").tell(self.order(what, given, **more))
        with trio.fail_after(10):
            while len(self.ends()) == before:
                await trio.sleep(0.001)
        return self.ends()[-1]

    def ends(self) -> list[TaskDone | TaskFailed]:
        return [said for said in self.heard if isinstance(said, TaskDone | TaskFailed)]

    def notes(self) -> list[TaskNote]:
        return [said for said in self.heard if isinstance(said, TaskNote)]


class Listener(Actor):
    """Stands where the coordinator does."""

    mailbox_bound = 10

    def __init__(self, stage: "Stage") -> None:
        super().__init__()
        self._stage = stage

    async def on_receive(self, message: object) -> object:
        if isinstance(message, Leave):
            self.stop()
        await self._stage.gate.wait()
        self._stage.heard.append(message)
        return None


class Leave:
    """Tells the listener to end for good."""


@asynccontextmanager
async def stage(kind: type[Agent] = Digger) -> AsyncIterator[Stage]:
    made = Stage()
    made.gate.set()
    async with System.open() as made.system:
        coordinator = made.system.named("coordinator")

        def build() -> Agent:
            site = Site(repo=Path("/somewhere/repo"), workspace=Path("/somewhere/else"))
            return kind(agent_id="digger-1", coordinator=coordinator, site=site)

        children = [
            ChildSpec(
                id="coordinator",
                name="coordinator",
                build=lambda: Listener(made),
                restart="transient",
            ),
            ChildSpec(id="agent", name="agent", build=build),
        ]
        at_once = Backoff(initial_s=0.0)
        await made.system.start(supervisor("root", "one_for_one", children, backoff=at_once))
        yield made


@pytest.fixture(autouse=True)
def _closed_gate() -> None:
    Digger.gate = trio.Event()


# --- classes


def test_an_agent_knows_its_activities_and_those_it_inherits() -> None:
    class Deep(Digger):
        agent_type = "deep"

        @activity
        async def deeper(self, task: Task) -> None: ...

    assert set(Deep.capabilities()) == {*Digger.capabilities(), "deeper"}
    assert "deeper" not in Digger.capabilities()
    assert Deep.activities["deeper"].agent_type == "deep"


def test_an_agent_without_a_type_is_refused() -> None:
    with pytest.raises(TypeError, match="has no agent_type"):

        class Nameless(Agent):
            pass


# --- tasks


async def test_an_agent_says_that_it_is_up_and_who_it_is_when_asked() -> None:
    async with stage() as made:
        introduced = await ask(made.system.named("agent"), Introduce())
        assert introduced.agent_id == "digger-1"
        await trio.testing.wait_all_tasks_blocked()
        assert made.heard == [introduced]
        assert isinstance(introduced, AgentUp)


async def test_an_activity_gets_its_input_as_its_type_and_its_result_goes_back() -> None:
    async with stage() as made:
        done = await made.do("dig", {"metres": 4})
        assert isinstance(done, TaskDone)
        stored = payload.decode(done.result)
        assert stored["result"] == 8
        assert (stored["agent_id"], stored["agent_type"], stored["attempts"]) == (
            "digger-1",
            "digger",
            1,
        )
        assert stored["seconds"] >= 0
        assert done.order == made.order("dig", {"metres": 4})


async def test_a_plain_function_runs_in_a_thread() -> None:
    async with stage() as made:
        done = await made.do("dig_in_a_thread")
        assert isinstance(done, TaskDone)
        assert payload.decode(done.result)["result"] != threading.main_thread().name


async def test_a_task_knows_who_it_is() -> None:
    async with stage() as made:
        done = await made.do("who", attempt=3, op="2.0.1")
        assert isinstance(done, TaskDone)
        assert payload.decode(done.result)["result"] == [
            "w-1",
            "2.0.1",
            3,
            "w-1/2.0.1",
            "w-1/2.0.1",
            "repo",
        ]


@pytest.mark.parametrize(
    ("given", "code", "retryable"),
    [
        ("understood", "rock", False),
        ("surprise", "KeyError", True),
        ("exit", "SystemExit", True),
        ("group", "OSError", True),
        ("no json", "result_not_json", False),
        (3, "input_of_wrong_type", False),
    ],
)
async def test_whatever_an_activity_raises_is_an_outcome_and_no_crash(
    given: Any, code: str, retryable: bool
) -> None:
    async with stage() as made:
        failed = await made.do("fail", given)
        assert isinstance(failed, TaskFailed)
        assert (failed.code, failed.retryable) == (code, retryable)
        assert isinstance(await made.do("dig", {"metres": 1}), TaskDone)
        assert len([said for said in made.heard if isinstance(said, AgentUp)]) == 1


async def test_a_result_of_another_type_is_a_failure_of_the_attempt() -> None:
    async with stage() as made:
        failed = await made.do("measure", "x")
        assert isinstance(failed, TaskFailed)
        assert (failed.code, failed.retryable) == ("result_of_wrong_type", True)
        assert isinstance(await made.do("measure", 3), TaskDone)


async def test_an_activity_that_the_agent_does_not_have_names_those_it_has() -> None:
    async with stage() as made:
        failed = await made.do("fly")
        assert isinstance(failed, TaskFailed)
        assert "it has: dig, " in failed.message


async def test_an_activity_that_takes_too_long_has_failed() -> None:
    async with stage() as made:
        failed = await made.do("wait", timeout_s=0.005)
        assert isinstance(failed, TaskFailed)
        assert failed.code == "start_to_close_timeout"


async def test_an_agent_answers_while_it_works_and_works_on_several_tasks_at_once() -> None:
    async with stage() as made:
        agent = made.system.named("agent")
        agent.tell(made.order("wait", op="1"))
        agent.tell(made.order("wait", op="2"))
        assert (await ask(agent, Introduce())).agent_id == "digger-1"
        assert isinstance(await made.do("dig", {"metres": 1}, op="3"), TaskDone)
        Digger.gate.set()
        with trio.fail_after(10):
            while len(made.ends()) < 3:
                await trio.sleep(0.001)


async def test_a_newer_attempt_of_a_task_ends_the_older_one() -> None:
    async with stage() as made:
        agent = made.system.named("agent")
        agent.tell(made.order("wait", attempt=1, fence=1))
        await ask(agent, Introduce())
        agent.tell(made.order("wait", attempt=2, fence=2))
        await ask(agent, Introduce())
        Digger.gate.set()
        with trio.fail_after(10):
            while not made.ends():
                await trio.sleep(0.001)
        await trio.testing.wait_all_tasks_blocked()
        assert [end.order.fence for end in made.ends()] == [2]


async def test_notes_are_told_in_a_form_that_can_be_stored() -> None:
    async with stage() as made:
        await made.do("talk")
        notes = [(note.message, note.fraction, note.level, note.progress) for note in made.notes()]
        assert notes == [
            ("half", 0.5, "info", True),
            ("too much", 1.0, "info", True),
            ("no number", None, "info", True),
            ("nothing", None, "info", True),
            (r"odd: a\udcffb", None, "warning", False),
        ]
        for note in made.notes():
            payload.encode([note.message, note.fraction, note.level])


async def test_an_outcome_waits_for_a_coordinator_that_has_no_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with stage() as made:
        made.gate = trio.Event()
        coordinator = made.system.named("coordinator")
        with contextlib.suppress(MailboxFull):
            while True:
                coordinator.tell("one more")
        made.system.named("agent").tell(made.order("dig", {"metres": 1}))
        await trio.sleep(1.0)
        assert made.ends() == []
        made.gate.set()
        await trio.sleep(1.0)
        assert len(made.ends()) == 1


async def test_an_outcome_for_a_coordinator_that_is_away_is_dropped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Its successor finds the task in the database, and hands it out again."""
    async with stage() as made:
        made.system.named("coordinator").tell(Leave())
        await trio.sleep(0.0)
        made.system.named("agent").tell(made.order("dig", {"metres": 1}))
        await trio.sleep(1.0)
        assert made.ends() == []


async def test_an_agent_that_cannot_get_ready_does_not_start() -> None:
    class Broken(Agent):
        agent_type = "broken"

        async def initialize(self) -> None:
            raise OSError("no shovel")

    with pytest.raises(StartError, match="no shovel"):
        async with stage(Broken):
            pass


async def test_an_agent_gives_back_what_it_took() -> None:
    seen: list[str] = []

    class Tidy(Agent):
        agent_type = "tidy"

        async def initialize(self) -> None:
            seen.append("initialize")

        async def shutdown(self) -> None:
            seen.append("shutdown")

    async with stage(Tidy):
        assert seen == ["initialize"]
    assert seen == ["initialize", "shutdown"]


async def test_what_an_agent_does_not_know_is_refused() -> None:
    async with stage() as made:
        message: Any = "hello"
        with pytest.raises(UnexpectedMessage):
            await ask(made.system.named("agent"), message)
