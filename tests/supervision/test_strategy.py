"""OTP's rules, without an actor."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.strategy import (
    RESTARTS,
    STRATEGIES,
    Decision,
    decide,
    ends_with,
    should_restart,
)

ABCD: Any = [("a", "permanent"), ("b", "permanent"), ("c", "temporary"), ("d", "transient")]


@pytest.mark.parametrize(
    ("restart", "kinds"),
    [
        ("permanent", {"normal", "shutdown", "crash"}),
        ("transient", {"crash"}),
        ("temporary", set()),
    ],
)
def test_the_restart_type_says_after_which_exits_a_child_returns(
    restart: Any, kinds: set[str]
) -> None:
    every: tuple[Any, ...] = ("normal", "shutdown", "crash")
    assert {kind for kind in every if should_restart(restart, kind)} == kinds


def test_one_for_one_restarts_only_the_child_that_failed() -> None:
    assert decide("one_for_one", ABCD, "b", "crash") == Decision(start=("b",))


def test_one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() -> None:
    decision = decide("one_for_all", ABCD, "b", "crash")
    assert decision == Decision(stop=("d", "c", "a"), start=("a", "b", "d"), forget=("c",))


def test_rest_for_one_takes_along_only_those_started_later() -> None:
    decision = decide("rest_for_one", ABCD, "b", "crash")
    assert decision == Decision(stop=("d", "c"), start=("b", "d"), forget=("c",))


def test_the_last_child_under_rest_for_one_fails_alone() -> None:
    assert decide("rest_for_one", ABCD, "d", "crash") == Decision(start=("d",))


def test_a_transient_child_that_ends_normally_is_kept_and_disturbs_nobody() -> None:
    assert decide("one_for_all", ABCD, "d", "normal") == Decision()


def test_a_temporary_child_that_crashes_is_forgotten_and_disturbs_nobody() -> None:
    assert decide("one_for_all", ABCD, "c", "crash") == Decision(forget=("c",))


@given(st.data())
def test_every_decision_is_consistent_for_any_tree(data: st.DataObject) -> None:
    restarts = data.draw(st.lists(st.sampled_from(RESTARTS), min_size=1, max_size=8))
    children: Any = [(f"c{index}", restart) for index, restart in enumerate(restarts)]
    failed = data.draw(st.sampled_from([child for child, _ in children]))
    strategy: Any = data.draw(st.sampled_from(STRATEGIES))
    kind: Any = data.draw(st.sampled_from(["normal", "shutdown", "crash"]))

    decision = decide(strategy, children, failed, kind)

    order = [child for child, _ in children]
    assert list(decision.start) == sorted(decision.start, key=order.index)
    assert list(decision.stop) == sorted(decision.stop, key=order.index, reverse=True)
    assert failed not in decision.stop
    assert not set(decision.start) & set(decision.forget)
    assert (failed in decision.start) == should_restart(dict(children)[failed], kind)
    if decision.start:
        assert {failed, *decision.stop} == {*decision.start, *decision.forget}


def test_auto_shutdown_waits_for_any_or_all_significant_children() -> None:
    assert not ends_with("never", {"a": True}, "a")
    assert not ends_with("any_significant", {"a": False}, "b")
    assert ends_with("any_significant", {"a": True, "b": False}, "a")
    assert not ends_with("all_significant", {"a": True, "b": False}, "a")
    assert ends_with("all_significant", {"a": True, "b": True}, "a")
