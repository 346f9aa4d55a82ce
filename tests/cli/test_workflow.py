import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cli import logs, stream
from cli.exits import ExitCode
from cli.problem import Problem
from storage.errors import StorageError, StoreLocked
from storage.home import DataDir
from tests.cli.fake import Answer, FakeServer, Hold, problem
from tests.cli.run import Run, event, output, workflow

ONE = "/api/v1/workflows/wf-1"
START = "POST /api/v1/workflows"
REPORT = {"markdown": "# Clients\n\n**httpx2** wins.\n", "summary": "httpx2"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_IDLE_S", 0.01)


@pytest.fixture
def at(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, named by the environment."""
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    return server


def finished(server: FakeServer, status: str = "completed", value: Any = REPORT) -> None:
    """A workflow that runs one step and ends."""
    server.answers |= {
        START: Answer(workflow("queued"), status=201),
        f"GET {ONE}": Answer(workflow(status)),
        f"GET {ONE}/results": Answer({"data": [output(value)] if value else []}),
        "GET /api/v1/system": Answer(
            {
                "data_dir": "/repo/.git/beadflow",
                "repo": "/repo",
                "issues_file": "issues.jsonl",
                "issues_ref": "refs/beadflow/issues",
            }
        ),
    }
    steps = [event(1, "step_started", step="collect"), event(2, "step_completed", step="collect")]
    server.connections = [[steps, [event(3, f"workflow_{status}")]]]


# --- start


def test_a_start_sends_what_was_asked_for(beadflow: Run, at: FakeServer) -> None:
    at.answers[START] = Answer(workflow("queued"), status=201)
    ran = beadflow(
        *("workflow", "start", "research", "Compare clients"),
        *("--var", "question=which?", "--var", "limit:=3", "--var", "c=a", "--var", "c=b"),
        *("--priority", "P1", "--agent-type", "research"),
    )
    assert ran.code == 0
    assert at.seen[0].body == {
        "issue_title": "Compare clients",
        "workflow_type": "research",
        "variables": {"question": "which?", "limit": 3, "c": ["a", "b"]},
        "agent_type": "research",
        "priority": 1,
    }


def test_what_was_not_asked_for_is_left_to_the_server(beadflow: Run, at: FakeServer) -> None:
    at.answers[START] = Answer(workflow("queued"), status=201)
    beadflow("workflow", "start", "research", "Compare")
    assert set(at.seen[0].body) == {"issue_title", "workflow_type", "variables"}


def test_two_starts_have_two_idempotency_keys(beadflow: Run, at: FakeServer) -> None:
    at.answers[START] = Answer(workflow("queued"), status=201)
    for _ in range(2):
        beadflow("workflow", "start", "research", "Compare")
    assert len({seen.headers["idempotency-key"] for seen in at.seen}) == 2


def test_a_start_shows_the_workflow_and_how_to_follow_it(beadflow: Run, at: FakeServer) -> None:
    at.answers[START] = Answer(workflow("queued"), status=201)
    ran = beadflow("workflow", "start", "research", "Compare")
    assert "id        wf-1" in ran.out
    assert "issue     bf-7" in ran.out
    assert "beadflow workflow status wf-1 --watch" in ran.err


def test_a_refused_start_names_the_fields(beadflow: Run, at: FakeServer) -> None:
    at.answers[START] = problem(
        422,
        "Invalid variables",
        detail="1 field",
        code="validation",
        hint="see `beadflow workflow types`",
        errors=[{"pointer": "/variables/question", "msg": "is required"}],
    )
    ran = beadflow("workflow", "start", "research", "Compare")
    assert ran.code == 2
    assert ran.err == (
        "error: Invalid variables: 1 field\n"
        "  /variables/question: is required\n"
        "hint: see `beadflow workflow types`\n"
    )


# --- watch


def test_a_watched_start_prints_the_outcome_and_where_it_lies(
    beadflow: Run, at: FakeServer
) -> None:
    finished(at)
    ran = beadflow("workflow", "start", "research", "Compare clients", "--watch")
    assert ran.code == 0
    assert ran.out == (
        "status  completed\n"
        "took    2m05s\n"
        "\n# Clients\n\n**httpx2** wins.\n\n\n"
        "issue       bf-7\n"
        "workflow    wf-1\n"
        "results     beadflow workflow results wf-1\n"
        "repository  /repo\n"
        "issues      issues.jsonl on refs/beadflow/issues\n"
        "data        /repo/.git/beadflow\n"
    )


def test_off_a_terminal_each_event_is_one_line_on_stderr(beadflow: Run, at: FakeServer) -> None:
    finished(at)
    ran = beadflow("workflow", "start", "research", "Compare clients", "--watch")
    assert [line.split()[2] for line in ran.err.splitlines()] == [
        "step_started",
        "step_completed",
        "workflow_completed",
    ]


def test_a_workflow_that_fails_fails_its_watcher(beadflow: Run, at: FakeServer) -> None:
    finished(at, "failed", value=None)
    failed = workflow("failed", error={"code": "agent_error", "message": "no network"})
    at.answers[f"GET {ONE}"] = Answer(failed)
    ran = beadflow("workflow", "status", "wf-1", "--watch")
    assert ran.code == 5
    assert "agent_error: no network" in ran.out


def test_a_watch_in_json_prints_one_object(beadflow: Run, at: FakeServer) -> None:
    finished(at)
    ran = beadflow("workflow", "start", "research", "Compare", "--watch", "-o", "json")
    assert ran.code == 0
    assert ran.json["schema"] == "beadflow.workflow.watch/1"
    assert ran.json["data"]["workflow"]["status"] == "completed"
    assert ran.json["data"]["results"][0]["result_data"] == REPORT
    assert ran.json["data"]["system"]["repo"] == "/repo"


def test_a_server_that_does_not_say_where_it_keeps_data_is_no_failure(
    beadflow: Run, at: FakeServer
) -> None:
    finished(at)
    del at.answers["GET /api/v1/system"]
    ran = beadflow("workflow", "status", "wf-1", "--watch")
    assert ran.code == 0
    assert "data  " not in ran.out


def test_an_interrupted_watch_cancels_nothing_and_says_how_to_come_back(
    beadflow: Run, at: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.answers[f"GET {ONE}"] = Answer(workflow("active"))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.watch.Watch.run", interrupt)
    ran = beadflow("workflow", "status", "wf-1", "--watch")
    assert ran.code == 130
    assert "was not cancelled" in ran.err
    assert "beadflow workflow status wf-1 --watch" in ran.err
    assert {seen.method for seen in at.seen} == {"GET"}


# --- status, list, types


def test_a_status_shows_the_fields_that_have_a_value(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}"] = Answer(workflow("completed"))
    ran = beadflow("workflow", "status", "wf-1")
    assert ran.code == 0
    assert "took      2m05s" in ran.out
    assert "priority  P2" in ran.out
    assert "error" not in ran.out


def test_a_status_says_what_agent_a_workflow_waits_for(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}"] = Answer(workflow(agent_id=None, waits_for_agent="painter"))
    assert "agent     waits for painter" in beadflow("workflow", "status", "wf-1").out


def test_a_status_in_json_is_the_servers_own_object(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}"] = Answer(workflow(new_field=1))
    ran = beadflow("workflow", "status", "wf-1", "-o", "json")
    assert ran.json == {"schema": "beadflow.workflow.status/1", "data": workflow(new_field=1)}


def test_an_unknown_workflow_is_not_found(beadflow: Run, at: FakeServer) -> None:
    ran = beadflow("workflow", "status", "wf-9", "-o", "json")
    assert ran.code == 6
    assert ran.json["error"]["code"] == "not_found"
    assert ran.err == "error: Not found\n"


def test_a_list_is_filtered_by_the_server(beadflow: Run, at: FakeServer) -> None:
    at.answers["GET /api/v1/workflows"] = Answer({"data": [workflow()], "next_cursor": "c-2"})
    ran = beadflow(
        *("workflow", "list", "--status", "active", "--type", "research"),
        *("--limit", "1", "--cursor", "c-1"),
    )
    asked = {"status": "active", "type": "research", "limit": "1", "cursor": "c-1"}
    assert at.seen[0].params == asked
    assert ran.err == "there are more: --cursor c-2\n"


def test_a_list_hands_every_filter_on(beadflow: Run, at: FakeServer) -> None:
    at.answers["GET /api/v1/workflows"] = Answer({"data": [], "next_cursor": "c-2"})
    ran = beadflow(
        *("workflow", "list", "--status", "active, paused", "--agent", "a-1", "--agent-type", "a"),
        *("--priority", "P1", "--issue", "x-1", "--title", "Up"),
        *("--created-after", "2026-01-02T03:04:05Z", "--created-before", "2026-02-02T03:04:05Z"),
    )
    assert at.seen[0].params == {
        "status": "active,paused",
        "agent_id": "a-1",
        "agent_type": "a",
        "priority": "1",
        "issue": "x-1",
        "created_after": "2026-01-02T03:04:05Z",
        "created_before": "2026-02-02T03:04:05Z",
        "q": "Up",
        "limit": "50",
    }
    assert ran.err == "none among the newest of them\nthere are more: --cursor c-2\n"


def test_a_state_that_there_is_not_is_a_wrong_use(beadflow: Run, at: FakeServer) -> None:
    ran = beadflow("workflow", "list", "--status", "active,done")
    assert ran.code == 2
    assert "dead_letter" in ran.err
    assert at.seen == []


def test_a_list_in_a_pipe_cuts_nothing(beadflow: Run, at: FakeServer) -> None:
    long = workflow(id="wf-" + "1" * 60, title="x" * 200)
    at.answers["GET /api/v1/workflows"] = Answer({"data": [long]})
    ran = beadflow("workflow", "list")
    assert "wf-" + "1" * 60 in ran.out
    assert "x" * 200 in ran.out
    assert len(ran.out.splitlines()) == 2


def test_a_list_in_json_carries_its_cursor(beadflow: Run, at: FakeServer) -> None:
    at.answers["GET /api/v1/workflows"] = Answer({"data": [workflow()], "next_cursor": "c-2"})
    answer = beadflow("workflow", "list", "-o", "json").json
    assert answer["schema"] == "beadflow.workflow.list/1"
    assert answer["next_cursor"] == "c-2"


def test_an_empty_list_is_no_failure(beadflow: Run, at: FakeServer) -> None:
    at.answers["GET /api/v1/workflows"] = Answer({"data": [], "next_cursor": None})
    ran = beadflow("workflow", "list")
    assert (ran.code, ran.out, ran.err) == (0, "", "no workflows\n")


def test_types_show_their_variables(beadflow: Run, at: FakeServer) -> None:
    schema = {"properties": {"question": {}, "limit": {}}, "required": ["question"]}
    kind = {"name": "research", "version": "1", "description": "Compares", "variables": schema}
    at.answers["GET /api/v1/workflows/types"] = Answer({"data": [{**kind, "agent_type": None}]})
    assert "question* limit" in beadflow("workflow", "types").out


def test_types_show_whom_they_may_be_handed_to(beadflow: Run, at: FakeServer) -> None:
    kind = {"name": "digs", "version": 1, "agent_type": "digger", "agents": ["digger", "painter"]}
    at.answers["GET /api/v1/workflows/types"] = Answer({"data": [kind]})
    assert "digger painter" in beadflow("workflow", "types").out


def test_what_the_code_of_a_type_must_not_do_is_said_below(beadflow: Run, at: FakeServer) -> None:
    warning = {
        "rule": "wait",
        "what": "time.sleep",
        "why": "it blocks",
        "instead": "`ctx.sleep(...)`",
        "file": "/flows.py",
        "line": 7,
    }
    kind = {"name": "research", "version": 1, "description": "", "warnings": [warning]}
    at.answers["GET /api/v1/workflows/types"] = Answer({"data": [kind]})
    ran = beadflow("workflow", "types")
    assert ran.err == (
        "warning: research: /flows.py:7: time.sleep (wait): it blocks; instead: `ctx.sleep(...)`\n"
    )
    assert "time.sleep" not in ran.out
    assert beadflow("workflow", "types", "-o", "json").json["data"] == [kind]


def test_a_list_takes_moments_before_now(beadflow: Run, at: FakeServer) -> None:
    at.answers["GET /api/v1/workflows"] = Answer({"data": []})
    assert beadflow("workflow", "list", "--created-after", "-1d").code == 0
    assert datetime.fromisoformat(at.seen[0].params["created_after"]) < datetime.now(UTC)


@pytest.mark.parametrize(
    "option", ["--status", "--type", "--agent", "--agent-type", "--issue", "--title"]
)
def test_an_empty_option_of_a_list_is_a_wrong_use(
    beadflow: Run, at: FakeServer, option: str
) -> None:
    ran = beadflow("workflow", "list", option, "")
    assert (ran.code, at.seen) == (2, [])
    assert f"{option} is empty" in ran.err


# --- results


def test_results_of_one_workflow_take_no_limit(beadflow: Run, at: FakeServer) -> None:
    ran = beadflow("workflow", "results", "wf-1", "--limit", "5")
    assert (ran.code, at.seen) == (2, [])
    assert "--limit is for --all only" in ran.err


def test_no_results_are_told_of(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}"] = Answer(workflow("completed"))
    at.answers[f"GET {ONE}/results"] = Answer({"data": []})
    ran = beadflow("workflow", "results", "wf-1")
    assert (ran.code, ran.out, ran.err) == (0, "", "no results\n")


def test_results_are_chosen_by_moments_as_people_write_them(beadflow: Run, at: FakeServer) -> None:
    at.answers["GET /api/v1/results"] = Answer({"data": []})
    beadflow("workflow", "results", "--all", "--since", "-2h", "--until", "tomorrow")
    since, until = (datetime.fromisoformat(at.seen[0].params[name]) for name in ("since", "until"))
    assert since < datetime.now(UTC) < until
    ran = beadflow("workflow", "results", "--all", "--since", "x")
    assert ran.code == 2
    assert "--since is no moment" in ran.err


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (REPORT, "# Clients\n\n**httpx2** wins.\n\n"),
        ("plain\ntext", "plain\ntext\n"),
        ({"answer": 42}, '{\n  "answer": 42\n}\n'),
        (None, ""),
    ],
)
def test_the_final_value_is_printed_as_what_it_is(
    beadflow: Run, at: FakeServer, value: Any, printed: str
) -> None:
    at.answers[f"GET {ONE}"] = Answer(workflow("completed"))
    at.answers[f"GET {ONE}/results"] = Answer({"data": [output(value)]})
    ran = beadflow("workflow", "results", "wf-1")
    assert (ran.code, ran.out, ran.err) == (0, printed, "")


@pytest.mark.parametrize(("status", "code"), [("active", 8), ("failed", 5), ("completed", 0)])
def test_the_exit_code_of_results_tells_whether_that_is_all(
    beadflow: Run, at: FakeServer, status: str, code: int
) -> None:
    step = {**output({"n": 1}), "result_type": "evidence", "step": "collect"}
    at.answers[f"GET {ONE}"] = Answer(workflow(status))
    at.answers[f"GET {ONE}/results"] = Answer({"data": [step]})
    ran = beadflow("workflow", "results", "wf-1")
    assert ran.code == code
    assert "collect  evidence  research-1  0.90" in ran.out


def test_results_in_json_say_how_far_the_workflow_is(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}"] = Answer(workflow("active"))
    at.answers[f"GET {ONE}/results"] = Answer({"data": []})
    ran = beadflow("workflow", "results", "wf-1", "-o", "json")
    assert ran.code == 8
    assert ran.json == {"schema": "beadflow.workflow.results/1", "data": [], "status": "active"}


def test_a_report_cannot_steer_the_terminal(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}"] = Answer(workflow("completed"))
    at.answers[f"GET {ONE}/results"] = Answer({"data": [output({"markdown": "a\x1b]0;x\x07"})]})
    assert beadflow("workflow", "results", "wf-1").out == "a\\x1b]0;x\\x07\n"


# --- logs


def line(seq: int, message: str) -> dict[str, Any]:
    at = "2025-03-01T10:00:00Z"
    return {"seq": seq, "at": at, "level": "info", "source": "agent", "message": message}


def test_a_log_is_read_page_by_page(
    beadflow: Run, at: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_PAGE", 2)
    at.answers[f"GET {ONE}/logs"] = [
        Answer({"data": [line(1, "a"), line(2, "b")], "next_after": 2}),
        Answer({"data": [line(3, "c\x1b")], "next_after": 3}),
    ]
    ran = beadflow("workflow", "logs", "wf-1")
    assert ran.out.splitlines()[-1] == r"2025-03-01 10:00:00Z info    agent: c\x1b"
    assert [seen.params["after"] for seen in at.seen] == ["0", "2"]


def test_a_followed_log_ends_with_its_workflow(
    beadflow: Run, at: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_POLL_S", 0)
    at.answers[f"GET {ONE}"] = [Answer(workflow("active")), Answer(workflow("failed"))]
    at.answers[f"GET {ONE}/logs"] = [
        Answer({"data": [line(1, "a")]}),
        Answer({"data": [line(2, "b")]}),
    ]
    ran = beadflow("workflow", "logs", "wf-1", "--follow", "-o", "json")
    assert ran.code == 0
    assert [row.count('"beadflow.workflow.log/1"') for row in ran.out.splitlines()] == [1, 1]


AWAY = problem(503, "Away", code="unavailable", retryable=True)


def test_a_followed_log_goes_on_after_the_last_line_when_the_server_is_back(
    beadflow: Run, at: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_POLL_S", 0)
    monkeypatch.setattr(logs, "_PAGE", 1)
    active, done = Answer(workflow("active")), Answer(workflow("completed"))
    at.answers[f"GET {ONE}"] = [active, AWAY, AWAY, AWAY, active, AWAY, done]
    pages = [[line(1, "a")], [], AWAY, [line(2, "b")], []]
    at.answers[f"GET {ONE}/logs"] = [
        page if isinstance(page, Answer) else Answer({"data": page}) for page in pages
    ]
    ran = beadflow("workflow", "logs", "wf-1", "--follow")
    assert ran.code == 0
    assert [row[-1] for row in ran.out.splitlines()] == ["a", "b"]
    assert ran.err.count("lost the server") == 1
    asked = [seen.params["after"] for seen in at.requests("GET", f"{ONE}/logs")]
    assert asked == ["0", "1", "1", "1", "2"]


def test_a_followed_log_whose_server_stays_away_ends_with_9(
    beadflow: Run, at: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_POLL_S", 0)
    monkeypatch.setattr(logs, "_PATIENCE_S", 0)
    at.answers[f"GET {ONE}"] = [Answer(workflow("active")), AWAY]
    at.answers[f"GET {ONE}/logs"] = Answer({"data": []})
    ran = beadflow("workflow", "logs", "wf-1", "--follow")
    assert ran.code == 9
    assert "lost the server" in ran.err
    assert "follow it again" in ran.err


def test_only_a_server_that_was_there_is_waited_for(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}"] = AWAY
    ran = beadflow("workflow", "logs", "wf-1", "--follow")
    assert ran.code == 9
    assert "lost the server" not in ran.err
    assert len(at.seen) == 1


def test_a_log_in_json_is_one_envelope(beadflow: Run, at: FakeServer) -> None:
    at.answers[f"GET {ONE}/logs"] = Answer({"data": [line(1, "a")]})
    assert beadflow("workflow", "logs", "wf-1", "-o", "json").json["data"] == [line(1, "a")]


# --- discovery


def test_a_named_server_wins_over_the_environment(
    beadflow: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_URL", "http://127.0.0.1:1")
    server.answers["GET /api/v1/workflows"] = Answer({"data": []})
    assert beadflow("workflow", "list", "--url", server.url).code == 0


def test_the_holder_of_the_data_directory_is_asked(
    beadflow: Run, server: FakeServer, tmp_path: Path
) -> None:
    server.answers["GET /api/v1/workflows"] = Answer({"data": []})
    with DataDir.resolve(data_dir=tmp_path / "data") as held:
        held.announce(server.url)
        assert beadflow("workflow", "list", "--data-dir", str(held.path)).code == 0
    assert len(server.seen) == 1


def test_a_holder_that_serves_nobody_keeps_nobody_from_reading(
    beadflow: Run, tmp_path: Path
) -> None:
    with DataDir.resolve(data_dir=tmp_path / "data") as held:
        ran = beadflow("workflow", "list", "--data-dir", str(held.path), "-o", "json")
    assert (ran.code, ran.json["data"]) == (0, [])


def test_a_holder_that_serves_nobody_refuses_a_start_of_its_own_and_is_named(
    beadflow: Run, tmp_path: Path
) -> None:
    with DataDir.resolve(data_dir=tmp_path / "data") as held:
        at = ("--data-dir", str(held.path))
        ran = beadflow("workflow", "start", "research", "T", "--watch", *at)
    assert ran.code == 7
    assert str(os.getpid()) in ran.err


def test_an_argument_that_is_no_text_is_a_wrong_use(beadflow: Run) -> None:
    ran = beadflow("workflow", "start", "research", "\udcff\udcfe")
    assert ran.code == 2
    assert "no text" in ran.err


def test_a_damaged_database_is_said_in_words(beadflow: Run, tmp_path: Path) -> None:
    (tmp_path / "coordination.db").write_bytes(b"SQLite format 3\0" + b"\1" * 4096)
    ran = beadflow("workflow", "list", "--data-dir", str(tmp_path))
    assert ran.code == 1
    assert "error: " in ran.err


@pytest.mark.parametrize(
    "argv",
    [
        ["workflow", "start", "research", "Compare"],
        ["workflow", "status", "wf-1", "--watch"],
        ["workflow", "logs", "wf-1", "--follow"],
    ],
)
def test_with_nobody_serving_what_needs_an_engine_is_refused(
    beadflow: Run, argv: list[str]
) -> None:
    ran = beadflow(*argv)
    assert ran.code == 9
    assert "beadflow up" in ran.err


# --- in this process


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("cli.embedded")
    monkeypatch.setitem(sys.modules, "cli.embedded", module)
    return module


def test_with_nobody_serving_reads_are_answered_from_the_stores(
    beadflow: Run, embedded: ModuleType, tmp_path: Path
) -> None:
    asked: list[Any] = []

    def read(path: str, params: dict[str, Any], **where: Any) -> dict[str, Any]:
        asked.append((path, params, where))
        return {"data": [workflow()]}

    vars(embedded)["read"] = read
    assert "wf-1" in beadflow("workflow", "list", "--status", "active").out
    here = {"repo": tmp_path, "data_dir": None}
    assert asked == [("/api/v1/workflows", {"status": "active", "limit": 50}, here)]


def test_with_nobody_serving_a_watched_start_runs_here(
    beadflow: Run, embedded: ModuleType, server: FakeServer, tmp_path: Path
) -> None:
    finished(server)
    given: dict[str, Any] = {}

    def start_and_watch(request: Any, *, watch: Callable[[str], int], **where: Any) -> int:
        given.update(where, request=request)
        return watch(server.url)

    vars(embedded)["start_and_watch"] = start_and_watch
    ran = beadflow("workflow", "start", "research", "Compare", "--watch", "--config", "b.toml")
    assert ran.code == 0
    assert "**httpx2** wins." in ran.out
    assert server.seen[0].body == given.pop("request")
    assert given == {"repo": tmp_path, "data_dir": None, "config": Path("b.toml")}


def test_a_run_in_this_process_is_detached_from_outside(
    beadflow: Run, embedded: ModuleType, server: FakeServer
) -> None:
    finished(server)
    server.answers[f"GET {ONE}"] = Answer(workflow("active"))

    def start_and_watch(request: Any, *, watch: Any, **where: Any) -> int:
        server.connections = [[watch.detach, Hold()]]
        return int(watch(server.url))

    vars(embedded)["start_and_watch"] = start_and_watch
    ran = beadflow("workflow", "start", "research", "Compare", "--watch")
    assert ran.code == 130
    assert "as soon as a server runs" in ran.err


def test_a_refusal_inside_this_process_is_printed_and_not_raised(
    beadflow: Run, embedded: ModuleType, server: FakeServer
) -> None:
    server.answers[START] = problem(422, "Unknown type", code="validation")

    def start_and_watch(request: Any, *, watch: Callable[[str], int], **where: Any) -> int:
        return watch(server.url)

    vars(embedded)["start_and_watch"] = start_and_watch
    ran = beadflow("workflow", "start", "unknown", "Compare", "--watch")
    assert ran.code == 2
    assert "Unknown type" in ran.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Problem("Not found", code="not_found", exit_code=ExitCode.NOT_FOUND), 6, "not_found"),
        (StoreLocked(Path("lock"), pid=7, host="h", since="now"), 7, "store_locked"),
        (StorageError("beads.db is not readable"), 1, "storage"),
        (PermissionError(13, "Permission denied", "/data"), 1, "system"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_goes_wrong_in_this_process_is_told_like_any_refusal(
    beadflow: Run, embedded: ModuleType, error: Exception, code: int, said: str
) -> None:
    def read(*_: Any, **__: Any) -> dict[str, Any]:
        raise error

    vars(embedded)["read"] = read
    ran = beadflow("workflow", "status", "wf-1", "-o", "json")
    assert ran.code == code
    assert ran.json["error"]["code"] == said
    assert ran.err.startswith("error: ")
