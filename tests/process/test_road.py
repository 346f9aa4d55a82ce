"""The whole road: the installed command, a real server, three databases, Git, and back."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.actors.agents.research.index import LocalIndex
from tests.support.server import Server, run

pytestmark = pytest.mark.process

QUESTION = "Which SQLite client should this project use?"


def test_the_command_line_starts_a_workflow_on_the_server_and_git_shows_its_issue(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "gate").touch()
    with server:
        started = run(
            *("-o", "json", "workflow", "start", "three_steps", "Count to three", "--watch"),
            *("--var", f"ledger={tmp_path / 'ledger'}", "--var", f"gate={tmp_path / 'gate'}"),
            cwd=server.repo,
            WORKFLOW_URL=server.url,
        )
        assert started.returncode == 0, started.stderr
        shown = json.loads(started.stdout)["data"]
        workflow = shown.get("workflow", shown)
        issue = _only_issue(server.repo)
        status = run("workflow", "status", workflow["id"], cwd=server.repo)
        assert "completed" in status.stdout
        assert "Count to three" in run("workflow", "list", cwd=server.repo).stdout
        assert (
            "step 3 third completed"
            in run("workflow", "logs", workflow["id"], cwd=server.repo).stdout
        )
        results = run("-o", "json", "workflow", "results", workflow["id"], cwd=server.repo)
        assert [r["result_data"] for r in json.loads(results.stdout)["data"]][:3] == [
            "one",
            "two",
            "three",
        ]
    assert issue["id"] == workflow["beads_issue_id"]
    assert (issue["status"], issue["close_reason"]) == ("closed", "Completed")
    assert issue["metadata"]["beadflow"]["workflow_id"] == workflow["id"]
    assert _recorded(server.repo) == [issue]
    assert _git(server.repo, "status", "--porcelain") == ""
    assert _git(server.repo, "log", "--format=%s") == "first\n"


def test_a_workflow_is_steered_from_the_command_line(server: Server, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"

    def told(*argv: str) -> Any:
        ran = run("-o", "json", "workflow", *argv, cwd=server.repo)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)["data"]

    with server:
        for chosen in ("one", "two", "three"):
            told("start", "steered", "A title", "--id", chosen, "--var", f"ledger={ledger}")
        told("signal", "one", "thing", "--value", '{"n": 1}', "--message-id", "first")
        told("signal", "one", "thing", "--value", '{"n": 1}', "--message-id", "first")
        assert told("pause", "one", "--reason", "lunch")["status"] == "paused"
        closed = run("workflow", "query", "one", "taken", cwd=server.repo)
        assert (closed.returncode, "paused" in closed.stderr) == (7, True)
        assert told("resume", "one")["status"] == "active"
        assert told("query", "one", "taken") == [{"n": 1}]
        told("signal", "one", "thing", "--value", "2")
        assert server.ended("one")["status"] == "completed"
        assert told("query", "two", "taken") == []
        told("cancel", "two", "--reason", "not needed")
        assert server.ended("two")["status"] == "cancelled"
        assert told("terminate", "three")["status"] == "terminated"
        refused = run("workflow", "cancel", "one", cwd=server.repo)
        assert (refused.returncode, "is completed" in refused.stderr) == (7, True)
        assert run("workflow", "signal", "four", "thing", cwd=server.repo).returncode == 6
        shown = run("workflow", "history", "two", cwd=server.repo).stdout
    assert ledger.read_text() == "put away\n"
    # with nobody serving, the history is read from the stores
    assert run("workflow", "history", "two", cwd=server.repo).stdout == shown
    assert [line.split()[2] for line in shown.splitlines()] == [
        "workflow_started",
        "workflow_cancel_requested",
        "operation_cancelled",
        "activity_completed",
        "workflow_cancelled",
    ]
    issues = {i["metadata"]["beadflow"]["workflow_id"]: i for i in _issues(server.repo)}
    reasons = {workflow_id: issue["close_reason"] for workflow_id, issue in issues.items()}
    assert reasons == {
        "one": "Completed",
        "two": "Cancelled: requested",
        "three": "Cancelled: terminated",
    }
    assert [comment["text"] for comment in issues["two"]["comments"]] == ["not needed"]


def test_the_file_shows_the_end_within_a_second_of_the_answer_that_says_so(
    server: Server, tmp_path: Path
) -> None:
    with server:
        variables = {"ledger": str(tmp_path / "ledger")}
        started = server.post(issue_title="Quick", workflow_type="quick_steps", variables=variables)
        ended = server.ended(started["id"])
        assert ended["status"] == "completed"
        server.within(1.0, lambda: _only_issue(server.repo)["status"] == "closed")


def test_without_a_server_a_watched_start_runs_the_workflow_here_and_reads_need_no_lock(
    repo: Path, index: LocalIndex
) -> None:
    for name in ("alpha", "beta"):
        index.add(name, "1.0")
    (repo / "requirements.txt").write_text("alpha\n")
    (repo / "app.py").write_text("import alpha\n")
    subprocess.run(["git", "add", "."], cwd=repo, check=True)
    for _ in range(2):
        started = run(
            *(
                "workflow",
                "start",
                "research",
                QUESTION,
                "--watch",
                "--var",
                f"question={QUESTION}",
            ),
            *("--var", "candidates=alpha,beta"),
            cwd=repo,
            **index.environ(),
        )
        assert started.returncode == 0, started.stderr
        assert "## Ranking" in started.stdout
    listed = json.loads(run("-o", "json", "workflow", "list", cwd=repo).stdout)["data"]
    assert [w["status"] for w in listed] == ["completed", "completed"]
    report = run("workflow", "results", listed[0]["id"], cwd=repo)
    assert report.stdout.startswith(f"# {QUESTION}")
    assert len(_issues(repo)) == 2


def test_a_second_server_on_the_same_data_is_refused_with_the_holder_named(server: Server) -> None:
    with server:
        assert server.process is not None
        refused = run("up", "--port", "0", "--metrics-port", "0", cwd=server.repo)
        assert refused.returncode == 7
        assert str(server.process.pid) in refused.stderr


def test_a_server_that_is_asked_to_stop_ends_with_zero_and_lets_go_of_its_data(
    server: Server,
) -> None:
    server.start()
    assert server.stop() == 0
    server.start()
    assert server.stop() == 0


def test_a_host_that_is_not_loopback_is_refused(repo: Path) -> None:
    refused = run("up", "--host", "0.0.0.0", "--port", "0", cwd=repo)
    assert refused.returncode == 4
    assert "loopback" in refused.stderr


def _issues(repo: Path) -> list[dict[str, Any]]:
    lines = (repo / ".beads" / "issues.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _only_issue(repo: Path) -> dict[str, Any]:
    (issue,) = _issues(repo)
    return issue


def _recorded(repo: Path) -> list[dict[str, Any]]:
    text = _git(repo, "show", "refs/beadflow/issues:issues.jsonl")
    return [json.loads(line) for line in text.splitlines()]


def _git(repo: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=repo, check=True, capture_output=True, text=True)
    return done.stdout
