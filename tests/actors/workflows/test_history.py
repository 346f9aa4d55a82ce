"""The words of the history."""

from actors.workflows.history import (
    NOTHING,
    OPERATIONS,
    STATUS_AFTER,
    HistoryEvent,
    Kind,
    Status,
    idempotency_key,
)
from storage import payload


def test_an_idempotency_key_names_one_step_of_one_workflow() -> None:
    assert idempotency_key("w-1", "2.0.1") == "w-1/2.0.1"


def test_an_event_without_a_payload_stores_nothing_as_null() -> None:
    event = HistoryEvent(seq=1, kind=Kind.WORKFLOW_ACTIVATED, at="t")
    assert event.payload == NOTHING
    assert payload.decode(event.payload) is None


def test_every_kind_is_an_operation_or_about_the_workflow() -> None:
    about_the_workflow = set(STATUS_AFTER) | {Kind.WORKFLOW_STARTED}
    assert about_the_workflow | OPERATIONS == set(Kind)
    assert not about_the_workflow & OPERATIONS


def test_only_a_start_may_leave_a_workflow_queued() -> None:
    assert set(STATUS_AFTER.values()) == set(Status) - {Status.QUEUED}
