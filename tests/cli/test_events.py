"""`beadflow events`: pages, and a stream that is cut and goes on."""

import json
from typing import Any

import pytest

from cli import events as command
from tests.cli.fake import Answer, Close, FakeServer, problem
from tests.cli.run import Run, event

EVENTS = "GET /api/v1/events"


@pytest.fixture
def at(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, named by the environment; nobody waits for it."""
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    monkeypatch.setattr(command, "PAUSE_S", 0.0)
    monkeypatch.setattr(command, "PATIENCE_S", 0.0)
    return server


def page(*found: Any, next_after: int = 0, more: bool = False) -> Answer:
    return Answer({"data": list(found), "next_after": next_after, "more": more})


def test_a_page_is_asked_for_by_all_that_was_said(beadflow: Run, at: FakeServer) -> None:
    at.answers[EVENTS] = page(event(8, "step_failed", step="1", code="no"), next_after=8, more=True)
    ran = beadflow(
        *("events", "--topic", "step_*", "--topic", "log", "--workflow", "wf-1"),
        *("--issue", "x-1", "--agent", "a-1", "--after", "7", "-n", "1"),
    )
    assert at.seen[0].params == {
        "topics": "step_*,log",
        "workflow_id": "wf-1",
        "issue_id": "x-1",
        "agent_id": "a-1",
        "after": "7",
        "limit": "1",
    }
    assert ran.code == 0
    assert "step_failed" in ran.out
    assert "1 no" in ran.out
    assert ran.err == "there are more: --after 8\n"


def test_a_page_in_json_says_where_to_go_on(beadflow: Run, at: FakeServer) -> None:
    at.answers[EVENTS] = page(event(1, "log"), next_after=1)
    answer = beadflow("events", "-o", "json").json
    assert answer["schema"] == "beadflow.events/1"
    assert (answer["next_after"], answer["more"]) == (1, False)
    assert answer["data"] == [event(1, "log")]


def test_a_stream_has_no_limit(beadflow: Run, at: FakeServer) -> None:
    ran = beadflow("events", "--watch", "--limit", "3")
    assert (ran.code, at.seen) == (2, [])
    assert "--limit" in ran.err


def test_no_events_are_no_failure(beadflow: Run, at: FakeServer) -> None:
    at.answers[EVENTS] = page()
    ran = beadflow("events")
    assert (ran.code, ran.out, ran.err) == (0, "", "no events\n")


def test_a_stream_goes_on_after_a_cut_from_the_last_number_and_shows_nothing_twice(
    beadflow: Run, at: FakeServer
) -> None:
    at.answers[EVENTS] = problem(503, "Away", code="unavailable")
    at.connections = [
        [[event(5, "log"), event(6, "log")]],
        [[event(6, "log"), event(7, "log")]],
    ]
    ran = beadflow("events", "--watch", "--after", "4", "--topic", "log", "-o", "jsonl")
    asked = [seen.params for seen in at.seen if seen.params.get("limit") is None]
    assert asked[0] == {"topics": "log", "after": "4"}
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["data"]["seq"] for line in lines if "data" in line] == [5, 6, 7]
    assert ran.code == 9
    assert "--after 7" in ran.err
    assert "lost the server" in ran.err


def test_a_page_whose_place_is_lost_says_so(beadflow: Run, at: FakeServer) -> None:
    lost = {"after": 100, "forgotten": 0, "last": 9}
    at.answers[EVENTS] = Answer({"data": [], "next_after": 9, "more": False, "reset": lost})
    assert "the log ends at 9, before 100" in beadflow("events", "--after", "100").err
    assert beadflow("events", "--after", "100", "-o", "json").json["reset"] == lost


def test_a_stream_whose_place_is_lost_goes_on_where_the_log_ends(
    beadflow: Run, at: FakeServer
) -> None:
    at.answers[EVENTS] = problem(503, "Away", code="unavailable")
    lost = {"op": "reset", "after": 100, "forgotten": 0, "last": 9}
    at.connections = [[json.dumps(lost), [event(10, "log")]]]
    ran = beadflow("events", "--watch", "--after", "100", "-o", "jsonl")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["data"]["seq"] for line in lines if "data" in line] == [10]
    assert "the log ends at 9, before 100" in ran.err
    assert "--after 10" in ran.err


def test_a_stream_whose_token_has_ended_goes_on_with_the_next_without_a_word(
    beadflow: Run, at: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_API_KEY", "bf_7k2m9x_secret")
    token = {"access_token": "first", "expires_in": 0}  # it has ended when the stream is closed
    revoked = problem(401, "Unauthorized", code="unauthenticated")
    at.answers["POST /api/v1/auth/token"] = [
        Answer(token),
        Answer({**token, "access_token": "second"}),
        revoked,
    ]
    lapsed = Close(4401)
    at.connections = [[[event(5, "log")], lapsed], [[event(5, "log"), event(6, "log")], lapsed]]
    ran = beadflow("events", "--watch", "--after", "4", "-o", "jsonl")
    shown = [seen.headers["authorization"] for seen in at.seen if seen.method == "GET"]
    assert shown == ["Bearer first", "Bearer second"]
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["data"]["seq"] for line in lines if "data" in line] == [5, 6]
    assert ran.code == 4
    assert "lost the server" not in ran.err


def test_without_a_number_a_stream_begins_after_the_last_event(
    beadflow: Run, at: FakeServer
) -> None:
    away = problem(503, "Away", code="unavailable")
    at.answers[EVENTS] = [page(next_after=10, more=True), page(next_after=12), away, away, away]
    at.connections = [[[event(13, "log")]]]
    ran = beadflow("events", "--watch")
    streams = [seen.params for seen in at.seen if "limit" not in seen.params]
    assert streams[0] == {"after": "12"}
    assert ran.out.startswith("    13 ")


def test_what_the_server_refuses_is_said(beadflow: Run, at: FakeServer) -> None:
    at.answers[EVENTS] = problem(422, "Validation error", code="validation_error", detail="no type")
    ran = beadflow("events", "--watch", "--after", "1", "--topic", "x")
    assert ran.code == 2
    assert "no type" in ran.err


@pytest.mark.parametrize("option", ["--issue", "--agent"])
def test_an_empty_name_does_not_mean_all(beadflow: Run, at: FakeServer, option: str) -> None:
    ran = beadflow("events", option, "")
    assert (ran.code, at.seen) == (2, [])
    assert "leave it out" in ran.err
