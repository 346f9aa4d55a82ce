"""/api/v1/agents, on a whole running system."""

import json
from typing import Any

import pytest

from tests.api.asgi import Answer, Header
from tests.api.problems import refused
from tests.api.site import SharedSite

AGENTS = "/api/v1/agents"
JSON: Header = ("Content-Type", "application/json")


def send(shared: SharedSite, method: str, path: str, *headers: Header, **body: Any) -> Answer:
    whole = [json.dumps(body).encode()]
    return shared.call(method, f"{AGENTS}{path}", headers=[JSON, *headers], body=whole)


def register(shared: SharedSite, agent_id: str, **more: Any) -> Answer:
    return send(shared, "POST", "", agent_type="greeter", agent_id=agent_id, **more)


def test_an_agent_is_registered_shown_and_unregistered(shared: SharedSite) -> None:
    answer = register(shared, "fred", max_workload=0)
    assert (answer.status, answer.headers["location"]) == (201, f"{AGENTS}/fred")
    made = answer.json()
    assert (made["origin"], made["status"], made["max_workload"]) == ("request", "active", 0)
    assert shared.get(f"{AGENTS}/fred")["capabilities"] == ["greet"]
    assert "fred" in [agent["agent_id"] for agent in shared.get(AGENTS)["data"]]
    assert shared.call("DELETE", f"{AGENTS}/fred").json()["agent_id"] == "fred"
    refused(shared.call("GET", f"{AGENTS}/fred"), 404, "not_found")
    refused(shared.call("DELETE", f"{AGENTS}/fred"), 404, "not_found")


def test_a_registration_that_is_sent_twice_is_one(shared: SharedSite) -> None:
    key: Header = ("Idempotency-Key", "of an agent")
    first, again = (
        send(shared, "POST", "", key, agent_type="greeter", max_workload=0) for _ in range(2)
    )
    assert (first.status, again.status) == (201, 201)
    assert first.json()["agent_id"] == again.json()["agent_id"]
    other = send(shared, "POST", "", key, agent_type="greeter", max_workload=1)
    refused(other, 422, "idempotency_key_reused")
    shared.call("DELETE", f"{AGENTS}/{first.json()['agent_id']}")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"agent_type": "cook"}, 404, "not_found"),
        ({"agent_type": "pkg.module:Cook"}, 422, "validation_error"),
        ({"agent_type": "greeter", "module": "x"}, 422, "validation_error"),
        ({"agent_type": "greeter", "config": {"x": 1}}, 422, "validation_error"),
        ({"agent_type": "greeter", "agent_id": "a b"}, 422, "validation_error"),
        ({"agent_type": "greeter", "agent_id": "greeter-1"}, 409, "agent_exists"),
        ({"agent_type": "greeter", "max_workload": 10**30}, 422, "validation_error"),
    ],
)
def test_what_cannot_be_registered_is_refused(
    shared: SharedSite, body: dict[str, Any], status: int, code: str
) -> None:
    refused(send(shared, "POST", "", **body), status, code)


def test_the_status_of_an_agent_is_what_it_says_of_itself(shared: SharedSite) -> None:
    shared.done("greeting", variables={"name": "world"})
    found = shared.get(f"{AGENTS}/greeter-1/status")
    assert found["health"] == {"healthy": True, "message": "", "details": {}}
    assert found["metrics"]["tasks_done"] >= 1
    assert (found["silence"], found["restarts"]) == ("", 0)
    refused(shared.call("GET", f"{AGENTS}/nobody/status"), 404, "not_found")


def test_the_configuration_of_an_agent_can_be_changed(shared: SharedSite) -> None:
    register(shared, "gina", max_workload=0)
    answer = send(shared, "PUT", "/gina/config", max_workload=1, config={})
    assert answer.json() == shared.get(f"{AGENTS}/gina/config")
    assert (answer.json()["max_workload"], answer.json()["config"]) == (1, {})
    refused(send(shared, "PUT", "/gina/config", config={"x": 1}), 422, "validation_error")
    refused(send(shared, "PUT", "/gina/config", config=[]), 422, "validation_error")
    refused(shared.call("DELETE", f"{AGENTS}/gina?force=maybe"), 422, "validation_error")
    shared.call("DELETE", f"{AGENTS}/gina?force=true")


def test_an_agent_is_drained_and_activated(shared: SharedSite) -> None:
    register(shared, "hugo", max_workload=0)
    drained = send(shared, "POST", "/hugo/drain", reason="new disk").json()
    assert (drained["status"], drained["reason"]) == ("draining", "new disk")
    shared.until(lambda fact: fact.type == "agent_drained" and fact.data["agent_id"] == "hugo")
    assert shared.get(f"{AGENTS}/hugo")["drained_at"] is not None
    assert [agent["agent_id"] for agent in shared.get(f"{AGENTS}?status=draining")["data"]] == [
        "hugo"
    ]
    refused(send(shared, "POST", "/hugo/drain", reason="x" * 1001), 422, "validation_error")
    active = send(shared, "POST", "/hugo/activate").json()
    assert (active["status"], active["drained_at"]) == ("active", None)
    shared.call("DELETE", f"{AGENTS}/hugo")


def test_an_agent_of_the_settings_stays(shared: SharedSite) -> None:
    answer = shared.call("DELETE", f"{AGENTS}/greeter-1?force=true")
    refused(answer, 409, "agent_of_settings")


def test_types_are_described(shared: SharedSite) -> None:
    types = {kind["agent_type"]: kind for kind in shared.get(f"{AGENTS}/types")["data"]}
    greeter = types["greeter"]
    (greet,) = greeter["activities"]
    assert (greet["name"], greet["input"]) == ("greet", {"type": "string"})
    assert greeter["config"]["additionalProperties"] is False
