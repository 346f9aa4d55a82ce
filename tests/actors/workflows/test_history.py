"""The words of the history."""

from actors.workflows.history import (
    CLOSED,
    NOTHING,
    OUTER,
    STATUS_AFTER,
    Kind,
    NewEvent,
    Status,
    idempotency_key,
)
from storage import payload


def test_an_idempotency_key_names_one_step_of_one_workflow() -> None:
    assert idempotency_key("w-1", "2.0.1") == "w-1/2.0.1"


def test_an_event_without_a_payload_stores_nothing_as_null() -> None:
    event = NewEvent(kind=Kind.WORKFLOW_ACTIVATED, at="t")
    assert event.payload == NOTHING
    assert payload.decode(event.payload) is None


def test_only_a_start_may_leave_a_workflow_queued() -> None:
    assert set(STATUS_AFTER.values()) == set(Status) - {Status.QUEUED}


def test_what_others_record_is_about_the_workflow_and_never_about_an_operation() -> None:
    assert all(kind.startswith("workflow_") for kind in OUTER)


def test_each_closed_status_has_an_event_that_closes_and_completion_one_by_hand() -> None:
    closing = [kind for kind, status in STATUS_AFTER.items() if status in CLOSED]
    ends = sorted([*CLOSED, Status.COMPLETED])
    assert sorted(STATUS_AFTER[kind] for kind in closing) == ends
