"""Commands on issues with nobody serving: this process does what is needed, and leaves it whole."""

import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import desk, discovery, local
from storage.home import DataDir
from tests.cli.fake import Answer, FakeServer
from tests.cli.run import Run, issue
from tests.support.server import BEADFLOW
from tests.support.world import git_repository


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that the commands run in, under the name of Ada."""
    found = git_repository(tmp_path / "shop")
    monkeypatch.chdir(found)
    monkeypatch.setenv("BEADFLOW_ACTOR", "Ada")
    return found


@pytest.fixture
def create(beadflow: Run, repo: Path) -> Callable[..., str]:
    """Creates an issue and answers its id."""

    def made(title: str, *more: str) -> str:
        ran = beadflow("issue", "create", title, "-q", *more)
        assert (ran.code, ran.err) == (0, "")
        return ran.out.strip()

    return made


def published(repo: Path) -> list[dict[str, Any]]:
    lines = (repo / ".beads" / "issues.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def append(repo: Path, *rows: dict[str, Any]) -> None:
    """Another program writes into the published file."""
    path = repo / ".beads" / "issues.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.writelines(f"{json.dumps(row)}\n" for row in rows)


def test_an_issue_is_in_the_published_file_when_the_command_ends(
    create: Callable[..., str], repo: Path
) -> None:
    made = create("Fix the login", "-p", "1", "-l", "web")
    (row,) = published(repo)
    assert (row["id"], row["title"], row["priority"]) == (made, "Fix the login", 1)
    assert (row["labels"], row["created_by"]) == (["web"], "Ada")
    assert DataDir.resolve(repo).read_holder() is None


@pytest.mark.parametrize("command", [("list",), ("create", "Another")], ids=lambda one: one[0])
def test_lines_that_are_no_issues_are_told_once(
    beadflow: Run, create: Callable[..., str], repo: Path, command: tuple[str, ...]
) -> None:
    create("Fix the login")
    with (repo / ".beads" / "issues.jsonl").open("a") as file:
        file.write('{"id":"x-1","tit\nno issue\n')
    ran = beadflow("issue", *command)
    kept = repo / ".beads" / "issues.quarantine.jsonl"
    told = f"2 lines of .beads/issues.jsonl could not be read and were set aside in {kept}\n"
    assert (ran.code, ran.err) == (0, told)
    again = beadflow("issue", *command)
    assert (again.code, again.err) == (0, "")


def test_the_way_of_an_issue_from_ready_to_done(
    beadflow: Run, create: Callable[..., str], repo: Path
) -> None:
    first, later = create("First", "-p", "2"), create("Later", "-p", "0")
    assert beadflow("issue", "dep", "add", later, first).code == 0
    assert beadflow("ready", "-q").out == f"{first}\n"
    assert f"({later} → {first})" in beadflow("issue", "why", later).out
    assert beadflow("done", later).code == 7
    claimed = beadflow("ready", "--claim", "--json").json["data"]
    assert (claimed["issue"]["id"], claimed["holder"]) == (first, "Ada")
    lost = beadflow("claim", first, "--actor", "bob")
    assert lost.code == 7
    assert "claimed by Ada" in lost.err
    token = str(claimed["token"])
    assert beadflow("issue", "heartbeat", first, "--token", token, "--ttl", "60").code == 0
    assert beadflow("issue", "comment", first, "It was the cookie.").code == 0
    assert beadflow("done", first, "-r", "Completed", "--token", token).code == 0
    assert beadflow("ready", "-q").out == f"{later}\n"
    (row,) = (row for row in published(repo) if row["id"] == first)
    assert (row["status"], row["close_reason"]) == ("closed", "Completed")
    assert row["comments"][0]["text"] == "It was the cookie."


def test_what_cannot_be_done_has_an_exit_code_of_its_own(
    beadflow: Run, create: Callable[..., str]
) -> None:
    assert beadflow("ready", "--claim").code == 8
    first, second = create("One"), create("Two")
    assert beadflow("issue", "show", "shop-nope").code == 6
    assert beadflow("done", "shop-nope").code == 6
    ambiguous = beadflow("issue", "show", "shop")
    assert ambiguous.code == 7
    assert first in ambiguous.err
    assert beadflow("issue", "dep", "add", first, second).code == 0
    circle = beadflow("issue", "dep", "add", second, first)
    assert circle.code == 7
    assert beadflow("issue", "release", first).code == 7
    assert beadflow("issue", "update", first, "-s", "best").code == 2
    assert beadflow("issue", "dep", "remove", second, first).code == 6


def test_an_issue_is_changed_deferred_deleted_and_restored(
    beadflow: Run, create: Callable[..., str], repo: Path
) -> None:
    epic = create("Epic", "-t", "epic")
    part = create("Part", "--parent", epic)
    assert part == f"{epic}.1"
    assert beadflow("issue", "update", part, "-p", "0", "--add-label", "x").code == 0
    assert beadflow("issue", "label", "remove", part, "x").code == 0
    assert beadflow("issue", "defer", part).code == 0
    assert beadflow("ready", "-q").out == ""
    assert beadflow("issue", "undefer", part).code == 0
    assert beadflow("ready", "-q").out == f"{part}\n"
    assert beadflow("issue", "delete", epic, "--yes").code == 7
    gone = beadflow("issue", "delete", epic, "--yes", "--cascade", "-q").out.split()
    assert sorted(gone) == [epic, part]
    assert {row["status"] for row in published(repo)} == {"tombstone"}
    assert beadflow("issue", "restore", part, epic).code == 0
    assert beadflow("issue", "list", "--all").out.count("open") == 2


def test_of_several_ids_each_is_done(beadflow: Run, create: Callable[..., str]) -> None:
    first, second = create("One"), create("Two")
    ran = beadflow("done", first, "shop-nope", second, "--json")
    assert ran.code == 6
    assert [each["id"] for each in ran.json["data"]] == [first, second]
    assert [each["code"] for each in ran.json["errors"]] == ["not_found"]


ROW = {
    "id": "shop-zz1",
    "title": "From elsewhere",
    "status": "open",
    "priority": 2,
    "issue_type": "task",
    "created_at": "2026-01-02T03:04:05Z",
    "updated_at": "2026-01-02T03:04:05Z",
}


def test_a_fresh_clone_is_read_from_its_file(beadflow: Run, repo: Path) -> None:
    append(repo, ROW)
    assert "From elsewhere" in beadflow("issue", "list").out


def test_a_read_takes_in_first_what_others_wrote(
    beadflow: Run, create: Callable[..., str], repo: Path
) -> None:
    create("Mine")
    append(repo, ROW)
    out = beadflow("issue", "list").out
    assert "From elsewhere" in out
    assert "Mine" in out


def test_a_read_beside_another_command_sees_what_is_stored(
    beadflow: Run, create: Callable[..., str], repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create("Mine")
    monkeypatch.setattr(local, "TAKE_IN_S", 0.0)
    with DataDir.resolve(repo):
        assert "Mine" in beadflow("issue", "list").out
        append(repo, ROW)
        ran = beadflow("issue", "list")
    assert (ran.code, ran.err) == (0, "")
    assert "Mine" in ran.out
    assert "From elsewhere" not in ran.out


def test_a_write_beside_another_command_is_refused_when_that_does_not_end(
    beadflow: Run, create: Callable[..., str], repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create("Mine")
    monkeypatch.setattr(desk, "PATIENCE_S", 0.0)
    with DataDir.resolve(repo):
        ran = beadflow("done", made)
    assert ran.code == 7
    assert "holds" in ran.err or "lock" in ran.err


def test_a_write_waits_for_another_command_to_end(
    beadflow: Run, create: Callable[..., str], repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create("Mine")
    held = DataDir.resolve(repo)
    held.acquire()
    looked = threading.Event()

    def served(where: discovery.Where) -> bool:
        looked.set()
        held.release()
        return False

    monkeypatch.setattr(discovery, "serves", served)
    assert beadflow("done", made).code == 0
    assert looked.is_set()


def test_a_write_that_waited_goes_to_the_server_that_has_come_up(
    beadflow: Run, server: FakeServer, repo: Path
) -> None:
    server.answers["POST /api/v1/issues/shop-1/close"] = Answer(issue("shop-1"))
    with DataDir.resolve(repo) as held:
        acquire, found = DataDir.acquire, []

        def late(data: DataDir) -> None:
            held.announce(server.url)
            found.append(data)
            acquire(data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DataDir, "acquire", late)
            assert beadflow("done", "shop-1", "-q").out == "shop-1\n"
    assert len(found) == 1
    assert server.seen[0].body["actor"] == "Ada"


def test_an_export_is_the_published_file(
    beadflow: Run, create: Callable[..., str], repo: Path
) -> None:
    first = create("größe")
    create("Two")
    beadflow("issue", "delete", first, "--yes")
    lines = (repo / ".beads" / "issues.jsonl").read_text("utf-8")
    assert beadflow("issue", "export").out == lines
    assert beadflow("issue", "export", "--to", "all.jsonl").code == 0
    assert (repo / "all.jsonl").read_text("utf-8") == lines


def test_a_look_where_nothing_was_stored_makes_nothing(beadflow: Run, repo: Path) -> None:
    for argv in (["ready"], ["issue", "list"], ["issue", "blocked"], ["issue", "dep", "cycles"]):
        ran = beadflow(*argv)
        assert (ran.code, ran.out) == (0, ""), argv
    assert beadflow("issue", "show", "shop-1").code == 6
    assert beadflow("issue", "stats").code == 6
    assert not (repo / ".git" / "beadflow").exists()
    assert not (repo / ".beads").exists()


def test_without_git_issues_live_beside_the_files(
    beadflow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").mkdir()
    monkeypatch.chdir(tmp_path / "plain")
    assert beadflow("issue", "create", "T", "--actor", "ann").code == 0
    assert (tmp_path / "plain" / ".beads" / "issues.jsonl").exists()


def test_a_file_that_cannot_be_written_is_told_and_the_issue_is_stored(
    beadflow: Run, repo: Path
) -> None:
    (repo / ".beads").write_text("in the way")
    ran = beadflow("issue", "create", "T")
    assert ran.code == 1
    assert "is stored, but the issues' file could not be written" in ran.err
    (repo / ".beads").unlink()
    assert "T" in beadflow("issue", "list").out


def test_a_damaged_database_is_told(beadflow: Run, create: Callable[..., str], repo: Path) -> None:
    create("Mine")
    (repo / ".git" / "beadflow" / "beads.db").write_bytes(b"no database" * 1000)
    for argv in (["issue", "list"], ["issue", "create", "T"]):
        ran = beadflow(*argv)
        assert (ran.code, ran.out) == (1, "")
        assert "beads.db" in ran.err
    assert DataDir.resolve(repo).read_holder() is None


@pytest.mark.process
def test_of_many_who_claim_at_once_each_issue_goes_to_one(
    create: Callable[..., str], repo: Path
) -> None:
    made = {create("One"), create("Two")}
    command = [str(BEADFLOW), "ready", "--claim", "-q", "--actor"]
    several = [
        subprocess.Popen(
            [*command, f"agent-{number}"], cwd=repo, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for number in range(4)
    ]
    found = [
        (each.communicate(timeout=60)[0].decode().strip(), each.returncode) for each in several
    ]
    assert sorted(found) == sorted([("", 8), ("", 8), *((name, 0) for name in made)])
    assert {row["assignee"] for row in published(repo)} < {f"agent-{n}" for n in range(4)}


def test_a_list_where_nothing_is_says_where_it_looked(
    beadflow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = beadflow("issue", "list", "-q")
    assert (ran.code, ran.out) == (0, "")
    assert f"no data in {DataDir.resolve(tmp_path).path}" in ran.err


def test_a_name_that_is_too_long_is_not_cut(beadflow: Run, repo: Path) -> None:
    ran = beadflow("issue", "create", "T", "--actor", "a" * 201)
    assert (ran.code, ran.out) == (2, "")
    assert "200 characters" in ran.err
    assert beadflow("issue", "create", "T", "--actor", "é" * 200).code == 0
    assert published(repo)[0]["created_by"] == "é" * 200


def test_a_change_of_labels_shows_the_labels(beadflow: Run, create: Callable[..., str]) -> None:
    made = create("One", "-l", "web")
    assert "urgent, web" in beadflow("issue", "label", "add", made, "urgent").out
    assert "none" in beadflow("issue", "label", "remove", made, "urgent", "web").out
