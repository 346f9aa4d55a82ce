"""The command agent in a real server that is killed: nothing is left running, nothing is lost."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_cli import FakeCli, begun, committed, ended, limited, said
from tests.support.server import Server, run

pytestmark = pytest.mark.process


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCli:
    """Found by the name that the agent's usual preset has."""
    place = tmp_path / "bin"
    place.mkdir()
    cli = FakeCli(place, "claude")
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_CLI", cli.variable)
    return cli


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "beadflow.toml"
    path.write_text('[agents]\ncommands = ["claude", "sh"]\nenvironment = ["FAKE_CLI"]\n')
    return path


def start(server: Server, **variables: Any) -> str:
    body = {"issue_title": "Work", "workflow_type": "command", "variables": variables}
    return str(server.post(**body)["id"])


def result(server: Server, workflow_id: str) -> dict[str, Any]:
    ended = server.ended(workflow_id)
    assert ended["status"] == "completed", ended
    results = server.get(f"/api/v1/workflows/{workflow_id}/results")["data"]
    (output,) = (each for each in results if each["result_type"] == "output")
    return dict(output["result_data"])


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def kill_in_turn(server: Server, mark: Path) -> None:
    """Kill the server while the program works, and see that it ends, too."""
    server.within(20.0, lambda: mark.exists() and bool(mark.read_text()))
    pid = int(mark.read_text())
    server.kill()
    server.within(10.0, lambda: is_gone(pid))


def test_work_goes_on_after_a_limit_and_two_kills_of_the_server(
    server: Server, cli: FakeCli, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    cli.plays(
        [*begun("s-1"), *limited(1_700_000_000)],
        [*begun("s-2"), said("I work.", "s-2"), {"hang": str(mark)}],
        [*begun("s-3"), *committed("Work"), *ended("Well done.")],
    )
    server.start()
    workflow_id = start(server, prompt="Do it.", tests="sh -c 'test -e work.txt'")
    server.until(workflow_id, lambda event: event.type == "timer_started")
    server.kill()
    server.start()
    server.until(workflow_id, lambda event: event.data.get("message") == "I work.")
    kill_in_turn(server, mark)
    server.start()
    report = result(server, workflow_id)
    branch = subprocess.run(
        ["git", "log", "--format=%s", f"main..{report['branch']}"],
        cwd=server.repo, check=True, capture_output=True, text=True,
    )  # fmt: skip
    server.stop()
    assert (report["status"], report["text"], report["session"]) == ("done", "Well done.", "s-3")
    assert [check["passed"] for check in report["checklist"]] == [True] * 4
    assert not list(server.repo.glob(".git/beadflow/workspace/worktrees/*/work.txt"))
    assert (report["turns"], report["usage"]["cost_usd"]) == (2, 0.5)
    assert branch.stdout == "Work\n"
    assert [call["argv"][-2:] for call in cli.calls[1:]] == [
        ["--resume", "s-1"],
        ["--resume", "s-2"],
    ]
    assert cli.calls[1]["prompt"] == "Go on where you stopped."
    assert cli.calls[2]["prompt"].startswith("You were cut off")


def test_it_is_used_over_http_and_from_the_command_line(server: Server, cli: FakeCli) -> None:
    with server:
        with server.client() as client:
            body = {"issue_title": "Work", "workflow_type": "command"}
            for variables in ({}, {"prompt": "a", "turns": 0}, {"prompt": "a", "shell": "sh"}):
                refused = client.post("/api/v1/workflows", json={**body, "variables": variables})
                assert refused.status_code == 422, refused.text
                assert refused.json()["code"] == "validation_error"
            odd = client.put("/api/v1/agents/command-1/config", json={"config": {"idle_s": 0}})
            assert (odd.status_code, odd.json()["code"]) == (422, "validation_error")
            new = client.put("/api/v1/agents/command-1/config", json={"config": {"idle_s": 60}})
            assert new.status_code == 200, new.text
        refused_work = server.ended(start(server, prompt="", command=["make", "all"]))
        assert refused_work["status"] == "failed"
        assert "'make' is no program that this server runs" in json.dumps(refused_work)
        done = run(
            *("workflow", "start", "command", "Say hello", "--watch", "-o", "json"),
            *("--var", "command=sh -c 'cat > hello; echo written'", "--var", "prompt=hello"),
            *("--var", "commit_message=Say hello", "--url", server.url),
            cwd=server.repo,
        )
        assert done.returncode == 0, done.stderr
        described = server.get("/api/v1/agents/types")
    assert "written" in done.stdout
    (known,) = (each for each in described["data"] if each["agent_type"] == "command")
    assert known["capabilities"] == ["close", "turn"]
    assert "presets" in known["config"]["properties"]
