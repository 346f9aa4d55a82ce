"""`beadflow doctor`: what it looks at, what it says, and what it leaves to the server."""

from pathlib import Path
from typing import Any

import pytest

from cli.exits import ExitCode
from tests.cli.fake import Answer, FakeServer
from tests.cli.run import Run

POST = "POST /api/v1/reconcile"
FOUND = {
    "code": "status_behind",
    "workflow_id": "wf-1",
    "issue_id": "bf-7",
    "what": "the bridge says active, the engine completed",
    "done": "repaired",
    "how": "the bridge says completed",
}


def told(*found: dict[str, Any], repaired: int = 0, reported: int = 0) -> dict[str, Any]:
    counts = {"repaired": repaired, "reported": reported}
    return {"data": list(found), "looked_at": 3, "complete": True, **counts}


@pytest.fixture
def at(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, named by the environment."""
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    return server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_place_where_nothing_was_stored_is_no_fault(beadflow: Run, home: Path) -> None:
    ran = beadflow("doctor", "-o", "json")
    assert ran.code == 0
    states = {one["name"]: one["state"] for one in ran.json["data"]}
    assert states == {"settings": "ok", "data": "note", "server": "note"}


def test_whole_data_are_looked_through(beadflow: Run, home: Path) -> None:
    assert beadflow("issue", "create", "one").code == 0
    ran = beadflow("doctor", "-o", "json")
    states = {one["name"]: one["state"] for one in ran.json["data"]}
    assert ran.code == 0, ran.out
    assert states == {
        "settings": "ok",
        "data": "ok",
        "lock": "ok",
        "files": "ok",
        "keys": "note",
        "server": "note",
        "coordination.db": "ok",
        "tempolite.db": "ok",
        "beads.db": "ok",
        "agreement": "ok",
        "git": "ok",
        "file": "ok",
    }


@pytest.mark.parametrize("name", ["coordination.db", "artifacts", "."])
def test_what_others_can_read_is_wrong(beadflow: Run, home: Path, name: str) -> None:
    assert beadflow("issue", "create", "one").code == 0
    (home / ".beadflow" / name).chmod(0o755)
    ran = beadflow("doctor", "-o", "json")
    assert ran.code == 1
    # what SQLite makes beside a database has its mode
    wrong = next(one["found"] for one in ran.json["data"] if one["state"] == "wrong")
    assert wrong == f"{(home / '.beadflow' / name)} is open to others (mode 0755)"


def test_a_link_among_the_data_is_wrong(beadflow: Run, home: Path) -> None:
    assert beadflow("issue", "create", "one").code == 0
    (home / ".beadflow" / "beadflow.sock").symlink_to(home)
    ran = beadflow("doctor")
    assert ran.code == 1
    assert "is a symbolic link" in ran.out.replace("\n", " ")


def test_keys_that_open_something_and_those_that_do_not_are_told_apart(
    beadflow: Run, home: Path
) -> None:
    def found() -> str:
        ran = beadflow("doctor", "-o", "json")
        return next(str(one["found"]) for one in ran.json["data"] if one["name"] == "keys")

    create = ("auth", "key", "create", "--user", "ann", "--role", "admin")
    key = beadflow(*create, "-o", "json").json["data"]
    assert "has to show one" in found()
    assert beadflow("auth", "key", "revoke", key["id"]).code == 0
    assert "none opens anything" in found()


def test_a_file_that_somebody_changed_is_noted(beadflow: Run, home: Path) -> None:
    beadflow("issue", "create", "one")
    with (home / ".beads/issues.jsonl").open("a") as file:
        file.write("\n")
    ran = beadflow("doctor")
    assert ran.code == 0
    assert "was changed since" in ran.out.replace("\n", " ")


def test_wrong_settings_are_named(beadflow: Run, home: Path) -> None:
    (home / "bad.toml").write_text("reconcile_s = -1\n")
    ran = beadflow("doctor", "--config", "bad.toml")
    assert ran.code == 1
    assert "reconcile_s" in ran.out
    assert "1 wrong" in ran.err


def test_a_damaged_database_is_wrong(beadflow: Run, home: Path) -> None:
    beadflow("issue", "create", "one")
    path = home / ".beadflow/tempolite.db"
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192)
    ran = beadflow("doctor", "-o", "json")
    assert ran.code == 1
    states = {(one["name"], one["state"]) for one in ran.json["data"]}
    assert ("tempolite.db", "wrong") in states


def test_a_server_that_cannot_take_work_is_wrong(beadflow: Run, at: FakeServer, home: Path) -> None:
    ran = beadflow("doctor", "-o", "json")
    states = {(one["name"], one["state"]) for one in ran.json["data"]}
    assert ("server", "wrong") in states
    assert ran.code == 1


def test_the_server_repairs(beadflow: Run, at: FakeServer) -> None:
    at.answers[POST] = Answer(told(FOUND, repaired=1))
    ran = beadflow("doctor", "--reconcile")
    assert ran.code == 0
    assert "status_behind" in ran.out
    assert "3 workflows looked at: 1 repaired, 0 reported" in ran.err


def test_what_could_only_be_reported_is_a_failure(beadflow: Run, at: FakeServer) -> None:
    at.answers[POST] = Answer(told(FOUND | {"done": "reported"}, reported=1))
    assert beadflow("doctor", "--reconcile").code == 1
    assert beadflow("doctor", "--reconcile", "--dry-run").code == 0


def test_that_nothing_disagrees_is_said(beadflow: Run, at: FakeServer) -> None:
    at.answers[POST] = Answer(told())
    ran = beadflow("doctor", "--reconcile", "-o", "json")
    assert (ran.code, ran.json["data"]["data"]) == (0, [])
    assert "all stores agree" in beadflow("doctor", "--reconcile").err


def test_without_a_server_nothing_is_repaired(beadflow: Run, home: Path) -> None:
    ran = beadflow("doctor", "--reconcile")
    assert ran.code == ExitCode.UNREACHABLE
    assert "beadflow up" in ran.err
