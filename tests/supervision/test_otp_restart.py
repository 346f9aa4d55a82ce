"""OTP's cases: who returns after which end, with whom, and how often."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from supervision import (
    ActorExited,
    ActorRestarted,
    ChildExists,
    ChildRunning,
    ChildSpec,
    DeleteChild,
    Intensity,
    RestartChild,
    RestartsExceeded,
    StartChild,
    System,
    TerminateChild,
    UnexpectedMessage,
    WhichChildren,
    ask,
)
from supervision.strategy import STRATEGIES

from .otp import (
    Switch,
    counts,
    crash,
    end,
    failing,
    over,
    start_pool,
    start_sup,
    state,
)
from .support import GENEROUS, STEADY, Events, Probe, probe

RETURNS = {
    "permanent": {"normal", "shutdown", "abnormal"},
    "transient": {"abnormal"},
    "temporary": set[str](),
}


@pytest.mark.parametrize("how", ["normal", "shutdown", "abnormal"])
@pytest.mark.parametrize("restart", list(RETURNS))
async def test_the_end_and_the_restart_type_decide_what_is_left(
    system: System, restart: Any, how: str
) -> None:
    """OTP: permanent_normal, permanent_shutdown, permanent_abnormal, transient_normal,
    transient_shutdown, transient_abnormal, temporary_normal, temporary_shutdown,
    temporary_abnormal.
    """
    sup = await start_sup(system)
    await ask(sup, StartChild(spec=probe("child1", restart=restart)))
    before = system.named("child1").ref
    await end(system, "child1", how)
    if how in RETURNS[restart]:
        assert await counts(sup) == (1, 1, 0, 1)
        assert system.named("child1").ref not in (before, None)
    elif restart == "transient":
        assert await counts(sup) == (1, 0, 0, 1)
        assert state(system, "child1") == "ended"
    else:
        assert await counts(sup) == (0, 0, 0, 0)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_supervisor_whose_child_never_comes_back_ends_with_all(
    system: System, events: Events, strategy: str
) -> None:
    """OTP: one_for_one_escalation, one_for_all_escalation, rest_for_one_escalation."""
    switch = Switch()
    hopeless = "child1" if strategy == "one_for_one" else "child2"  # in the group of the crashed
    children = [
        failing(switch if id_ == hopeless else Switch(), id_) for id_ in ("child1", "child2")
    ]
    await start_sup(system, *children, strategy=strategy, intensity=Intensity(restarts=4))
    switch.broken = True
    await crash(system, "child1")
    assert isinstance((await over(system)).cause, RestartsExceeded)
    assert switch.starts == 1 + 4
    assert events.of(ActorExited, "sup/child2")


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_restarts_of_any_child_use_up_the_budget_of_all(
    system: System, strategy: str
) -> None:
    """OTP: one_for_one, one_for_all, rest_for_one."""
    children = [probe("child1"), probe("child2"), probe("child3")]
    sup = await start_sup(system, *children, strategy=strategy)
    await crash(system, "child2")
    await crash(system, "child3")
    assert await counts(sup) == (3, 3, 0, 3)
    await crash(system, "child2")
    assert isinstance((await over(system)).cause, RestartsExceeded)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_temporary_bystander_does_not_return(system: System, strategy: str) -> None:
    """OTP: temporary_bystander."""
    children = [probe("child1"), probe("child2", restart="temporary")]
    sup = await start_sup(system, *children, strategy=strategy)
    await end(system, "child1", "normal")
    assert await ask(sup, WhichChildren()) == ("child1",)
    assert await counts(sup) == (1, 1, 0, 1)


@pytest.mark.parametrize("restart", ["transient", "permanent"])
async def test_a_child_of_a_pool_that_is_not_needed_any_more_is_forgotten(
    system: System, events: Events, restart: Any
) -> None:
    """OTP: simple_one_for_one_restart_ignore."""
    sup = await start_pool(system, Intensity(restarts=5))
    needed = [True]

    class Child(Probe):
        async def on_start(self) -> None:
            if not needed[0]:
                self.stop()

    spec = ChildSpec(id="child1", name="child1", restart=restart, build=Child)
    await ask(sup, StartChild(spec=spec))
    for count in (1, 2):
        await crash(system, "child1")
        assert len(events.of(ActorRestarted, "sup/child1")) == count
    needed[0] = False
    await crash(system, "child1")
    assert await ask(sup, WhichChildren()) == ()


async def hang_in_the_loop(system: System, switch: Switch, name: str) -> None:
    """Has the child crash and then fail at every start, for a while."""
    switch.broken = True
    await crash(system, name)
    before = switch.starts
    await trio.sleep(2.5)
    assert switch.starts > before


async def test_a_child_in_a_restart_loop_can_be_terminated_and_its_supervisor_stopped(
    system: System, autojump_clock: MockClock
) -> None:
    """OTP: hanging_restart_loop."""
    switch = Switch()
    spec = failing(switch, "child1")
    sup = await start_sup(system, spec, intensity=GENEROUS, backoff=STEADY)
    await hang_in_the_loop(system, switch, "child1")
    with pytest.raises(ChildExists):
        await ask(sup, StartChild(spec=spec))
    with pytest.raises(ChildRunning):
        await ask(sup, RestartChild(id="child1"))
    with pytest.raises(ChildRunning):
        await ask(sup, DeleteChild(id="child1"))
    assert (state(system, "child1"), await counts(sup)) == ("restarting", (1, 0, 0, 1))

    await ask(sup, TerminateChild(id="child1"))
    tries = switch.starts
    await trio.sleep(10)
    assert (state(system, "child1"), switch.starts) == ("ended", tries)
    switch.broken = False
    await ask(sup, RestartChild(id="child1"))
    await hang_in_the_loop(system, switch, "child1")
    await system.stop()
    assert (await over(system)).kind == "shutdown"


async def test_those_after_a_child_in_a_restart_loop_wait_for_the_same_round(
    system: System, autojump_clock: MockClock
) -> None:
    """OTP: hanging_restart_loop_rest_for_one."""
    switch = Switch()
    children = [probe("child1"), failing(switch, "child2"), probe("child3")]
    options: dict[str, Any] = {"intensity": GENEROUS, "backoff": STEADY}
    sup = await start_sup(system, *children, strategy="rest_for_one", **options)
    first = system.named("child1").ref
    await hang_in_the_loop(system, switch, "child2")
    with pytest.raises(ChildRunning):
        await ask(sup, RestartChild(id="child2"))
    states = [state(system, f"child{n}") for n in (1, 2, 3)]
    assert (states, await counts(sup)) == (["running", "restarting", "restarting"], (3, 1, 0, 3))

    await ask(sup, TerminateChild(id="child2"))
    await trio.sleep(2)
    assert [state(system, f"child{n}") for n in (1, 2, 3)] == ["running", "ended", "running"]
    assert system.named("child1").ref is first
    switch.broken = False
    await ask(sup, RestartChild(id="child2"))
    await hang_in_the_loop(system, switch, "child2")
    await system.stop()
    assert (await over(system)).kind == "shutdown"


async def test_a_child_of_a_pool_in_a_restart_loop_can_be_terminated(
    system: System, autojump_clock: MockClock
) -> None:
    """OTP: hanging_restart_loop_simple."""
    switch = Switch()
    sup = await start_pool(system, GENEROUS, STEADY)
    spec = failing(switch, "child1")
    await ask(sup, StartChild(spec=spec))
    await hang_in_the_loop(system, switch, "child1")
    with pytest.raises(UnexpectedMessage):
        await ask(sup, RestartChild(id="child1"))
    assert (state(system, "child1"), await counts(sup)) == ("restarting", (1, 0, 0, 1))
    await ask(sup, TerminateChild(id="child1"))
    assert await ask(sup, WhichChildren()) == ()
    switch.broken = False
    await ask(sup, StartChild(spec=spec))
    await hang_in_the_loop(system, switch, "child1")
    await system.stop()
    assert (await over(system)).kind == "shutdown"


async def test_children_are_ended_backwards_and_restarted_forwards(system: System) -> None:
    """OTP: order_of_children."""
    log: list[str] = []
    ids = ["ch7", "ch3", "ch10", "ch2", "ch5"]  # in no order but their own
    sup = await start_sup(system, *(probe(id_, log) for id_ in ids), strategy="rest_for_one")
    assert log == [f"+{id_}" for id_ in ids]
    assert await ask(sup, WhichChildren()) == tuple(ids)
    log.clear()
    await crash(system, "ch10")
    assert log == ["!ch10", "-ch5", "-ch2", "+ch10", "+ch2", "+ch5"]
    log.clear()
    await system.stop()
    assert log == [f"-{id_}" for id_ in reversed(ids)]
