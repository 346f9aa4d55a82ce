"""OTP's cases: supervisors that stop while their children do otherwise."""

from itertools import product
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import ActorExited, ChildSpec, StartChild, System, ask, supervisor

from .otp import over, start_pool, start_sup
from .support import Boom, Events, Probe, Run, hang, probe

BY_ITSELF = {"normal": lambda actor: actor.stop(), "abnormal": lambda _: 1 / 0}


def slow(label: str, seconds: float, **spec: Any) -> ChildSpec:
    """A child that takes its time to stop."""

    class Slow(Probe):
        async def on_stop(self) -> None:
            await trio.sleep(seconds)

    return ChildSpec(id=label, name=label, build=lambda: Slow(label), **spec)


def reasons(events: Events) -> dict[str, str]:
    """Why each child of sup has ended, in the order in which they did."""
    exits = [e for e in events if isinstance(e, ActorExited) and e.path != "sup"]
    return {e.path.removeprefix("sup/"): str(e.reason).partition(":")[0] for e in exits}


async def test_who_has_for_ever_to_stop_is_waited_for(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    """OTP: sup_stop_infinity."""
    inner = supervisor("child1", "one_for_one", [slow("below", 4000, shutdown_s=float("inf"))])
    await start_sup(system, inner, slow("child2", 3000, shutdown_s=float("inf")))
    await system.stop()
    assert trio.current_time() == 7000
    assert reasons(events) == {
        "child2": "shutdown",
        "child1/below": "shutdown",
        "child1": "shutdown",
    }


@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_who_does_not_stop_in_time_is_cancelled_and_nobody_else(
    system: System, events: Events, autojump_clock: MockClock, kind: str
) -> None:
    """OTP: sup_stop_timeout, sup_stop_timeout_dynamic."""
    children = [probe("child1", shutdown_s=1), probe("child2", shutdown_s=1)]
    if kind == "static":
        await start_sup(system, *children)
    else:
        sup = await start_pool(system)
        for spec in children:
            await ask(sup, StartChild(spec=spec))
    system.named("child2").tell(Run(function=hang))
    await wait_all_tasks_blocked()
    await system.stop()
    assert trio.current_time() == 1
    exits = {e.path: e.reason for e in events if isinstance(e, ActorExited)}
    assert str(exits["sup/child1"]) == "shutdown"
    assert "had not stopped after 1 s and was cancelled" in str(exits["sup/child2"])


async def test_children_that_end_by_themselves_do_not_disturb_a_stop(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    """OTP: sup_stop_race."""
    kinds = [*product(("temporary", "transient", "permanent"), BY_ITSELF)]
    racing = [probe(f"{restart}_{how}", restart=restart) for restart, how in kinds]
    last = slow("z", 1.0, restart="temporary", shutdown_s=2)
    await start_sup(system, probe("a", restart="temporary"), *racing, last)
    system.request_stop()
    await trio.sleep(0.2)
    for restart, how in kinds:
        system.named(f"{restart}_{how}").tell(Run(function=BY_ITSELF[how]))
    await system.stop()
    assert trio.current_time() == 1.0
    assert (await over(system)).kind == "shutdown"
    kind = {"normal": "normal", "abnormal": "crash"}
    alone = {f"{restart}_{how}": kind[how] for restart, how in kinds}
    assert reasons(events) == {"a": "shutdown", **alone, "z": "shutdown"}
    assert len(events.of(ActorExited)) == len(kinds) + 3


async def test_children_that_fail_while_they_stop_do_not_disturb_a_stop(
    system: System, events: Events
) -> None:
    """OTP: sup_stop_non_shutdown_exit_dynamic."""

    class Failing(Probe):
        async def on_stop(self) -> None:
            raise Boom("while it stopped")

    sup = await start_pool(system)
    for restart in ("temporary", "transient", "permanent"):
        some: Any = restart
        await ask(sup, StartChild(spec=probe(f"good_{restart}", restart=some)))
        spec = ChildSpec(id=f"bad_{restart}", build=Failing, restart=some)
        await ask(sup, StartChild(spec=spec))
    await system.stop()
    assert (await over(system)).kind == "shutdown"
    ended = reasons(events)
    assert {kind for id_, kind in ended.items() if id_.startswith("bad")} == {"crash"}
    assert {kind for id_, kind in ended.items() if id_.startswith("good")} == {"shutdown"}
    assert len(ended) == 6


async def test_children_of_a_pool_stop_side_by_side_each_in_its_own_time(
    system: System, events: Events, autojump_clock: MockClock
) -> None:
    """OTP: simple_one_for_one_shutdown."""
    sup = await start_pool(system)
    for label, seconds in (("a", 1.0), ("b", 1.0), ("c", 5.0)):
        await ask(sup, StartChild(spec=slow(label, seconds, shutdown_s=2)))
    await system.stop()
    assert trio.current_time() == 2.0
    exits = {e.path: e.reason for e in events if isinstance(e, ActorExited)}
    assert [str(exits[f"sup/{label}"]) for label in "ab"] == ["shutdown", "shutdown"]
    assert "was cancelled" in str(exits["sup/c"])
