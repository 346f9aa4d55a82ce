"""The operator's commands beside a real server, and in its place."""

import json
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.server import Server, run

pytestmark = pytest.mark.process


def test_a_backup_beside_a_server_brings_back_what_it_was_doing(
    server: Server, tmp_path: Path
) -> None:
    gate, ledger, target = tmp_path / "gate", tmp_path / "ledger", tmp_path / "backup"
    variables = {"ledger": str(ledger), "gate": str(gate)}
    with server:
        started = server.post(issue_title="Count", workflow_type="three_steps", variables=variables)
        server.until(
            started["id"], lambda e: e.type == "step_completed" and e.data["activity"] == "first"
        )
        assert run("db", "check", cwd=server.repo).returncode == 0
        taken = run("db", "backup", str(target), cwd=server.repo)
        assert taken.returncode == 0, taken.stderr
        _is_refused(server, "db", "restore", str(target))
        _is_refused(server, "db", "migrate")
        gate.touch()
        assert server.ended(started["id"])["status"] == "completed"
    (server.repo / ".beads" / "issues.jsonl").unlink()
    done = run("db", "restore", str(target), cwd=server.repo)
    assert done.returncode == 0, done.stderr
    status = run("workflow", "status", started["id"], "-o", "json", cwd=server.repo)
    assert json.loads(status.stdout)["data"]["status"] == "active"
    with server:
        assert server.ended(started["id"])["status"] == "completed"
    assert ledger.read_text().count("first") == 1
    assert run("db", "check", cwd=server.repo).returncode == 0


def _is_refused(server: Server, *command: str) -> None:
    """By pid, host and start of whoever holds the data."""
    ran = run(*command, cwd=server.repo)
    assert server.process is not None
    assert ran.returncode == 7
    assert f"process {server.process.pid} on {socket.gethostname()} since 20" in ran.stderr
    assert server.url in ran.stderr


def test_a_server_finishes_a_restore_that_was_cut_off(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with server:
        pass
    assert run("db", "backup", str(target), cwd=server.repo).returncode == 0
    home = server.repo / ".git" / "beadflow"
    staged = home / "restoring"
    staged.mkdir(mode=0o700)
    for name in ("coordination.db", "tempolite.db", "beads.db"):
        (staged / name).write_bytes((target / name).read_bytes())
        with closing(sqlite3.connect(home / name)) as connection:
            connection.execute("PRAGMA user_version=7")
    (home / "restore.json").write_text('{"aside": "replaced-x"}')
    (home / "coordination.db").unlink()
    with server:
        assert server.get("/api/v1/workflows")["data"] == []
    assert not (home / "restore.json").exists()
    with closing(sqlite3.connect(home / "replaced-x" / "beads.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (7,)
