"""Agents on the command line, with a server that says what a test tells it to."""

from pathlib import Path
from typing import Any

import pytest

from cli.agents import resting
from tests.cli.fake import Answer, FakeServer, problem
from tests.cli.run import Run

AGENTS = "/api/v1/agents"
ONE = f"{AGENTS}/fred"


def agent(agent_id: str = "fred", **fields: Any) -> dict[str, Any]:
    return {
        "agent_id": agent_id,
        "agent_type": "clerk",
        "origin": "request",
        "status": "active",
        "up": True,
        "capabilities": ["read", "write"],
        "workload": 1,
        "max_workload": 4,
        "running": ["wf-1/2"],
        "reason": "",
        "registered_at": "2026-01-02T03:04:05Z",
        "drained_at": None,
        "seen_at": None,
        "lease_expires_at": None,
        **fields,
    }


STATE = {
    "assignments": [{"id": 3, "workflow_id": "wf-1"}, {"id": 4, "workflow_id": "wf-2"}],
    "health": {"healthy": False, "message": "no ink", "details": {}},
    "metrics": {"tasks_done": 7, "tasks_failed": 1, "seconds": 12.34, "current": 1},
    "silence": "",
    "restarts": 2,
}
TYPE = {
    "agent_type": "clerk",
    "description": "Writes.",
    "capabilities": ["write"],
    "activities": [
        {
            "name": "write",
            "description": "Write something.",
            "timeout_s": 60.0,
            "input": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Line"}}, {}]},
            "output": {"type": "object", "title": "Letter"},
        },
        {"name": "rest", "description": "", "input": None, "output": {}},
        {
            "name": "send",
            "description": "",
            "input": {
                "type": "object",
                "title": "Envelope",
                "properties": {"to": {"type": "string"}, "stamp": {"$ref": "#/$defs/Stamp"}},
                "required": ["to"],
            },
            "output": {"type": "boolean"},
        },
    ],
    "config": {
        "properties": {"words": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["words"],
    },
    "max_workload": 4,
    "agents": ["clerk-1"],
}
CONFIG = {
    "agent_id": "fred",
    "agent_type": "clerk",
    "config": {"words": "bye", "n": 3},
    "max_workload": 4,
    "pending": True,
}


@pytest.fixture
def at(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, named by the environment."""
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    return server


# --- register


def test_an_agent_is_registered_by_options(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"POST {AGENTS}"] = Answer(agent(), 201)
    ran = beadflow(
        *("agent", "register", "--type", "clerk", "--id", "fred", "--max-workload", "2"),
        *("--set", "words=bye", "--set", "n:=3"),
    )
    assert (ran.code, ran.err) == (0, "")
    assert "id          fred" in ran.out
    assert at.seen[0].body == {
        "agent_type": "clerk",
        "agent_id": "fred",
        "max_workload": 2,
        "config": {"words": "bye", "n": 3},
    }
    assert at.seen[0].headers["idempotency-key"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", 'agent_type = "clerk"\n[config]\nwords = "bye"\nn = 1\n'),
        ("a.json", '{"agent_type": "clerk", "config": {"words": "bye", "n": 1}}'),
        ("a.YAML", "agent_type: clerk\nconfig:\n  words: bye\n  n: 1\n"),
        ("a.yml", "{agent_type: clerk, config: {words: bye, n: 1}}"),
    ],
)
def test_an_agent_is_registered_by_a_file_and_options_count_more(
    beadflow: Run, at: FakeServer, name: str, text: str
) -> None:
    Path(name).write_text(text)
    at.answers[f"POST {AGENTS}"] = Answer(agent(), 201)
    assert beadflow("agent", "register", name, "--set", "n:=2").code == 0
    assert at.seen[0].body == {"agent_type": "clerk", "config": {"words": "bye", "n": 2}}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.ini", "", "does not say what it is"),
        ("a.json", "{", "cannot be understood"),
        ("a.toml", "x", "cannot be understood"),
        ("a.yaml", "a: [", "cannot be understood"),
        ("a.yaml", "config: {at: 2026-01-01}", "cannot be understood"),
        ("a.json", '{"config": NaN}', "cannot be understood"),
        ("a.yaml", "- 1", "something else than fields"),
        ("a.toml", 'agent_type = "x"\nmodule = "y"', "unknown field: module"),
        ("a.toml", "", "The type of the agent is missing"),
        ("missing.toml", None, "cannot be read"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(
    beadflow: Run, at: FakeServer, name: str, text: str | None, words: str
) -> None:
    if text is not None:
        Path(name).write_text(text)
    ran = beadflow("agent", "register", name)
    assert (ran.code, at.seen) == (2, [])
    assert words in ran.err


# --- look


def test_agents_are_listed(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {AGENTS}"] = Answer({"data": [agent(), agent("gina", up=False, running=[])]})
    ran = beadflow("agent", "list", "--type", "clerk", "--status", "draining")
    assert at.seen[0].params == {"type": "clerk", "status": "draining"}
    assert [line.split() for line in ran.out.splitlines()] == [
        ["ID", "TYPE", "STATUS", "UP", "WORKLOAD", "RUNNING", "REASON"],
        ["fred", "clerk", "active", "yes", "1/4", "1"],
        ["gina", "clerk", "active", "no", "1/4", "0"],
    ]
    assert beadflow("agent", "list", "-o", "json").json["schema"] == "beadflow.agent.list/1"


def test_no_agents_is_an_empty_list(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {AGENTS}"] = Answer({"data": []})
    ran = beadflow("agent", "list")
    assert (ran.code, ran.out, ran.err) == (0, "", "no agents\n")


def test_the_status_of_an_agent_shows_how_it_is(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}/status"] = Answer({**agent(), **STATE})
    ran = beadflow("agent", "status", "fred")
    shown = dict(line.split(maxsplit=1) for line in ran.out.splitlines())
    assert (shown["workload"], shown["can"], shown["running"]) == ("1/4", "read write", "wf-1/2")
    assert (shown["has"], shown["health"]) == ("wf-1 wf-2", "not healthy: no ink")
    assert (shown["done"], shown["restarts"]) == ("7 done, 1 failed, 12.3 s", "2")
    ran = beadflow("agent", "status", "fred", "-o", "json")
    assert ran.json["data"]["health"]["message"] == "no ink"


def test_what_models_have_cost_an_agent_is_shown(beadflow: Run, at: FakeServer) -> None:
    metrics: dict[str, Any] = {
        "tasks_done": 7,
        "tasks_failed": 1,
        "seconds": 12.34,
        "tokens": 12345,
        "cost_usd": 0.25,
    }
    at.answers[f"GET {ONE}/status"] = Answer({**agent(), **STATE, "metrics": metrics})
    assert (
        "7 done, 1 failed, 12.3 s, 12,345 tokens, 0.2500 USD"
        in beadflow("agent", "status", "fred").out
    )


def test_an_agent_that_does_not_answer_says_why(beadflow: Run, at: FakeServer) -> None:
    silent = {**STATE, "health": None, "metrics": None, "silence": "it is being restarted"}
    at.answers[f"GET {ONE}/status"] = Answer({**agent(), **silent})
    assert "unknown: it is being restarted" in beadflow("agent", "status", "fred").out


def test_a_type_is_described(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {AGENTS}/types"] = Answer({"data": [TYPE]})
    ran = beadflow("agent", "describe", "clerk")
    assert "write         (Line[]|any) -> Letter: Write something." in ran.out
    assert "rest          () -> any" in ran.out
    assert "send          (to*:string stamp:Stamp) -> boolean" in ran.out
    assert "config        words*:string n:integer" in ran.out
    assert beadflow("agent", "describe", "clerk", "-o", "json").json["data"] == TYPE
    ran = beadflow("agent", "describe", "cook")
    assert (ran.code, "known: clerk" in ran.err) == (6, True)


# --- change


def test_a_configuration_is_shown(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}/config"] = Answer(CONFIG)
    ran = beadflow("agent", "config", "fred")
    assert "config.words  bye" in ran.out
    assert "config.n      3" in ran.out
    assert ran.err == "it goes on as before until it is between tasks\n"


def test_a_configuration_is_changed_field_by_field(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"PUT {ONE}/config"] = Answer(CONFIG)
    ran = beadflow("agent", "config", "fred", "--set", "n:=3", "--max-workload", "0", "-o", "json")
    assert ran.json["data"] == CONFIG
    assert at.seen[0].body == {"config": {"n": 3}, "merge": True, "max_workload": 0}


def test_an_agent_is_drained_and_activated(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"POST {ONE}/drain"] = Answer(agent(status="draining", reason="r"))
    at.answers[f"POST {ONE}/activate"] = Answer(agent())
    ran = beadflow("agent", "drain", "fred", "--reason", "r")
    assert (ran.code, "reason      r" in ran.out) == (0, True)
    assert at.seen[0].body == {"reason": "r"}
    assert beadflow("agent", "activate", "fred", "-o", "json").json["data"]["status"] == "active"


def test_draining_can_be_waited_for(
    beadflow: Run, at: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resting, "POLL_S", 0.0)
    drained = agent(status="draining", drained_at="2026-01-02T03:04:06Z")
    at.answers[f"POST {ONE}/drain"] = Answer(agent(status="draining"))
    at.answers[f"GET {ONE}"] = [Answer(agent(status="draining")), Answer(drained)]
    ran = beadflow("agent", "drain", "fred", "--wait", "-o", "json")
    assert ran.json["data"] == drained
    at.answers[f"GET {ONE}"] = Answer(agent(status="active"))
    ran = beadflow("agent", "drain", "fred", "--wait")
    assert (ran.code, "It drains no longer" in ran.err) == (7, True)


def test_an_agent_is_unregistered(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"DELETE {ONE}"] = Answer(agent())
    assert beadflow("agent", "unregister", "fred").out == "id    fred\ntype  clerk\n"
    assert beadflow("agent", "unregister", "fred", "--force", "-o", "json").code == 0
    assert [seen.params for seen in at.seen] == [{}, {"force": "true"}]


# --- refusals

COMMANDS = {
    "register": ("POST", AGENTS, ["--type", "clerk"]),
    "list": ("GET", AGENTS, []),
    "status": ("GET", f"{ONE}/status", ["fred"]),
    "config": ("GET", f"{ONE}/config", ["fred"]),
    "describe": ("GET", f"{AGENTS}/types", ["clerk"]),
    "drain": ("POST", f"{ONE}/drain", ["fred"]),
    "activate": ("POST", f"{ONE}/activate", ["fred"]),
    "unregister": ("DELETE", ONE, ["fred"]),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("status", "code"), [(404, 6), (409, 7), (422, 2), (503, 9)])
def test_a_refusal_is_told_with_its_exit_code(
    beadflow: Run, at: FakeServer, command: str, status: int, code: int
) -> None:
    method, path, arguments = COMMANDS[command]
    at.answers[f"{method} {path}"] = problem(status, "No", code="some_code", detail="because")
    ran = beadflow("agent", command, *arguments)
    assert (ran.code, "because" in ran.err) == (code, True)


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_server_nobody_answers_for_agents(beadflow: Run, command: str) -> None:
    assert beadflow("agent", command, *COMMANDS[command][2]).code == 9


@pytest.mark.parametrize("agent_id", ["", "a/b", "..", "a b"])
def test_what_is_no_id_is_not_asked_for(beadflow: Run, at: FakeServer, agent_id: str) -> None:
    assert (beadflow("agent", "status", agent_id).code, at.seen) == (2, [])
