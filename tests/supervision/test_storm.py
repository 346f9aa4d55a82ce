"""What a storm of crashes must not do to the tree, and must not leave behind."""

from dataclasses import dataclass

import pytest
import trio

from supervision import ChildSpec, System, WhichChildren, ask, supervisor

from .census import Census
from .scale import STORM
from .storm import MODES, Storm, Verdict
from .support import AT_ONCE, GENEROUS, Boom, Crash, Probe

SEED = 20_260_114
MIB = 2**20


@dataclass(frozen=True)
class Passed:
    """A storm that has passed, and what the process held before and after."""

    verdict: Verdict
    before: Census
    after: Census


@pytest.fixture(scope="module")
def passed() -> Passed:
    """One storm for all sentences; a small one first, so that what is loaded once is loaded."""
    print(f"seed {SEED}, {STORM} crashes")
    trio.run(Storm(STORM // 4, SEED).run)
    before = Census.take()
    verdict = trio.run(Storm(STORM, SEED + 1).run)
    return Passed(verdict, before, Census.take())


def test_nothing_hangs_in_a_storm(passed: Passed) -> None:
    assert not passed.verdict.hung
    assert passed.verdict.crashes.total() >= STORM


def test_tasks_and_threads_crashed_in_every_way(passed: Passed) -> None:
    ways = {f"task {mode}" for mode in MODES}
    ways |= {f"thread {mode}" for mode in ("on_start", "on_receive", "on_stop", "for_ever")}
    assert set(passed.verdict.crashes) == ways


def test_children_and_whole_groups_were_given_up(passed: Passed) -> None:
    assert passed.verdict.given_up.keys() == {"child", "group"}


def test_no_intensity_is_exceeded_in_any_window_nor_ended_before_it_is_used(
    passed: Passed,
) -> None:
    assert passed.verdict.excesses == []


def test_supervisors_say_which_children_they_have_all_along(passed: Passed) -> None:
    assert passed.verdict.wrong_lists == []
    assert len(passed.verdict.lists) == 1 + 16 + 6 + 6
    assert min(passed.verdict.lists.values()) > 0


def test_every_child_answers_when_the_storm_is_over(passed: Passed) -> None:
    assert passed.verdict.silent == []


def test_a_storm_leaves_no_task(passed: Passed) -> None:
    assert passed.verdict.orphans == []


def test_a_storm_leaves_no_thread(passed: Passed) -> None:
    assert passed.after.threads <= passed.before.threads


def test_a_storm_leaves_no_open_file(passed: Passed) -> None:
    assert passed.after.files <= passed.before.files


def test_a_storm_leaves_no_actor_registered(passed: Passed) -> None:
    assert passed.after.actors == 0


def test_a_storm_gives_its_memory_back(passed: Passed) -> None:
    """Resident memory, for what Python cannot see; containers, for a leak of a few per crash."""
    assert passed.after.resident_bytes - passed.before.resident_bytes <= 10 * MIB
    assert passed.after.objects - passed.before.objects <= STORM / 10


async def test_a_supervisor_answers_although_a_child_of_it_fails_for_ever(system: System) -> None:
    lives = 0
    many = trio.Event()

    class Hopeless(Probe):
        async def on_start(self) -> None:
            nonlocal lives
            lives += 1
            if lives == 200:
                many.set()
            if lives > 1:
                raise Boom("again")

    answers: list[tuple[str, ...]] = []

    async def list_children() -> None:
        answers.append(await ask(system.named("root"), WhichChildren()))

    spec = ChildSpec(id="a", name="a", build=Hopeless)
    await system.start(
        supervisor("root", "one_for_one", [spec], intensity=GENEROUS, backoff=AT_ONCE, name="root")
    )
    system.named("a").tell(Crash())
    while lives < 10:
        await trio.lowlevel.checkpoint()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(list_children)
        await many.wait()
        nursery.cancel_scope.cancel()
    assert answers == [("a",)]
