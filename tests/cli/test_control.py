"""What steers a workflow from the command line, and its history."""

from typing import Any

import pytest

from cli import history
from cli.records import history_event
from tests.cli.fake import Answer, FakeServer, problem
from tests.cli.run import Run, workflow

ONE = "/api/v1/workflows/wf-1"
VERBS = ("signal", "query", "pause", "resume", "cancel", "terminate", "retry")
NAMED = {"signal": ["go"], "query": ["said"]}


@pytest.fixture
def at(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, named by the environment."""
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    return server


def command(verb: str, *more: str) -> tuple[str, ...]:
    return ("workflow", verb, "wf-1", *NAMED.get(verb, []), *more)


@pytest.mark.parametrize(
    ("argv", "body"),
    [
        (("signal", "wf-1", "go"), {"name": "go", "value": None}),
        (
            ("signal", "wf-1", "go", "--value", '{"a": [1]}', "--message-id", "m"),
            {"name": "go", "value": {"a": [1]}, "message_id": "m"},
        ),
        (("pause", "wf-1"), {}),
        (("pause", "wf-1", "--reason", "lunch"), {"reason": "lunch"}),
        (("resume", "wf-1"), {}),
        (("cancel", "wf-1", "--reason", ""), {"reason": ""}),
        (("terminate", "wf-1", "--reason", "now"), {"reason": "now"}),
        (("retry", "wf-1", "--actor", "ann"), {"author": "ann"}),
    ],
)
def test_a_request_sends_what_was_asked_for_and_shows_the_workflow(
    beadflow: Run, at: FakeServer, argv: tuple[str, ...], body: dict[str, Any]
) -> None:
    at.answers[f"POST {ONE}/{argv[0]}"] = Answer(workflow("paused"))
    ran = beadflow("workflow", *argv)
    assert (ran.code, ran.err) == (0, "")
    assert "status    paused" in ran.out
    assert at.seen[0].body == body
    assert at.seen[0].headers["idempotency-key"]


@pytest.mark.parametrize("verb", ["signal", "pause", "resume", "cancel", "terminate", "retry"])
def test_a_request_in_json_answers_the_servers_own_object(
    beadflow: Run, at: FakeServer, verb: str
) -> None:
    at.answers[f"POST {ONE}/{verb}"] = Answer(workflow("active", newer="field"))
    ran = beadflow(*command(verb, "-o", "json"))
    assert ran.json["schema"] == f"beadflow.workflow.{verb}/1"
    assert ran.json["data"]["newer"] == "field"


@pytest.mark.parametrize(
    ("result", "printed"),
    [("a text", "a text\n"), ({"n": 1}, '{\n  "n": 1\n}\n'), (None, "null\n"), (7, "7\n")],
)
def test_a_query_prints_its_answer(
    beadflow: Run, at: FakeServer, result: Any, printed: str
) -> None:
    at.answers[f"POST {ONE}/query"] = Answer({"result": result})
    ran = beadflow("workflow", "query", "wf-1", "said", "--argument", "[1]")
    assert (ran.code, ran.out) == (0, printed)
    assert at.seen[0].body == {"name": "said", "argument": [1]}
    ran = beadflow("workflow", "query", "wf-1", "said", "-o", "json")
    assert ran.json == {"schema": "beadflow.workflow.query/1", "data": result}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("status", "code"), [(404, 6), (409, 7), (422, 2), (503, 9)], ids=["none", "no", "bad", "busy"]
)
def test_a_refusal_is_told_with_its_exit_code(
    beadflow: Run, at: FakeServer, verb: str, status: int, code: int
) -> None:
    at.answers[f"POST {ONE}/{verb}"] = problem(
        status, "Refused", detail="workflow wf-1 is completed", code="c", hint="start a new one"
    )
    ran = beadflow(*command(verb))
    assert (ran.code, ran.out) == (code, "")
    assert ran.err == "error: Refused: workflow wf-1 is completed\nhint: start a new one\n"


def test_a_query_that_failed_is_no_conflict(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"POST {ONE}/query"] = problem(409, "query 'said' failed", code="query_failed")
    assert beadflow("workflow", "query", "wf-1", "said").code == 1


@pytest.mark.parametrize("verb", VERBS)
def test_with_nobody_serving_nothing_is_steered(beadflow: Run, verb: str) -> None:
    ran = beadflow(*command(verb))
    assert (ran.code, ran.out) == (9, "")
    assert "beadflow up" in ran.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["signal", "wf-1", "go", "--value", "text"], "--value '\"text\"'"),
        (["signal", "wf-1", "go", "--value", "NaN"], "not JSON"),
        (["signal", "wf-1", "go", "--value", "[" * 100_000], "not JSON"),
        (["query", "wf-1", "said", "--argument", "{"], "--argument"),
        (["cancel", "../../health/live"], "no workflow id"),
        (["signal", "wf-1"], "NAME"),
    ],
)
def test_a_wrong_use_is_told_and_nothing_is_sent(
    beadflow: Run, at: FakeServer, argv: list[str], said: str
) -> None:
    ran = beadflow("workflow", *argv)
    assert ran.code == 2
    assert said in ran.err
    assert at.seen == []


def test_a_child_names_its_parent(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}"] = Answer(workflow("active", parent_id="wf-0"))
    assert "parent    wf-0" in beadflow("workflow", "status", "wf-1").out


def test_a_start_may_choose_its_id(beadflow: Run, at: FakeServer) -> None:
    at.answers["POST /api/v1/workflows"] = Answer(workflow("queued"), status=201)
    assert beadflow("workflow", "start", "research", "T", "--id", "mine~1").code == 0
    assert at.seen[0].body["workflow_id"] == "mine~1"


# --- the history


def event(seq: int, kind: str, at: str = "00", **fields: Any) -> dict[str, Any]:
    usual = {"op": "", "name": "", "at": f"2025-03-01T10:00:{at}Z", "payload": None}
    return {"seq": seq, "kind": kind, **usual, **fields}


EVENTS = [
    event(1, "workflow_started", name="research", payload={"agent_id": "r-1"}),
    event(2, "activity_completed", "02", op="1", name="dig", payload={"result": {"a": "ü"}}),
    event(3, "activity_failed", "12", op="2", name="dig", payload={"code": "c", "message": "m"}),
    event(4, "timer_started", "12", op="3", payload={"fire_at": "2025-03-01T11:00:00Z"}),
    event(5, "workflow_cancelled", "59", name="research", payload={"reason": "no\nneed"}),
]


def pages(at: FakeServer, *found: list[dict[str, Any]]) -> None:
    answers = [
        Answer({"data": page, "next_after": page[-1]["seq"] if page is not found[-1] else None})
        for page in found
    ]
    at.answers[f"GET {ONE}/history"] = answers


def test_a_history_is_a_timeline(beadflow: Run, at: FakeServer) -> None:
    pages(at, EVENTS[:2], EVENTS[2:4], EVENTS[4:])
    ran = beadflow("workflow", "history", "wf-1")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "   +0.0s     1  workflow_started          research r-1",
        '   +2.0s     2  activity_completed        1 dig → {"a": "ü"}',
        "    +12s     3  activity_failed           2 dig c: m",
        "    +12s     4  timer_started             3 until 2025-03-01 11:00:00Z",
        "    +59s     5  workflow_cancelled        research no need",
    ]
    assert [seen.params["after"] for seen in at.seen] == ["0", "2", "4"]


def test_a_history_in_json_is_whole(beadflow: Run, at: FakeServer) -> None:
    pages(at, EVENTS[:2], EVENTS[2:])
    ran = beadflow("workflow", "history", "wf-1", "-o", "json")
    assert ran.json == {"schema": "beadflow.workflow.history/1", "data": EVENTS}


def test_a_long_result_is_cut_in_the_timeline(beadflow: Run, at: FakeServer) -> None:
    pages(at, [event(1, "activity_completed", payload={"result": "x" * 500})])
    (line,) = beadflow("workflow", "history", "wf-1").out.splitlines()
    assert line.endswith("x…")
    assert len(line) < 120


def test_a_history_cannot_steer_the_terminal(beadflow: Run, at: FakeServer) -> None:
    pages(at, [event(1, "side_effect_recorded", name="\x1b[2J", payload={"reason": "\x07"})])
    assert beadflow("workflow", "history", "wf-1").out.isascii()


@pytest.mark.parametrize(
    "payload", [None, 7, [1], {"result": None}, {"attempt": 2, "next_at": "soon"}]
)
def test_any_payload_is_one_line(beadflow: Run, at: FakeServer, payload: Any) -> None:
    pages(at, [event(1, "volcano_erupted", payload=payload)])
    ran = beadflow("workflow", "history", "wf-1")
    assert (ran.code, len(ran.out.splitlines())) == (0, 1)


def test_an_unreadable_history_is_told(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}/history"] = Answer({"data": [{"seq": 1}], "next_after": None})
    ran = beadflow("workflow", "history", "wf-1")
    assert ran.code == 1
    assert "kind" in ran.err


def test_a_line_without_a_time_that_can_be_read_is_shown() -> None:
    raw = event(1, "workflow_started") | {"at": "once"}
    assert "workflow_started" in history.line(history_event(raw), None)


def test_an_update_sends_what_was_asked_for(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"PUT {ONE}"] = Answer(workflow("paused"))
    ran = beadflow(
        *("workflow", "update", "wf-1", "--title", "T", "-p", "P0"),
        *("--status", "paused", "--reason", "r"),
    )
    assert (ran.code, ran.err) == (0, "")
    (seen,) = at.seen
    assert seen.body == {"title": "T", "priority": 0, "status": "paused", "reason": "r"}
    assert "idempotency-key" in seen.headers
    assert "if-match" not in seen.headers


def test_an_update_of_one_variable_keeps_the_others(beadflow: Run, at: FakeServer) -> None:
    before = workflow("queued", variables={"a": 1, "b": 2}, updated_at="2026-01-01T00:00:00Z")
    at.answers[f"GET {ONE}"] = Answer(before)
    at.answers[f"PUT {ONE}"] = Answer(before)
    assert beadflow("workflow", "update", "wf-1", "--var", "b:=3", "--var", "c=x").code == 0
    assert at.seen[1].body == {"variables": {"a": 1, "b": 3, "c": "x"}}
    assert at.seen[1].headers["if-match"] == '"2026-01-01T00:00:00Z"'


def test_an_update_of_nothing_is_a_wrong_use(beadflow: Run, at: FakeServer) -> None:
    assert beadflow("workflow", "update", "wf-1").code == 2
    assert at.seen == []


def test_a_result_by_hand_is_json(beadflow: Run, at: FakeServer) -> None:
    asked = ("workflow", "update", "wf-1", "--status", "completed", "--result")
    assert beadflow(*asked, "done").code == 2
    assert at.seen == []
    at.answers[f"PUT {ONE}"] = Answer(workflow("completed"))
    assert beadflow(*asked, '{"a": 1}').code == 0
    assert at.seen[0].body == {"status": "completed", "result": {"a": 1}}
