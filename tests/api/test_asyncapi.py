"""The description of the streams: every type of event is in it, and frames are as it says."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from actors.fact_models import MODELS
from api.app import create_app
from api.operations.asyncapi import build, name_of
from api.operations.frames import SENT
from tests.api.asgi import call, stream
from tests.api.site import SharedSite
from tests.api.test_openapi import references


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build()


def frames(document: dict[str, Any], name: str = "Events") -> Draft202012Validator:
    """What frames of a message are held to: events of described types, and no fields but theirs."""
    held = json.loads(json.dumps(document))
    for schema in held["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return Draft202012Validator({**held, "$ref": f"#/components/schemas/{name}"})


def test_every_type_of_event_is_described_and_no_other(document: dict[str, Any]) -> None:
    found = {each["$ref"] for each in document["components"]["schemas"]["Event"]["oneOf"]}
    assert found == {f"#/components/schemas/{name_of(kind)}" for kind in MODELS}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for place in references(document):
        found: Any = document
        for step in place.split("/")[1:]:
            found = found[step]
        assert found


def test_frames_are_as_they_are_described(shared: SharedSite, document: dict[str, Any]) -> None:
    workflow_id = shared.done("arithmetic", variables={"first": 1})
    target = f"/api/v1/events?after=0&workflow_id={workflow_id}"
    events = shared.run(first_frame, shared, target)
    assert {"workflow_started", "step_completed"} <= {each["type"] for each in events}
    frames(document).validate(events)


async def first_frame(shared: SharedSite, target: str) -> list[dict[str, Any]]:
    async with stream(shared._inner.app, target) as wire:
        return await wire.frame()


def test_frames_of_subscriptions_are_as_they_are_described(
    shared: SharedSite, document: dict[str, Any]
) -> None:
    workflow_id = shared.done("arithmetic", variables={"first": 1})
    said: list[dict[str, Any]] = [
        {"op": "subscribe", "id": "a", "after": 0, "workflow": [workflow_id], "lag": "drop"},
        {"op": "unsubscribe", "id": "a"},
        {"op": "unsubscribe", "id": "b"},
    ]
    for op in said:
        frames(document, op["op"].capitalize()).validate(op)
    heard = shared.run(answers, shared, said)
    assert set(heard) == {"subscribed", "events", "unsubscribed", "error"}
    for op, frame in heard.items():
        (name,) = (name for name in SENT if SENT[name]["properties"]["op"]["const"] == op)
        frames(document, name).validate(frame)


async def answers(shared: SharedSite, said: list[dict[str, Any]]) -> dict[str, Any]:
    """Say one thing after the other, each once there is an answer to the last; what was heard."""
    heard: dict[str, Any] = {}
    awaited = {"subscribe": "events", "unsubscribe": "unsubscribed"}
    async with stream(shared._inner.app, "/api/v1/events?ops=true") as wire:
        for op in said:
            wire.say(json.dumps(op))
            while not {awaited[op["op"]], "error"} & heard.keys() or op["id"] == "b":
                frame: Any = await wire.frame()
                heard[frame["op"]] = frame
                if frame["op"] == "error":
                    break
    return heard


def test_what_a_client_says_is_what_is_read(document: dict[str, Any]) -> None:
    for name, op in [("Subscribe", "subscribe"), ("Auth", "auth")]:
        assert frames(document, name).is_valid({"op": op, "id": "a"}) == (name == "Subscribe")
        assert not frames(document, name).is_valid({"op": op, "id": "a", "more": 1})


@pytest.mark.parametrize(
    "changed", [{"type": "nothing"}, {"more": 1}, {"seq": 0}, {"data": {"step": 1}}]
)
def test_an_event_that_is_not_described_is_found(
    document: dict[str, Any], changed: dict[str, Any]
) -> None:
    told = {"seq": 1, "workflow_id": "a", "issue_id": None, "at": "2026-01-02T03:04:05Z"}
    event = {**told, "type": "timer_fired", "data": {"step": "1"}}
    frames(document).validate([event])
    assert not frames(document).is_valid([event | changed])


async def test_the_document_is_served() -> None:
    nothing: Any = None
    found = await call(create_app(nothing), "GET", "/asyncapi.json")
    assert found.json()["asyncapi"] == "3.0.0"
