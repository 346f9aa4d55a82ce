"""OTP's cases: child administration."""

import gc
import time
import weakref
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from supervision import (
    ActorDeadError,
    ChildExists,
    ChildRunning,
    ChildSpec,
    ChildUnknown,
    DeleteChild,
    Intensity,
    Named,
    RestartChild,
    StartChild,
    System,
    TerminateChild,
    UnexpectedMessage,
    WhichChildren,
    ask,
    supervisor,
)
from supervision.strategy import STRATEGIES

from .otp import Switch, counts, crash, end, failing, start_pool, start_sup, state
from .support import GENEROUS, STEADY, Probe, probe


async def test_a_child_is_administered_through_a_whole_life(system: System) -> None:
    """OTP: child_adm."""
    spec = probe("child1")
    sup = await start_sup(system, spec)
    assert await counts(sup) == (1, 1, 0, 1)
    with pytest.raises(ChildExists):
        await ask(sup, StartChild(spec=spec))
    await ask(sup, TerminateChild(id="child1"))
    assert await counts(sup) == (1, 0, 0, 1)
    await ask(sup, TerminateChild(id="child1"))  # it is down already: so be it
    with pytest.raises(ChildExists):
        await ask(sup, StartChild(spec=spec))

    await ask(sup, RestartChild(id="child1"))
    assert await counts(sup) == (1, 1, 0, 1)
    with pytest.raises(ChildRunning):
        await ask(sup, RestartChild(id="child1"))
    with pytest.raises(ChildRunning):
        await ask(sup, DeleteChild(id="child1"))

    await ask(sup, TerminateChild(id="child1"))
    await ask(sup, DeleteChild(id="child1"))
    with pytest.raises(ChildUnknown):
        await ask(sup, RestartChild(id="child1"))
    assert await counts(sup) == (0, 0, 0, 0)
    await ask(sup, StartChild(spec=spec))
    assert await counts(sup) == (1, 1, 0, 1)
    with pytest.raises(ActorDeadError):
        await ask(system.named("foo"), StartChild(spec=spec))


async def test_a_child_of_a_pool_is_administered_through_a_whole_life(system: System) -> None:
    """OTP: child_adm_simple."""
    sup = await start_pool(system)
    assert await counts(sup) == (0, 0, 0, 0)
    await ask(sup, StartChild(spec=probe("child1")))
    await ask(sup, StartChild(spec=probe("child2")))
    assert await counts(sup) == (2, 2, 0, 2)
    await ask(sup, TerminateChild(id="child1"))
    assert await counts(sup) == (1, 1, 0, 1)
    with pytest.raises(ChildUnknown):
        await ask(sup, TerminateChild(id="child1"))
    with pytest.raises(UnexpectedMessage):
        await ask(sup, RestartChild(id="child2"))
    with pytest.raises(UnexpectedMessage):
        await ask(sup, DeleteChild(id="child2"))
    assert await ask(sup, WhichChildren()) == ("child2",)


async def test_the_children_are_listed_in_start_order_and_seen_one_by_one(system: System) -> None:
    """OTP: which_children."""
    sup = await start_sup(system)

    async def seen() -> dict[str, str]:
        return {id_: state(system, id_) for id_ in await ask(sup, WhichChildren())}

    assert await seen() == {}
    await ask(sup, StartChild(spec=probe("child1")))
    await ask(sup, StartChild(spec=probe("child2")))
    assert list((await seen()).items()) == [("child1", "running"), ("child2", "running")]
    await ask(sup, TerminateChild(id="child1"))
    assert list((await seen()).items()) == [("child1", "ended"), ("child2", "running")]
    await ask(sup, DeleteChild(id="child1"))
    assert await seen() == {"child2": "running"}
    assert state(system, "child1") == "unknown"


async def test_the_children_of_a_pool_are_listed_and_seen_one_by_one(system: System) -> None:
    """OTP: which_children_simple_one_for_one."""
    sup = await start_pool(system)
    assert await ask(sup, WhichChildren()) == ()
    await ask(sup, StartChild(spec=probe("child1", restart="temporary")))
    await ask(sup, StartChild(spec=probe("child2", restart="temporary")))
    assert await ask(sup, WhichChildren()) == ("child1", "child2")
    await ask(sup, TerminateChild(id="child1"))
    assert await ask(sup, WhichChildren()) == ("child2",)
    assert (state(system, "child1"), state(system, "child2")) == ("unknown", "running")


async def test_many_children_of_a_pool_are_counted(system: System) -> None:
    """OTP: count_children."""
    sup = await start_pool(system)
    for index in range(1000):
        spec = ChildSpec(id=f"{index}", build=Probe, restart="temporary")
        await ask(sup, StartChild(spec=spec))
    assert await counts(sup) == (1000, 1000, 0, 1000)
    for id_ in await ask(sup, WhichChildren()):
        await ask(sup, TerminateChild(id=id_))
    assert await counts(sup) == (0, 0, 0, 0)


async def test_supervisors_in_a_pool_are_counted_as_such(system: System) -> None:
    """OTP: count_children_supervisor."""
    sup = await start_pool(system)
    for index in range(100):
        await ask(sup, StartChild(spec=supervisor(f"{index}", "one_for_one", [])))
    assert await counts(sup) == (100, 100, 100, 0)


async def test_children_that_are_being_restarted_are_counted_but_not_as_active(
    system: System, autojump_clock: MockClock
) -> None:
    """OTP: count_restarting_children."""
    switch = Switch()
    sup = await start_pool(system, GENEROUS, STEADY)
    for label in "abc":
        await ask(sup, StartChild(spec=failing(switch, label)))
    assert await counts(sup) == (3, 3, 0, 3)
    switch.broken = True
    await crash(system, "a", "b")
    await trio.sleep(3.5)
    assert switch.starts > 3 + 2
    assert await counts(sup) == (3, 1, 0, 3)
    switch.broken = False
    await trio.sleep(1)
    assert await counts(sup) == (3, 3, 0, 3)
    await ask(sup, TerminateChild(id="a"))
    assert await counts(sup) == (2, 2, 0, 2)


@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_a_temporary_child_that_has_ended_holds_no_memory(kind: str) -> None:
    """OTP: do_not_save_start_parameters_for_temporary_children, simple_one_for_one_corruption."""
    remembered: list[weakref.ref[object]] = []

    def large(label: str) -> ChildSpec:
        build = partial(Probe, label)
        remembered.append(weakref.ref(build))
        return ChildSpec(id=label, name=label, build=build, restart="temporary")

    async with System.open() as system:  # nobody keeps events: they hold what was raised
        sup = await (start_sup(system) if kind == "static" else start_pool(system))
        for label in ("first", "second"):
            await ask(sup, StartChild(spec=large(label)))
            await crash(system, label)
            gc.collect()
            assert remembered.pop()() is None


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("how", ["normal", "abnormal", "supervisor"])
async def test_only_the_spec_of_a_temporary_child_is_forgotten(
    system: System, strategy: str, how: str
) -> None:
    """OTP: do_not_save_child_specs_for_temporary_children."""
    sup = await start_sup(system, strategy=strategy, intensity=GENEROUS)
    left: dict[str, str] = {}
    for restart in ("permanent", "transient", "temporary"):
        some: Any = restart
        spec = probe(restart, restart=some)
        await ask(sup, StartChild(spec=spec))
        await end(system, restart, how)
        left[restart] = state(system, restart)
        if restart != "temporary":
            with pytest.raises(ChildExists):
                await ask(sup, StartChild(spec=spec))
    await ask(sup, StartChild(spec=probe("temporary", restart="temporary")))
    ended = {"normal": "running ended", "abnormal": "running running", "supervisor": "ended ended"}
    assert list(left.values()) == [*ended[how].split(), "unknown"]


async def cpu_s(sup: Named, count: int) -> float:
    """Starts and terminates so many children; returns the seconds of this thread's CPU."""
    specs = [ChildSpec(id=f"{index}", build=Probe, restart="temporary") for index in range(count)]
    begun = time.thread_time()
    for spec in specs:
        await ask(sup, StartChild(spec=spec))
    for spec in specs:
        await ask(sup, TerminateChild(id=spec.id))
    return time.thread_time() - begun


@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_ten_times_the_children_take_about_ten_times_as_long(
    system: System, kind: str
) -> None:
    """OTP: scale_start_stop_many_children, simple_one_for_one_scale_many_temporary_children."""
    sup = await (start_sup(system) if kind == "static" else start_pool(system))
    await cpu_s(sup, 100)
    few = await cpu_s(sup, 200)
    assert await cpu_s(sup, 2000) < 50 * few  # OTP's margin; in proportion to the square it is 100


async def test_a_tree_restarts_what_must_be_and_forgets_what_was_added(
    system: System, autojump_clock: MockClock
) -> None:
    """OTP: tree."""
    switch, budget = Switch(), Intensity(restarts=4, period_s=3600)
    options: Any = {"intensity": budget, "backoff": STEADY}

    def below(label: str, *children: ChildSpec, **more: Any) -> ChildSpec:
        return supervisor(label, "one_for_one", children, name=label, **options, **more)

    one = below("one", probe("child1"), probe("child2"))
    two, three = below("two"), below("three", restart="transient")
    sup = await start_sup(system, one, two, three, strategy="one_for_all", **options)
    await ask(sup, TerminateChild(id="three"))
    assert await counts(sup) == (3, 2, 3, 0)
    await ask(system.named("two"), StartChild(spec=failing(switch, "child3")))
    await ask(system.named("two"), StartChild(spec=probe("child4")))
    names = ("child1", "child2", "child3", "child4")
    before = {name: system.named(name).ref for name in names}

    await crash(system, "child4")
    await trio.sleep(1.5)
    after = {name: system.named(name).ref for name in names}
    assert [name for name in names if after[name] is not before[name]] == ["child4"]

    switch.broken = True
    await crash(system, "child3")
    await trio.sleep(20)
    assert await counts(sup) == (3, 3, 3, 0)  # a terminated one returns with its group
    assert await counts(system.named("one")) == (2, 2, 0, 2)
    assert system.named("child1").ref is not before["child1"]
    assert await ask(system.named("two"), WhichChildren()) == ()
