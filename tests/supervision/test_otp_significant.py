"""OTP's cases: supervisors that end with the children they are there for."""

import dataclasses
from typing import Any

import pytest

from supervision import (
    ActorExited,
    ActorRestarted,
    RestartChild,
    StartChild,
    System,
    ask,
    supervisor,
)
from supervision.strategy import AUTO_SHUTDOWNS, STRATEGIES

from .otp import counts, crash, end, over, start_sup, state, stop
from .support import STEADY, Events, probe

ENDS = ("any_significant", "all_significant")


@pytest.mark.parametrize("auto_shutdown", AUTO_SHUTDOWNS)
@pytest.mark.parametrize("how", ["supervisor", "abnormal", "normal"])
@pytest.mark.parametrize("restart", ["temporary", "transient"])
async def test_a_child_that_is_not_significant_ends_nobody(
    system: System, auto_shutdown: str, how: str, restart: Any
) -> None:
    """OTP: nonsignificant_temporary, nonsignificant_transient."""
    children = [probe("child1", restart=restart), probe("child2")]
    await start_sup(system, *children, auto_shutdown=auto_shutdown)
    await end(system, "child1", how)
    assert state(system, "child2") == "running"


@pytest.mark.parametrize("how", ["abnormal", "normal"])
async def test_the_end_of_any_significant_temporary_child_ends_its_supervisor(
    system: System, events: Events, how: str
) -> None:
    """OTP: significant_temporary."""
    children = [probe(f"child{n}", restart="temporary", significant=n < 3) for n in (1, 2, 3)]
    await start_sup(system, *children, auto_shutdown="any_significant")
    await end(system, "child1", how)
    assert (await over(system)).kind == "normal"
    ended = [e.path for e in events.of(ActorExited)]
    assert ended == ["sup/child1", "sup/child3", "sup/child2", "sup"]


async def test_only_a_normal_end_of_a_significant_transient_child_ends_its_supervisor(
    system: System, events: Events
) -> None:
    """OTP: significant_transient."""
    children = [probe(f"child{n}", restart="transient", significant=n < 3) for n in (1, 2, 3)]
    sup = await start_sup(system, *children, auto_shutdown="any_significant")
    await crash(system, "child1")
    assert events.of(ActorRestarted, "sup/child1")
    assert await counts(sup) == (3, 3, 0, 3)
    await stop(system, "child1")
    assert (await over(system)).kind == "normal"


@pytest.mark.parametrize("restart", ["temporary", "transient"])
async def test_the_last_of_all_significant_children_ends_its_supervisor(
    system: System, restart: Any
) -> None:
    """OTP: significant_temporary, significant_transient."""
    children = [probe(f"child{n}", restart=restart, significant=n < 3) for n in (1, 2, 3)]
    await start_sup(system, *children, auto_shutdown="all_significant")
    await stop(system, "child1")
    assert [state(system, f"child{n}") for n in (2, 3)] == ["running", "running"]
    await stop(system, "child2")
    assert (await over(system)).kind == "normal"


@pytest.mark.parametrize("restart", ["temporary", "transient"])
async def test_a_significant_child_that_is_terminated_ends_nobody(
    system: System, restart: Any
) -> None:
    """OTP: significant_temporary, significant_transient."""
    spec = probe("child1", restart=restart, significant=True)
    sup = await start_sup(system, spec, probe("child2"), auto_shutdown="any_significant")
    await end(system, "child1", "supervisor")
    assert state(system, "child2") == "running"
    again = StartChild(spec=spec) if restart == "temporary" else RestartChild(id="child1")
    await ask(sup, again)
    await stop(system, "child1")
    assert (await over(system)).kind == "normal"


async def test_a_significant_child_that_is_about_to_return_is_not_over(
    system: System, autojump_clock: Any
) -> None:
    """OTP: significant_transient."""
    children = [probe(f"child{n}", restart="transient", significant=True) for n in (1, 2)]
    await start_sup(system, *children, auto_shutdown="all_significant", backoff=STEADY)
    await crash(system, "child1")
    await stop(system, "child2")
    assert [state(system, f"child{n}") for n in (1, 2)] == ["restarting", "ended"]


@pytest.mark.parametrize("auto_shutdown", ENDS)
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_significant_bystanders_of_a_restart_end_nobody(
    system: System, events: Events, strategy: str, auto_shutdown: str
) -> None:
    """OTP: significant_bystander."""
    children = [probe(f"child{n}", restart="transient", significant=n != 2) for n in (1, 2, 3)]
    sup = await start_sup(system, *children, strategy=strategy, auto_shutdown=auto_shutdown)
    await crash(system, "child2")
    assert await counts(sup) == (3, 3, 0, 3)
    stopped = {"one_for_one": 1, "rest_for_one": 2, "one_for_all": 3}
    assert len(events.of(ActorExited)) == stopped[strategy]


@pytest.mark.parametrize("significant", [True, False])
async def test_an_automatic_end_goes_on_upwards_if_the_supervisor_is_significant(
    system: System, significant: bool
) -> None:
    """OTP: significant_escalation."""
    child = probe("child1", restart="transient", significant=True)
    inner = supervisor("inner", "one_for_one", [child], auto_shutdown="any_significant")
    inner = dataclasses.replace(inner, restart="transient", significant=significant)
    sup = await start_sup(system, inner, probe("other"), auto_shutdown="any_significant")
    await stop(system, "child1")
    if significant:
        assert (await over(system)).kind == "normal"
    else:
        assert (state(system, "inner"), state(system, "other")) == ("ended", "running")
        assert await counts(sup) == (2, 1, 1, 1)
