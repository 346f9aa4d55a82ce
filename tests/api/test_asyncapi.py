"""The description of the streams: every type of event is in it, and frames are as it says."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from actors.fact_models import MODELS
from api.app import create_app
from api.operations.asyncapi import build, name_of
from tests.api.asgi import call, stream
from tests.api.site import SharedSite
from tests.api.test_openapi import references


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build()


def frames(document: dict[str, Any]) -> Draft202012Validator:
    """What frames are held to: events of described types, with no fields but theirs."""
    held = json.loads(json.dumps(document))
    for name in map(name_of, MODELS):
        held["components"]["schemas"][name]["additionalProperties"] = False
    return Draft202012Validator({**held, "$ref": "#/components/schemas/Events"})


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
