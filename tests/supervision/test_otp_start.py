"""OTP's cases: what is described, started and refused."""

from itertools import product
from typing import Any

import pytest
from trio.testing import wait_all_tasks_blocked

from supervision import (
    ChildGaveUp,
    ChildSpec,
    NameTaken,
    RestartChild,
    SpecError,
    StartChild,
    StartError,
    System,
    TerminateChild,
    WhichChildren,
    ask,
    supervisor,
)
from supervision.strategy import AUTO_SHUTDOWNS, RESTARTS

from .otp import Switch, counts, failing, ignoring, over, start_pool, start_sup, state
from .support import Events, Probe, probe


async def test_a_child_that_is_not_needed_is_kept_as_ended(system: System) -> None:
    """OTP: sup_start_ignore_child."""
    sup = await start_sup(system)
    await ask(sup, StartChild(spec=ignoring("child1", restart="transient")))
    await ask(sup, StartChild(spec=probe("child2")))
    await wait_all_tasks_blocked()
    assert await ask(sup, WhichChildren()) == ("child1", "child2")
    assert (state(system, "child1"), state(system, "child2")) == ("ended", "running")
    assert await counts(sup) == (2, 1, 0, 2)


@pytest.mark.parametrize("by_request", [False, True])
async def test_a_temporary_child_that_is_not_needed_is_forgotten(
    system: System, by_request: bool
) -> None:
    """OTP: sup_start_ignore_temporary_child, sup_start_ignore_temporary_child_start_child."""
    children = [ignoring("child1", restart="temporary"), probe("child2", restart="temporary")]
    sup = await start_sup(system, *([] if by_request else children))
    for spec in children if by_request else ():
        await ask(sup, StartChild(spec=spec))
    await wait_all_tasks_blocked()
    assert await ask(sup, WhichChildren()) == ("child2",)
    assert await counts(sup) == (1, 1, 0, 1)


async def test_a_temporary_child_of_a_pool_that_is_not_needed_is_forgotten(
    system: System,
) -> None:
    """OTP: sup_start_ignore_temporary_child_start_child_simple."""
    sup = await start_pool(system)
    await ask(sup, StartChild(spec=ignoring("child1", restart="temporary")))
    await ask(sup, StartChild(spec=probe("child2", restart="temporary")))
    await wait_all_tasks_blocked()
    assert await ask(sup, WhichChildren()) == ("child2",)
    assert await counts(sup) == (1, 1, 0, 1)


async def test_a_permanent_child_of_a_pool_that_never_stays_is_given_up(
    system: System, events: Events
) -> None:
    """OTP: sup_start_ignore_permanent_child_start_child_simple."""
    sup = await start_pool(system)
    await ask(sup, StartChild(spec=ignoring("child1")))
    await ask(sup, StartChild(spec=probe("child2")))
    await events.wait_for(ChildGaveUp, "sup/child1")
    assert await ask(sup, WhichChildren()) == ("child2",)
    await system.stop()
    assert (await over(system)).kind == "shutdown"


async def test_a_child_that_cannot_be_restarted_is_told_and_kept(system: System) -> None:
    """OTP: sup_start_restart_child_returns_error."""
    switch = Switch()
    sup = await start_sup(system, failing(switch, "child1"))
    await ask(sup, TerminateChild(id="child1"))
    switch.broken = True
    with pytest.raises(StartError, match="sup/child1 did not start: Boom: broken"):
        await ask(sup, RestartChild(id="child1"))
    assert await ask(sup, WhichChildren()) == ("child1",)
    assert await counts(sup) == (1, 0, 0, 1)


def test_what_is_not_said_of_a_child_is_as_in_otp() -> None:
    """OTP: sup_start_map."""
    child = ChildSpec(id="child1", build=Probe)
    assert (child.restart, child.shutdown_s, child.significant) == ("permanent", 5.0, False)
    sup = supervisor("child3", "one_for_one", [child])
    assert (sup.restart, sup.shutdown_s, sup.significant) == ("permanent", float("inf"), False)


def test_every_combination_that_makes_sense_is_accepted_and_no_other() -> None:
    """OTP: child_specs_map."""
    refused: set[tuple[str, str]] = set()
    shutdowns = (0.001, 1.0, float("inf"))
    for auto, restart, shutdown_s, significant in product(
        AUTO_SHUTDOWNS, RESTARTS, shutdowns, (False, True)
    ):
        options: Any = {"restart": restart, "shutdown_s": shutdown_s, "significant": significant}
        auto_shutdown: Any = auto
        try:
            child = ChildSpec(id="child", build=Probe, **options)
            supervisor("sup", "one_for_one", [child], auto_shutdown=auto_shutdown)
        except SpecError:
            assert significant
            refused.add((auto, restart))
    never = {("never", restart) for restart in RESTARTS}
    assert refused == never | {(auto, "permanent") for auto in AUTO_SHUTDOWNS}


async def test_a_name_that_is_taken_outside_is_told_to_who_asked(system: System) -> None:
    """OTP: already_started_outside_supervisor."""
    outside = supervisor("outside", "one_for_one", [probe("taken")])
    sup = await start_sup(system, outside)
    owner = system.named("taken").ref
    with pytest.raises(NameTaken, match="sup/outside/taken already answers to taken"):
        await ask(sup, StartChild(spec=ChildSpec(id="child", name="taken", build=Probe)))
    assert await ask(sup, WhichChildren()) == ("outside",)
    assert system.named("taken").ref is owner
