"""Every built-in agent is described, and set up anew while it runs, over HTTP."""

import json
from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from tests.api.asgi import Answer, send_json
from tests.api.built_in import built_in
from tests.api.problems import refused
from tests.api.site import Site

AGENTS = "/api/v1/agents"
CHANGES: Final[dict[str, dict[str, Any]]] = {
    "command": {"turn_s": 60.0},
    "documentation": {"words": ["beadflow"]},
    "llm": {"max_turns": 3},
    "poc": {"offline": True},
    "research": {"sites": ["/somewhere/else"]},
    "validation": {"tests_s": 60.0},
}
"""What each can be set up with otherwise."""

CLASSES = {point.name: point.load() for point in entry_points(group="beadflow.agents")}


@pytest.fixture
async def site(repo: Path) -> AsyncIterator[Site]:
    async with built_in(repo, workflows=[], agents=list(CLASSES.values())) as found:
        yield found


async def put(site: Site, agent_id: str, **body: Any) -> Answer:
    whole = [json.dumps(body).encode()]
    json_type = ("Content-Type", "application/json")
    return await site.call("PUT", f"{AGENTS}/{agent_id}/config", headers=[json_type], body=whole)


async def test_each_is_set_up_anew_while_it_runs_and_refuses_what_does_not_fit(site: Site) -> None:
    assert CHANGES.keys() == CLASSES.keys()
    for name, change in CHANGES.items():
        agent_id = f"{name}-1"
        answer = await put(site, agent_id, config=change)
        assert answer.status == 200, answer.body
        (field, wanted), *_ = change.items()
        assert answer.json()["config"][field] == wanted
        refused(await put(site, agent_id, config={"no_such_field": 1}), 422, "validation_error")
        refused(await put(site, agent_id, config={field: {"a": ["b"]}}), 422, "validation_error")
        shown = await site.call("GET", f"{AGENTS}/{agent_id}/config")
        assert shown.json()["config"][field] == wanted
    for name in CHANGES:
        await settled(site, f"{name}-1")


async def settled(site: Site, agent_id: str) -> None:
    """Wait until an agent goes on with its new configuration, and is well."""
    with trio.fail_after(20):
        while True:
            config = (await site.call("GET", f"{AGENTS}/{agent_id}/config")).json()
            status = (await site.call("GET", f"{AGENTS}/{agent_id}/status")).json()
            health = status["health"]
            if not config["pending"] and status["up"] and health is not None:
                assert health["healthy"] or health["message"]
                return
            await trio.sleep(0.01)


async def test_each_is_described_with_schemas_and_words(site: Site) -> None:
    types = (await site.call("GET", f"{AGENTS}/types")).json()["data"]
    assert {each["agent_type"] for each in types} == CLASSES.keys()
    for each in types:
        assert each["description"], each
        assert each["config"]["type"] == "object"
        for activity in each["activities"]:
            assert activity["description"], activity
            assert activity["input"]["type"] == "object", activity
            assert activity["output"], activity


SH: Final = {"presets": {"sh": {"program": "/bin/sh"}}}


@pytest.mark.parametrize(
    ("agent_type", "config", "field"),
    [
        ("llm", {"url": "http://evil.example/v1", "model": "x", "key_variable": "PATH"}, "url"),
        ("llm", {"key_variable": "PATH"}, "key_variable"),
        ("command", SH, "presets.sh.program"),
        ("command", {"preset": "nowhere"}, "preset"),
    ],
    ids=["url", "key_variable", "program", "preset"],
)
async def test_one_that_could_not_work_is_neither_registered_nor_set_up_anew(
    site: Site, agent_type: str, config: dict[str, Any], field: str
) -> None:
    body = {"agent_type": agent_type, "config": config}
    for answer in (
        await send_json(site.app, AGENTS, body),
        await put(site, f"{agent_type}-1", config=config),
    ):
        found = refused(answer, 422, "validation_error")
        assert f"config.{field}: " in json.dumps(found)
    agents = (await site.call("GET", AGENTS)).json()["data"]
    assert len(agents) == len(CLASSES)
    before = (await site.call("GET", f"{AGENTS}/{agent_type}-1/config")).json()["config"]
    assert before[next(iter(config))] != config[next(iter(config))]


async def test_an_unknown_field_is_refused_with_those_that_there_are_at_its_place(
    site: Site,
) -> None:
    config = {"presets": {"sh": {"program": "sh", "colour": 1}}}
    problem = refused(await put(site, "command-1", config=config), 422, "validation_error")
    assert "config.presets.sh.colour: " in problem["detail"]
    assert "known: version, program, first, again, " in problem["detail"]
