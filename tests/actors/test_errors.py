import inspect

import pytest

import actors.errors
import supervision
from actors.errors import (
    AgentError,
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    ExternalServiceError,
    Forbidden,
    NotFound,
    Overloaded,
    StorageFull,
    StoreDamaged,
    StoreLost,
    ValidationError,
    WorkflowError,
)

ALL = [
    kind
    for _, kind in inspect.getmembers(actors.errors, inspect.isclass)
    if issubclass(kind, WorkflowError)
]


@pytest.mark.parametrize("kind", ALL)
def test_an_error_declares_what_a_door_needs(kind: type[WorkflowError]) -> None:
    assert {"code", "status", "hint"} <= vars(kind).keys()
    assert isinstance(kind.retryable, bool)


def test_codes_are_unique() -> None:
    assert len({kind.code for kind in ALL}) == len(ALL)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (NotFound, 404),
        (Conflict, 409),
        (Forbidden, 403),
        (Overloaded, 503),
        (ValidationError, 422),
        (StorageFull, 507),
        (StoreDamaged, 500),
        (StoreLost, 503),
    ],
)
def test_a_refusal_goes_back_to_the_asker(kind: type[WorkflowError], status: int) -> None:
    assert issubclass(kind, supervision.Refused)
    assert kind.status == status


@pytest.mark.parametrize("kind", [DatabaseError, AgentError, ExternalServiceError])
def test_what_is_no_answer_is_a_crash(kind: type[WorkflowError]) -> None:
    assert not issubclass(kind, supervision.Refused)


def test_an_overload_is_one_also_for_who_knows_only_the_kernel() -> None:
    assert issubclass(Overloaded, supervision.Overloaded)


def test_an_error_carries_its_fields() -> None:
    invalid = ValidationError("no", field="title", value="")
    database = DatabaseError("no", operation="add", table="things")
    agent = AgentError("no", agent_id="a-1", agent_type="poc")
    service = ExternalServiceError("no", service="pypi", endpoint="/simple", status_code=502)
    assert (invalid.field, invalid.value) == ("title", "")
    assert (database.operation, database.table) == ("add", "things")
    assert (agent.agent_id, agent.agent_type) == ("a-1", "poc")
    assert (service.service, service.endpoint, service.status_code) == ("pypi", "/simple", 502)
    assert issubclass(DatabaseUnavailable, DatabaseError)


def test_the_text_is_the_message() -> None:
    assert str(NotFound("there is no issue x-1")) == "there is no issue x-1"


def test_the_cause_is_known_however_it_was_given() -> None:
    reason = OSError()
    assert WorkflowError("no", cause=reason).cause is reason
    with pytest.raises(WorkflowError) as raised:
        raise WorkflowError("no") from reason
    assert raised.value.cause is reason


def test_one_error_may_be_more_precise_than_its_class() -> None:
    error = Conflict("no", code="lease_lost", hint="claim it again")
    assert (error.code, error.hint) == ("lease_lost", "claim it again")
    assert Conflict.code == "conflict"
