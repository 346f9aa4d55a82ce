"""What people do to issues of workflows, with a real server: commands, the file, and `git pull`."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import DEADLINE_S, Server, run

pytestmark = pytest.mark.process

LATER = "2099-01-01T00:00:00Z"


def git(repo: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=repo, check=True, capture_output=True, text=True)
    return done.stdout


def waiting(server: Server) -> dict[str, Any]:
    """A workflow that waits for signals, and whose issue says that it runs."""
    variables = {"ledger": str(server.repo.parent / "ledger")}
    made = server.post(issue_title="T", workflow_type="steered", variables=variables)
    shown = f"/api/v1/issues/{made['beads_issue_id']}"
    server.within(DEADLINE_S, lambda: server.get(shown)["issue"]["status"] == "in_progress")
    return made


def edit(repo: Path, issue_id: str, change: Callable[[dict[str, Any]], None]) -> None:
    path = repo / ".beads" / "issues.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in rows:
        if row["id"] == issue_id:
            change(row)
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def close(row: dict[str, Any]) -> None:
    row |= {"status": "closed", "closed_at": LATER, "updated_at": LATER, "close_reason": "no"}


def delete(row: dict[str, Any]) -> None:
    row |= {"status": "tombstone", "deleted_at": LATER, "updated_at": LATER}


def is_published(repo: Path, issue_id: str) -> bool:
    path = repo / ".beads" / "issues.jsonl"
    if not path.exists():
        return False
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return any(row["id"] == issue_id and row["status"] == "in_progress" for row in rows)


def test_a_command_that_closes_or_deletes_an_issue_cancels_its_workflow(server: Server) -> None:
    with server:
        closed, deleted = waiting(server), waiting(server)
        issue = closed["beads_issue_id"]
        assert run("issue", "close", issue, cwd=server.repo).returncode == 0
        gone = run("issue", "delete", deleted["beads_issue_id"], "--yes", cwd=server.repo)
        assert gone.returncode == 0, gone.stderr
        for made in (closed, deleted):
            assert server.ended(made["id"])["status"] == "cancelled"
        assert run("issue", "reopen", issue, cwd=server.repo).returncode == 0
        shown = f"/api/v1/issues/{issue}"

        def says() -> bool:
            comments = server.get(shown)["issue"].get("comments", ())
            return any("opening its issue does not run it" in one["text"] for one in comments)

        server.within(DEADLINE_S, says)
        healthy = run("doctor", "--reconcile", "-o", "json", cwd=server.repo)
        codes = [one["code"] for one in json.loads(healthy.stdout)["data"]["data"]]
        assert codes == ["issue_reopened"]


@pytest.mark.parametrize("change", [close, delete])
def test_an_edit_of_the_file_that_ends_an_issue_cancels_its_workflow(
    server: Server, change: Callable[[dict[str, Any]], None]
) -> None:
    with server:
        made = waiting(server)
        issue = made["beads_issue_id"]
        server.within(DEADLINE_S, lambda: is_published(server.repo, issue))
        edit(server.repo, issue, change)
        assert server.ended(made["id"])["status"] == "cancelled"


def test_a_pull_that_closes_an_issue_on_the_branch_cancels_its_workflow(
    server: Server, tmp_path: Path
) -> None:
    """Another clone closes it, commits and pushes; here it is pulled while the server runs."""
    repo, hub, other = server.repo, tmp_path / "hub.git", tmp_path / "other"
    subprocess.run(["git", "init", "--quiet", "--bare", str(hub)], check=True)
    git(repo, "remote", "add", "origin", str(hub))
    done = run("init", "--git-mode", "branch", cwd=repo)
    assert done.returncode == 0, done.stderr
    with server:
        made = waiting(server)
        issue = made["beads_issue_id"]
        server.within(DEADLINE_S, lambda: is_published(repo, issue))
        synced = run("issue", "sync", cwd=repo)
        assert synced.returncode == 0, synced.stderr
        branch = git(repo, "symbolic-ref", "--short", "HEAD").strip()
        git(repo, "push", "--quiet", "origin", branch)
        git(tmp_path, "clone", "--quiet", "--branch", branch, str(hub), str(other))
        edit(other, issue, close)
        who = ("-c", "user.name=Other", "-c", "user.email=other@example.invalid")
        git(other, *who, "commit", "--quiet", "--all", "--message", "close it")
        git(other, "push", "--quiet", "origin", branch)
        git(repo, "pull", "--quiet", "--rebase=false", "origin", branch)
        assert server.ended(made["id"])["status"] == "cancelled"


def test_what_was_edited_while_nobody_served_is_mended_when_somebody_does(server: Server) -> None:
    with server:
        made = waiting(server)
        server.within(DEADLINE_S, lambda: is_published(server.repo, made["beads_issue_id"]))
    edit(server.repo, made["beads_issue_id"], close)
    with server:
        assert server.ended(made["id"])["status"] == "cancelled"
