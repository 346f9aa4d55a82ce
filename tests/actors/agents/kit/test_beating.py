from pathlib import Path

import pytest
import trio
import trio.testing

from actors.agents.attempt import Pulse
from actors.agents.kit.beating import BEAT_S, beating
from actors.agents.protocol import Task
from actors.agents.site import Site
from actors.workflows.definition import ActivityFailure


@pytest.fixture
def beats() -> list[float]:
    return []


@pytest.fixture
def task(beats: list[float], autojump_clock: trio.testing.MockClock) -> Task:
    pulse = Pulse(beat=lambda: beats.append(trio.current_time()))
    site = Site(repo=Path(), workspace=Path())
    return Task("wf-1", "0", 1, site, lambda *_: None, _pulse=pulse)


async def test_it_beats_as_long_as_the_work_lasts(task: Task, beats: list[float]) -> None:
    async def work() -> str:
        await trio.sleep(3.5 * BEAT_S)
        return "done"

    assert await beating(task, work) == "done"
    assert len(beats) == 3


async def test_what_the_work_raises_comes_out_as_it_is(task: Task) -> None:
    async def work() -> None:
        raise ActivityFailure("boom", "it went off", retryable=False)

    with pytest.raises(ActivityFailure) as caught:
        await beating(task, work)
    assert caught.value.code == "boom"


async def test_it_ends_when_it_is_cancelled(task: Task) -> None:
    with trio.move_on_after(BEAT_S / 2) as scope:
        await beating(task, trio.sleep_forever)
    assert scope.cancelled_caught
