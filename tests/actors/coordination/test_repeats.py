"""Requests that come again with their idempotency key."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.coordination import repeats
from actors.coordination.assignment_messages import AssignWorkflow, HandOff
from actors.errors import Conflict
from storage.errors import PayloadError
from storage.pool import ReadPool
from tests.support.database import Database, open_database

REQUEST = AssignWorkflow(workflow_id="w-1", agent_id="a-1")
SHA = repeats.fingerprint(REQUEST)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "c.db", "storage.coordination", {}) as database:
        yield database


def test_a_key_that_never_came_has_no_answer(bridge: Database) -> None:
    assert repeats.known(bridge.conn, "k", SHA) is None


def test_a_key_answers_what_was_answered_before(bridge: Database) -> None:
    repeats.remember(bridge.conn, "k", SHA, answer={"id": 7}, at="t")

    assert repeats.known(bridge.conn, "k", SHA) == {"id": 7}


def test_a_key_with_another_request_is_refused(bridge: Database) -> None:
    repeats.remember(bridge.conn, "k", SHA, answer={"id": 7}, at="t")
    other = repeats.fingerprint(AssignWorkflow(workflow_id="w-1", agent_id="a-2"))

    with pytest.raises(Conflict, match="this idempotency key came with another request") as refused:
        repeats.known(bridge.conn, "k", other)

    assert "new idempotency key" in refused.value.hint


async def test_a_reader_finds_the_answer_and_refuses_as_the_writer_does(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with open_database(path, "storage.coordination", {}) as bridge:
        repeats.remember(bridge.conn, "k", SHA, answer={"id": 7}, at="t")
        async with ReadPool(path, "coordination").open() as pool:
            assert await repeats.answered(pool, "k", SHA) == {"id": 7}
            assert await repeats.answered(pool, "other", SHA) is None
            with pytest.raises(Conflict):
                await repeats.answered(pool, "k", "another")


def test_the_key_is_no_part_of_the_request() -> None:
    with_key = AssignWorkflow(workflow_id="w-1", agent_id="a-1", idempotency_key="k")

    assert repeats.fingerprint(with_key) == SHA


def test_requests_of_two_kinds_differ_although_their_fields_are_the_same() -> None:
    assigned = AssignWorkflow(workflow_id="w-1", agent_id="a-1")
    handed_on = HandOff(workflow_id="w-1", from_agent="a-1")

    assert repeats.fingerprint(assigned) != repeats.fingerprint(handed_on)


def test_the_order_of_what_is_handed_over_makes_no_difference() -> None:
    one = HandOff(workflow_id="w-1", from_agent="a-1", payload={"b": 1, "a": 2})
    two = HandOff(workflow_id="w-1", from_agent="a-1", payload={"a": 2, "b": 1})

    assert repeats.fingerprint(one) == repeats.fingerprint(two)


def test_a_request_that_is_no_json_has_no_fingerprint() -> None:
    with pytest.raises(PayloadError, match="is not JSON"):
        repeats.fingerprint(HandOff(workflow_id="w-1", from_agent="a", payload=float("nan")))
