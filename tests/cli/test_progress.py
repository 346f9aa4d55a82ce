from datetime import UTC, datetime
from typing import Any

import pytest

from cli import progress, records
from cli.progress import Progress, Step
from tests.cli.run import event


def after(*events: dict[str, Any]) -> Progress:
    return progress.apply_all(Progress(), [records.event(raw) for raw in events])


def only(*events: dict[str, Any]) -> Step:
    (step,) = after(*events).steps
    return step


def test_a_step_runs_from_its_start() -> None:
    step = only(event(1, "step_started", step="collect", agent_id="research-1", attempt=1))
    assert (step.name, step.state, step.agent) == ("collect", "running", "research-1")
    assert step.elapsed_s(datetime(2025, 3, 1, 10, 0, 6, tzinfo=UTC)) == 5.0


def test_progress_changes_the_fraction_and_the_last_word() -> None:
    step = only(
        event(1, "step_started", step="collect"),
        event(2, "step_progress", step="collect", fraction=0.5, message="3 of 6"),
    )
    assert (step.fraction, step.message) == (0.5, "3 of 6")


def test_a_completed_step_keeps_the_time_the_server_measured() -> None:
    step = only(
        event(1, "step_started", step="collect"),
        event(9, "step_completed", step="collect", seconds=7.5),
    )
    assert (step.state, step.seconds) == ("done", 7.5)


def test_without_a_measure_the_time_lies_between_the_events() -> None:
    step = only(event(1, "step_started", step="a"), event(4, "step_failed", step="a", message="no"))
    assert (step.state, step.seconds, step.message) == ("failed", 3.0, "no")


def test_a_second_attempt_is_marked_and_counts_its_own_time() -> None:
    step = only(
        event(1, "step_started", step="a", attempt=1),
        event(2, "step_failed", step="a", attempt=1, message="timeout"),
        event(5, "step_started", step="a", attempt=2),
    )
    assert (step.state, step.attempt, step.seconds) == ("retrying", 2, None)


def test_steps_stay_in_the_order_of_their_start() -> None:
    seen = after(
        event(1, "step_started", step="a"),
        event(2, "step_started", step="b"),
        event(3, "step_completed", step="a"),
    )
    assert [step.name for step in seen.steps] == ["a", "b"]


def test_an_event_seen_twice_changes_nothing() -> None:
    once = after(event(1, "step_started", step="a"), event(2, "step_completed", step="a"))
    again = progress.apply(once, records.event(event(1, "step_started", step="a")))
    assert again is once


def test_the_last_log_line_is_remembered() -> None:
    assert after(event(1, "log", level="info", message="hello\x1b")).said == r"hello\x1b"


def test_the_end_is_seen_and_a_new_start_revokes_it() -> None:
    assert after(event(1, "workflow_failed")).ended
    assert not after(event(1, "workflow_failed"), event(2, "workflow_started")).ended


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled", "terminated", "dead_lettered"])
def test_every_end_is_one(how: str) -> None:
    assert after(event(1, f"workflow_{how}")).ended


def test_timers_and_children_are_steps_of_their_own() -> None:
    timer = [event(1, "timer_started", step="1", fire_at="2025-03-01T10:00:05Z")]
    child = [event(2, "child_started", step="2", type="audit", child_id="wf-1.2")]
    seen = after(*timer, *child, event(5, "timer_fired", step="1"))
    assert [(s.name, s.state, s.seconds) for s in seen.steps] == [
        ("1 timer", "done", 4.0),
        ("2 child audit", "running", None),
    ]
    done = event(6, "child_failed", step="2", type="audit", child_id="x", code="c", message="no")
    assert after(*child, done).steps[0].state == "failed"
    assert (
        after(*child, event(6, "child_completed", step="2", type="audit")).steps[0].state == "done"
    )


def test_a_step_that_is_tried_again_in_the_engine_says_why() -> None:
    step = only(event(1, "step_retried", step="1", activity="a", attempt=1, message="away"))
    assert (step.name, step.state, step.message) == ("1 a", "retrying", "away")


def test_a_cancelled_step_is_the_one_that_ran_under_its_number() -> None:
    seen = after(
        event(1, "step_started", step="1", activity="a"),
        event(2, "timer_started", step="10"),
        event(3, "step_cancelled", step="1", operation="activity", reason="r"),
    )
    assert [(s.name, s.state) for s in seen.steps] == [
        ("1 a", "cancelled"),
        ("10 timer", "running"),
    ]


def test_a_line_names_the_signal_the_moment_and_the_reason() -> None:
    def line(kind: str, **data: Any) -> str:
        return progress.describe(records.event(event(1, kind, **data)))

    assert line("workflow_signaled", name="go", message_id="m").endswith("signal go")
    until = line("timer_started", step="1", fire_at="2025-03-01T10:00:05Z")
    assert until.endswith("1 timer until 2025-03-01 10:00:05Z")
    assert line("workflow_cancelled", type="t", reason="enough").endswith(
        "workflow_cancelled enough"
    )


def test_a_numbered_step_is_shown_with_its_activity() -> None:
    assert only(event(1, "step_started", step=3, activity="fetch")).name == "3 fetch"
    assert only(event(1, "step_started", step="fetch:a", activity="fetch")).name == "fetch:a"
    assert only(event(1, "step_started", activity="fetch")).name == "fetch"


def test_a_line_says_when_what_who_and_how_far() -> None:
    raw = event(
        3, "step_progress", step="collect", agent_id="r-1", attempt=2, fraction=0.25, message="x\ny"
    )
    assert progress.describe(records.event(raw)) == (
        "2025-03-01 10:00:03Z step_progress      collect agent r-1 attempt 2 25% x y"
    )


def test_an_event_of_a_kind_unknown_here_is_still_told() -> None:
    assert "volcano_erupted" in progress.describe(records.event(event(1, "volcano_erupted")))


def test_an_issue_event_names_its_issue() -> None:
    assert progress.describe(records.event(event(1, "issue_created"))).endswith("issue bf-7")


def test_a_gate_is_a_step_that_says_how_it_is_answered() -> None:
    asked = event(1, "gate_requested", step="7", title="Go on?", signal="beadflow.gate:1/7@T")
    opened = event(2, "gate_opened", step="7", title="Go on?")
    step = only(asked, opened)
    assert (step.name, step.state) == ("7 gate", "running")
    assert step.message == "Go on? (beadflow gate approve bf-7)"
    said = {"step": "7", "title": "Go on?", "approved": False, "by": "ann", "why": "not yet"}
    answered = only(asked, opened, event(4, "gate_answered", **said))
    assert (answered.state, answered.message) == ("done", "rejected by ann not yet")
    withdrawn = event(4, "gate_withdrawn", step="7", title="Go on?", why="cancelled")
    assert only(asked, opened, withdrawn).state == "cancelled"


def test_the_line_of_a_gate_names_the_question_and_the_answer_and_no_signal() -> None:
    def line(kind: str, **data: Any) -> str:
        return progress.describe(records.event(event(1, kind, **data)))

    assert line("gate_opened", step="7", title="Go on?").endswith(
        "7 gate Go on? (beadflow gate approve bf-7)"
    )
    said = {"step": "7", "title": "Go on?", "approved": True, "by": "ann", "why": ""}
    assert line("gate_answered", **said).endswith("7 gate approved by ann")
    assert line("signal_consumed", step="7", name="beadflow.gate:1/7@T").endswith("consumed")
