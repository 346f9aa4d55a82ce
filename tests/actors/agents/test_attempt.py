"""An attempt while it goes on: its heartbeats, its silence, and its cancellation."""

import queue
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.agents.messages import CancelTask, Introduce, TaskBeat, TaskDone, TaskFailed
from actors.agents.site import Site
from beadflow import Agent, Task, activity
from storage import payload
from storage.errors import PayloadError
from supervision import ask
from tests.actors.agents.test_protocol import Stage, stage

SILENCE_S = 5.0
heard: list[Any] = []


class Climber(Agent):
    agent_type = "climber"
    go: "queue.Queue[Any]" = queue.Queue()
    there = trio.Event()

    @activity
    async def climb(self, task: Task, words: list[list[Any]]) -> Any:
        """Say each word some seconds after the one before; "!" fails."""
        for wait_s, word in words:
            await trio.sleep(wait_s)
            match word:
                case "!":
                    raise OSError("a rock")
                case "progress":
                    task.progress("on my way")
                case _:
                    task.heartbeat(word)
        return task.heartbeat_details

    @activity
    async def hang(self, task: Task) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.5)
            heard.append(("cleaned up", task.is_cancelled))

    @activity
    async def babble(self, task: Task) -> None:
        task.heartbeat(object())

    @activity
    def climb_in_a_thread(self, task: Task) -> str:
        while (word := self.go.get(timeout=10)) != "home":
            if task.is_cancelled:
                heard.append("gave up")
            task.heartbeat(word)
            trio.from_thread.run_sync(self.there.set)
        return "home"


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    heard.clear()
    Climber.go = queue.Queue()
    Climber.there = trio.Event()


def beats(made: Stage) -> list[Any]:
    return [payload.decode(said.details) for said in made.heard if isinstance(said, TaskBeat)]


async def climb(made: Stage, *words: tuple[float, Any], **more: Any) -> TaskDone | TaskFailed:
    ended = len(made.ends())
    given = [list(word) for word in words]
    made.system.named("agent").tell(made.order("climb", given, timeout_s=600.0, **more))
    with trio.fail_after(900):
        while len(made.ends()) == ended:
            await trio.sleep(0.01)
    return made.ends()[-1]


# --- heartbeats


async def test_an_attempt_that_gives_signs_of_life_may_take_longer_than_its_silence(
    autojump_clock: MockClock,
) -> None:
    async with stage(Climber) as made:
        words = [(4.0, "a"), (4.0, "progress"), (4.0, "b"), (4.0, "progress")]
        done = await climb(made, *words, heartbeat_timeout_s=SILENCE_S)
        assert isinstance(done, TaskDone)


async def test_an_attempt_that_is_silent_for_too_long_has_failed(
    autojump_clock: MockClock,
) -> None:
    async with stage(Climber) as made:
        begun = trio.current_time()
        failed = await climb(made, (2.0, "a"), (100.0, "b"), heartbeat_timeout_s=SILENCE_S)
        assert isinstance(failed, TaskFailed)
        assert (failed.code, failed.retryable) == ("heartbeat_timeout", True)
        assert "gave no heartbeat for 5.0 s" in failed.message
        assert failed.heartbeat == payload.encode("a")
        assert trio.current_time() - begun == pytest.approx(7.0, abs=0.1)


async def test_an_attempt_is_not_silent_where_no_heartbeat_is_asked_for(
    autojump_clock: MockClock,
) -> None:
    async with stage(Climber) as made:
        assert isinstance(await climb(made, (500.0, "a")), TaskDone)


async def test_what_is_said_is_told_once_a_second_and_the_last_of_it_is_never_left_out(
    autojump_clock: MockClock,
) -> None:
    async with stage(Climber) as made:
        words = [(0.0 if number == 0 else 0.3, number) for number in range(6)]
        done = await climb(made, *words, (8.0, "progress"), (0.0, "last"))
        assert isinstance(done, TaskDone)
        assert beats(made) == [0, 3, 5, "last"]
        failed = await climb(made, (0.0, "a"), (0.1, "b"), (0.1, "!"))
        assert isinstance(failed, TaskFailed)
        assert failed.heartbeat == payload.encode("b")
        await trio.sleep(5.0)
        assert beats(made)[4:] == ["a"]


async def test_an_attempt_is_given_what_the_one_before_said_last() -> None:
    async with stage(Climber) as made:
        done = await climb(made, (0.0, 9), attempt=2, heartbeat=payload.encode({"height": 7}))
        assert isinstance(done, TaskDone)
        assert payload.decode(done.result)["result"] == {"height": 7}
        done = await climb(made)
        assert isinstance(done, TaskDone)
        assert payload.decode(done.result)["result"] is None


async def test_a_heartbeat_that_is_no_json_is_refused_where_it_is_given() -> None:
    async with stage(Climber) as made:
        failed = await made.do("babble")
        assert isinstance(failed, TaskFailed)
        assert failed.code == "PayloadError"
        assert beats(made) == []


async def test_a_thread_gives_signs_of_life_too(mock_clock: MockClock) -> None:
    async with stage(Climber) as made:
        order = made.order("climb_in_a_thread", timeout_s=600.0, heartbeat_timeout_s=SILENCE_S)
        made.system.named("agent").tell(order)
        for number in range(3):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(4.0)
            Climber.there = trio.Event()
            Climber.go.put(number)
            await Climber.there.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert beats(made) == [0, 1, 2]
        assert made.ends() == []
        Climber.go.put("home")
        while not made.ends():
            await trio.lowlevel.checkpoint()
        assert isinstance(made.ends()[0], TaskDone)


async def test_a_thread_that_was_silent_for_too_long_is_told_and_not_heard_any_more(
    mock_clock: MockClock,
) -> None:
    async with stage(Climber) as made:
        order = made.order("climb_in_a_thread", timeout_s=600.0, heartbeat_timeout_s=SILENCE_S)
        made.system.named("agent").tell(order)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(6.0)
        while not made.ends():
            await trio.lowlevel.checkpoint()
        (failed,) = made.ends()
        assert isinstance(failed, TaskFailed)
        assert failed.code == "heartbeat_timeout"
        Climber.go.put("too late")
        await Climber.there.wait()
        Climber.go.put("home")
        await trio.testing.wait_all_tasks_blocked()
        assert heard == ["gave up"]
        assert beats(made) == []


# --- cancellation


async def test_an_attempt_that_nobody_wants_cleans_up_and_reports_nothing(
    autojump_clock: MockClock,
) -> None:
    async with stage(Climber) as made:
        agent = made.system.named("agent")
        agent.tell(made.order("hang", fence=2))
        assert (await ask(agent, Introduce())).running == (("w-1", "1", 2),)
        for fence in (1, 3):
            agent.tell(CancelTask(workflow_id="w-1", op="1", fence=fence))
        agent.tell(CancelTask(workflow_id="w-1", op="2", fence=2))
        await trio.sleep(1.0)
        assert (await ask(agent, Introduce())).running == (("w-1", "1", 2),)
        assert heard == []
        agent.tell(CancelTask(workflow_id="w-1", op="1", fence=2))
        await trio.sleep(1.0)
        assert heard == [("cleaned up", True)]
        assert made.ends() == []
        assert (await ask(agent, Introduce())).running == ()


async def test_a_thread_whose_outcome_nobody_wants_is_told_so() -> None:
    async with stage(Climber) as made:
        agent = made.system.named("agent")
        agent.tell(made.order("climb_in_a_thread"))
        Climber.go.put("a")
        await Climber.there.wait()
        agent.tell(CancelTask(workflow_id="w-1", op="1", fence=1))
        await trio.testing.wait_all_tasks_blocked()
        assert (await ask(agent, Introduce())).running == ()
        Climber.there = trio.Event()
        Climber.go.put("b")
        await Climber.there.wait()
        Climber.go.put("home")
        assert heard == ["gave up"]
        assert made.ends() == []


def test_a_task_of_a_test_says_what_it_says_to_nobody() -> None:
    task = Task("w-1", "1", 1, Site(repo=Path(), workspace=Path()), lambda *_: None)
    task.heartbeat("a")
    task.progress("b")
    assert (task.is_cancelled, task.heartbeat_details) == (False, None)
    with pytest.raises(PayloadError):
        task.heartbeat(object())
