"""The suite: every check by its name, and how pytest runs them."""

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from actors.agents.protocol import Agent
from beadflow.testing import crashing, declared, working
from beadflow.testing.subject import Subject, nothing

Check = Callable[[Subject], Awaitable[None] | None]

CHECKS: Final[tuple[Check, ...]] = (
    declared.the_type_is_a_plain_name,
    declared.the_class_and_its_activities_are_described,
    declared.there_are_activities,
    declared.activities_are_typed,
    declared.the_type_can_be_shown_as_json,
    declared.its_configuration_is_taken,
    declared.secrets_of_its_configuration_are_masked,
    declared.examples_fit_their_activities,
    working.hooks_are_called_in_order,
    working.it_says_how_it_is,
    working.examples_succeed,
    working.a_wrong_input_is_an_outcome,
    working.what_nobody_wants_any_more_ends,
    working.it_is_set_up_anew_at_run_time,
    crashing.a_crash_while_it_starts_is_made_up_for,
    crashing.a_crash_while_it_is_restarted_is_made_up_for,
    crashing.a_crash_while_it_stops_leaves_nothing_behind,
    crashing.a_crash_while_it_is_set_up_anew_is_made_up_for,
    crashing.a_crash_of_the_health_check_is_an_answer,
    crashing.what_it_did_when_it_crashed_is_done_again,
    crashing.its_work_goes_to_another_and_its_late_answer_is_refused,
)


def checks(subject: Subject) -> list[tuple[str, Callable[[], None]]]:
    """Every check of a class by its name: without pytest, or for a choice of them.

    Each raises `Nonconformance`, or whatever the class raised.
    """
    return [(check.__name__, _runner(check, subject)) for check in CHECKS]


def conformance(
    agent_class: type[Agent],
    *,
    config: dict[str, Any] | None = None,
    examples: dict[str, Any] | None = None,
    prepare: Callable[[Path], None] = nothing,
    commands: tuple[str, ...] = (),
    **more: float,
) -> Callable[..., None]:
    """A test for pytest that holds a class to all checks, each a case of its own.

    Give it a name that begins with `test_`. See `Subject` for what it is given.

    Raises:
        TypeError: an example is of no activity of the class.
    """
    subject = Subject(
        agent_class=agent_class,
        config=config or {},
        examples=examples or {},
        prepare=prepare,
        commands=commands,
        **more,
    )
    cases = [pytest.param(run, id=name) for name, run in checks(subject)]

    @pytest.mark.parametrize("check", cases)
    def holds(check: Callable[[], None]) -> None:
        check()

    return holds


def _runner(check: Check, subject: Subject) -> Callable[[], None]:
    if not inspect.iscoroutinefunction(check):
        return lambda: check(subject)  # type: ignore[return-value]
    return lambda: trio.run(check, subject)
