"""What of a history still counts once it was retried."""

from typing import Any

import pytest

from actors.workflows.causes import causes_of, note_beside, note_failure, note_handling
from actors.workflows.history import HistoryEvent, Kind
from actors.workflows.voiding import follows, in_force, taken, voided
from storage import payload


def event(seq: int, kind: Kind, op: str = "", **body: Any) -> HistoryEvent:
    return HistoryEvent(seq=seq, kind=kind, op=op, payload=payload.encode(body), at="t")


def failed(seq: int, *ops: str, since: tuple[str, ...] = ()) -> HistoryEvent:
    more = {"since": list(since)} if since else {}
    return event(seq, Kind.WORKFLOW_FAILED, code="c", message="m", failed=list(ops), **more)


START = event(1, Kind.WORKFLOW_STARTED)


@pytest.mark.parametrize(
    ("op", "mark", "does"),
    [
        ("2", "2", True),
        ("3", "2", True),
        ("1", "2", False),
        ("10", "9", True),
        ("3.0.2", "3.0.1", True),
        ("3.0.1", "3.0.2", False),
        ("3.1.9", "3.0.1", False),
        ("3", "3.0.1", True),
        ("4", "3.0.1", True),
        ("2.0.1", "3", False),
        ("3.0.1", "3", True),
        ("3.0.2.1.1", "3.0.1", True),
        ("2~4", "2~3.0.1", True),
    ],
)
def test_an_operation_follows_another_in_the_order_of_the_code(
    op: str, mark: str, does: bool
) -> None:
    assert follows(op, mark) is does


def test_a_history_that_was_never_retried_is_left_as_it_is() -> None:
    events = [START, event(2, Kind.ACTIVITY_COMPLETED, "1", result=1)]
    assert in_force(events) is events
    assert taken(events) == frozenset()


def test_what_a_retry_says_is_left_out_and_what_came_later_counts() -> None:
    one = event(2, Kind.ACTIVITY_COMPLETED, "1", result=1)
    two = event(3, Kind.ACTIVITY_FAILED, "2", code="c", message="m")
    end = failed(4, "2")
    found = voided([START, one, two, end], {})
    assert found.body == {"from": 3, "after": ["2"]}
    retried = event(5, Kind.WORKFLOW_RETRIED, author="a", queued=False, **found.body)
    done = event(6, Kind.ACTIVITY_COMPLETED, "2", result=2)
    assert in_force([START, one, two, end, retried, done]) == [START, one, retried, done]


def test_a_child_goes_on_where_it_failed_and_begins_anew_where_it_was_ended() -> None:
    began = event(2, Kind.CHILD_STARTED, "1", workflow_id="w-1.1")
    end = event(3, Kind.CHILD_FAILED, "1", code="c", message="m", workflow_id="w-1.1")
    events = [START, began, end, failed(4, "1")]
    for status, begun in (("failed", ("1",)), ("completed", ("1",)), ("cancelled", ())):
        found = voided(events, {"w-1.1": status})
        assert found.begun == begun
        retried = event(5, Kind.WORKFLOW_RETRIED, author="a", queued=False, **found.body)
        assert (began in in_force([*events, retried])) is bool(begun)
        assert taken([*events, retried]) == (frozenset() if begun else {"w-1.1"})


def test_only_a_saga_that_was_undone_after_the_failure_is_undone() -> None:
    undone = event(2, Kind.COMPENSATION_STARTED, "2", reason="r", undos=[])
    end = event(3, Kind.ACTIVITY_FAILED, "5", code="c", message="m")
    assert not voided([START, undone, end, failed(4, "5")], {}).undone
    assert voided([START, undone, failed(4, since=("2",))], {}).undone


def test_a_failure_of_an_older_program_with_a_saga_begins_anew() -> None:
    undone = event(2, Kind.COMPENSATION_STARTED, "2", reason="r", undos=[])
    end = event(3, Kind.WORKFLOW_FAILED, code="c", message="m")
    assert voided([START, undone, end], {}).undone


def test_a_task_that_nobody_ended_is_ordered_again() -> None:
    ordered = event(2, Kind.ACTIVITY_SCHEDULED, "1.0.1", agent_type="a")
    end = event(3, Kind.ACTIVITY_FAILED, "1.1.1", code="c", message="m")
    assert voided([START, ordered, end, failed(4, "1.1.1")], {}).ops == ("1.0.1",)


def test_causes_are_found_behind_what_was_raised_from_them() -> None:
    first, second = ValueError("first"), ValueError("second")
    note_failure(first, "3.0.1")
    note_failure(second, "3.1.1")
    note_beside(first, [second])
    try:
        try:
            raise first
        except ValueError:
            note_handling("10")
            note_handling("11")
            raise ExceptionGroup("all", [KeyError("of the code's own")]) from first
    except ExceptionGroup as error:
        found = causes_of(error)
    assert (found.failed, found.since) == (("3.0.1", "3.1.1"), ("10",))


def test_what_was_put_out_of_sight_is_no_cause() -> None:
    hidden, own = ValueError("hidden"), KeyError("its own")
    note_failure(hidden, "1")
    own.__context__ = hidden
    assert causes_of(own).failed == ("1",)
    own.__suppress_context__ = True  # what `raise … from None` does
    assert causes_of(own).failed == ()
