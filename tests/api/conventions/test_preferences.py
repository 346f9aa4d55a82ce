"""Who would rather wait for the end of a workflow is answered then."""

from dataclasses import replace
from typing import Any

import pytest
import trio
from quart import Quart
from trio.testing import MockClock

from actors.bus import Subscribe, Subscription
from actors.coordination.messages import GetWorkflow, WorkflowRecord
from actors.feed import CUT, Feed
from api.app import create_app
from api.conventions.preferences import Preferences
from supervision import Actor, ChildSpec, System
from tests.api.asgi import call
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite, nowhere

RECORD = WorkflowRecord(
    id="w-1",
    beads_issue_id="x-1",
    type="t",
    version=1,
    title="T",
    status="active",
    priority=2,
    agent_type=None,
    agent_id=None,
    variables={},
    created_at="2026-01-02T03:04:05Z",
    started_at=None,
    completed_at=None,
    error_code=None,
    error_message=None,
    parent_id=None,
    updated_at="2026-01-02T03:04:05Z",
    waits_for_agent=None,
)


def test_a_start_that_is_waited_for_is_answered_with_its_end(shared: SharedSite) -> None:
    answer = shared.start("arithmetic", ("Prefer", "wait=30"), variables={"first": 1})
    assert (answer.status, answer.json()["status"]) == (201, "completed")
    assert answer.headers["preference-applied"] == "wait=30"
    assert answer.headers["location"] == f"{WORKFLOWS}/{answer.json()['id']}"


def test_who_would_wait_and_be_told_at_once_is_waited_for(shared: SharedSite) -> None:
    prefer = ("Prefer", "respond-async, wait=1")
    answer = shared.start("waiting", prefer)
    assert (answer.status, answer.json()["status"]) == (201, "active")
    assert answer.headers["preference-applied"] == "wait=1"


def test_a_look_that_waits_is_answered_once_the_workflow_has_ended(shared: SharedSite) -> None:
    workflow_id = shared.start("waiting").json()["id"]
    address = f"{WORKFLOWS}/{workflow_id}"
    inner = shared._inner

    async def both() -> Any:
        found: list[Any] = []

        async def look() -> None:
            found.append(await inner.call("GET", address, headers=[("Prefer", "wait=60")]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await inner.call(
                "POST",
                f"{address}/signal",
                headers=[("Content-Type", "application/json")],
                body=[b'{"name": "go"}'],
            )
        return found[0]

    answer = shared.run(both)
    assert answer.json()["status"] == "completed"
    assert answer.headers["preference-applied"] == "wait=60"
    assert "Prefer" in answer.headers["vary"]


def test_a_workflow_that_is_not_there_is_not_waited_for(shared: SharedSite) -> None:
    answer = shared.call("GET", f"{WORKFLOWS}/none", headers=[("Prefer", "wait=60")])
    refused(answer, 404, "not_found")


def test_who_wants_no_answer_but_that_it_was_accepted_has_202(shared: SharedSite) -> None:
    answer = shared.start("waiting", ("Prefer", "respond-async"))
    assert (answer.status, answer.headers["preference-applied"]) == (202, "respond-async")
    assert shared.call("GET", answer.headers["location"]).status == 200


async def test_when_the_time_is_up_the_answer_is_how_it_is(autojump_clock: MockClock) -> None:
    del autojump_clock

    class Still(Actor):
        async def on_receive(self, message: object) -> object:
            if isinstance(message, Subscribe):
                feed = Feed(1, CUT, lambda _feed: None)
                return Subscription(after=0, batches=feed)
            assert isinstance(message, GetWorkflow)
            return replace(RECORD, id=message.workflow_id)

    async with System.open() as system:
        await system.start(ChildSpec(id="nobody", name="nobody", build=Still))
        app = create_app(nowhere(system))
        began = trio.current_time()
        answer = await call(app, "GET", f"{WORKFLOWS}/w-1", headers=[("Prefer", "wait=999")])
        waited = trio.current_time() - began
    assert (answer.status, answer.json()["status"]) == (200, "active")
    assert answer.headers["preference-applied"] == "wait=60"
    assert waited == pytest.approx(60, abs=1)


@pytest.mark.parametrize(
    ("given", "wait_s", "accepted"),
    [
        ("wait=5", 5, False),
        ("respond-async, wait=10", 10, True),
        ('WAIT = "7"; x=1, Respond-Async', 7, True),
        ("wait=-1", None, False),
        ("wait=1e3", None, False),
        ("wait=99999999999", None, False),
        ("return=minimal,,;", None, False),
        ("", None, False),
    ],
)
async def test_a_preference_that_is_none_is_passed_over(
    given: str, wait_s: int | None, accepted: bool
) -> None:
    app = Quart(__name__)
    async with app.test_request_context("/", headers={"Prefer": given}) as context:
        assert Preferences.of(context.request) == Preferences(wait_s, accepted)
