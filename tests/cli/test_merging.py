"""`beadflow issue merge` and `beadflow merge-driver`, on files."""

from collections.abc import Callable
from pathlib import Path
from subprocess import run
from sys import executable

import pytest

from storage.issues import jsonl
from tests.actors.issues.test_collisions import data, issue, titles
from tests.cli.run import Run

A = issue("x-a", "A")
MINE, YOURS = A | {"notes": "n"}, A | {"owner": "o"}
BOTH = A | {"notes": "n", "owner": "o"}
DAMAGED = b'{"id":"x-b","ti\n'

Write = Callable[..., tuple[str, str, str]]


@pytest.fixture
def sides(tmp_path: Path) -> Write:
    """Writes base, ours and theirs, and returns their names."""

    def write(*contents: bytes) -> tuple[str, ...]:
        names = ("base", "ours", "theirs")
        for name, content in zip(names, contents, strict=True):
            (tmp_path / name).write_bytes(content)
        return names

    return write  # type: ignore[return-value]


def test_the_result_is_printed_as_the_file_has_it(beadflow: Run, sides: Write) -> None:
    ran = beadflow("issue", "merge", *sides(data(A), data(MINE), data(YOURS)))
    assert (ran.code, ran.out.encode(), ran.err) == (0, data(BOTH), "")


def test_the_result_is_written_where_it_is_wanted(beadflow: Run, sides: Write) -> None:
    ran = beadflow("issue", "merge", *sides(data(A), data(MINE), data(YOURS)), "--to", "merged")
    assert ran.code == 0
    assert Path("merged").read_bytes() == data(BOTH)


def test_there_may_be_no_base(beadflow: Run, sides: Write) -> None:
    _, ours, theirs = sides(b"", data(MINE), data(YOURS))
    assert beadflow("issue", "merge", "/dev/null", ours, theirs).out.encode() == data(BOTH)


def test_each_decision_is_a_line_of_the_explanation(beadflow: Run, sides: Write) -> None:
    ran = beadflow("issue", "merge", *sides(data(A), data(MINE), data(YOURS)), "--explain")
    lines = [" ".join(line.split()) for line in ran.out.splitlines()[1:]]
    assert lines == [
        "x-a notes - n - n only ours changed it",
        "x-a owner - - o o only theirs changed it",
    ]


def test_programs_get_the_decisions_and_what_was_odd(beadflow: Run, sides: Write) -> None:
    later = issue("x-a", "Other", 5)
    ran = beadflow("issue", "merge", *sides(b"", data(A) + DAMAGED, data(later)), "-o", "json")
    facts = ran.json["data"]
    assert ran.json["schema"] == "beadflow.issue.merge/1"
    assert facts["issues"] == 2
    assert facts["renamed"][0] == {
        "side": "theirs",
        "old": "x-a",
        "new": facts["renamed"][0]["new"],
    }
    assert [(line["side"], line["line"]) for line in facts["unreadable"]] == [("ours", 2)]
    assert {decision["field"] for decision in facts["decisions"]} == {"id", "issue"}


def test_lines_that_are_no_issues_are_kept_beside_the_result(beadflow: Run, sides: Write) -> None:
    files = sides(data(A), data(A) + DAMAGED, data(A))
    ran = beadflow("issue", "merge", *files, "--to", "merged")
    assert Path("issues.quarantine.jsonl").read_bytes() == DAMAGED
    assert "no issues in ours, kept in issues.quarantine.jsonl: line 2 (it is not JSON" in ran.err


def test_a_file_that_holds_no_issue_is_refused(beadflow: Run, sides: Write) -> None:
    ran = beadflow("issue", "merge", *sides(data(A), data(A), b"hello\n"), "--to", "merged")
    assert ran.code == 1
    assert "This is no file of issues: no line of theirs is an issue" in ran.err
    assert not Path("merged").exists()


def test_the_driver_leaves_the_result_in_ours(beadflow: Run, sides: Write) -> None:
    ran = beadflow("merge-driver", *sides(data(A), data(MINE), data(YOURS)), ".beads/issues.jsonl")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert Path("ours").read_bytes() == data(BOTH)
    assert sorted(path.name for path in Path().iterdir()) == ["base", "ours", "theirs"]


@pytest.mark.parametrize("missing", ["base", "theirs"])
def test_the_driver_leaves_ours_alone_when_a_side_cannot_be_read(
    beadflow: Run, sides: Write, missing: str
) -> None:
    files = sides(data(A), data(MINE), data(YOURS))
    Path(missing).unlink()
    ran = beadflow("merge-driver", *files, ".beads/issues.jsonl")
    assert ran.code == 1
    assert "error: .beads/issues.jsonl is not merged" in ran.err
    assert Path("ours").read_bytes() == data(MINE)


def test_the_driver_leaves_ours_alone_when_a_side_is_something_else(
    beadflow: Run, sides: Write
) -> None:
    files = sides(data(A), data(MINE), b"<html>\n")
    assert beadflow("merge-driver", *files, ".beads/issues.jsonl").code == 1
    assert Path("ours").read_bytes() == data(MINE)


def test_the_driver_keeps_damaged_lines_beside_the_file(beadflow: Run, sides: Write) -> None:
    Path(".beads").mkdir()
    files = sides(data(A), data(MINE) + DAMAGED, data(YOURS) + DAMAGED)
    assert beadflow("merge-driver", *files, ".beads/issues.jsonl").code == 0
    assert Path(".beads/issues.quarantine.jsonl").read_bytes() == DAMAGED
    assert Path("ours").read_bytes() == data(BOTH)


@pytest.mark.parametrize("path", ["link/issues.jsonl", "../out/issues.jsonl", "none/issues.jsonl"])
def test_the_driver_writes_damaged_lines_nowhere_outside(
    beadflow: Run, sides: Write, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "out"
    outside.mkdir()
    (tmp_path / "tree").mkdir()
    files = [str(tmp_path / name) for name in sides(data(A), data(A) + DAMAGED, data(YOURS))]
    monkeypatch.chdir(tmp_path / "tree")
    Path("link").symlink_to(outside)
    assert beadflow("merge-driver", *files, path).code == 1
    assert list(outside.iterdir()) == []
    assert (tmp_path / "ours").read_bytes() == data(A) + DAMAGED


def test_the_driver_follows_no_link_laid_in_the_place_of_the_side_file(
    beadflow: Run, sides: Write
) -> None:
    Path("canary").write_bytes(b"alive")
    Path(".beads").mkdir()
    Path(".beads/issues.quarantine.jsonl").symlink_to("../canary")
    files = sides(data(A), data(A) + DAMAGED, data(YOURS))
    assert beadflow("merge-driver", *files, ".beads/issues.jsonl").code == 1
    assert Path("canary").read_bytes() == b"alive"


def test_the_driver_says_what_it_renamed(beadflow: Run, sides: Write) -> None:
    files = sides(b"", data(A), data(issue("x-a", "Other", 5)))
    ran = beadflow("merge-driver", *files, ".beads/issues.jsonl")
    (new,) = titles(Path("ours").read_bytes()).keys() - {"x-a"}
    assert f"x-a of theirs is now {new}" in ran.err


def test_the_driver_explains_itself_and_refuses_too_few_files(beadflow: Run) -> None:
    assert "as Git asks for it" in beadflow("merge-driver", "--help").out
    ran = beadflow("merge-driver", "base", "ours")
    assert ran.code == 2
    assert "usage: beadflow merge-driver BASE OURS THEIRS PATH" in ran.err


def test_the_driver_starts_without_the_system() -> None:
    """Git starts it for every merge; the server's libraries cost five times as much."""
    code = "import sys, cli.main, cli.merge_driver; print(*sys.modules)"
    ran = run([executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "trio",
        "pykka",
        "quart",
        "pydantic",
        "cyclopts",
        "rich",
        "git",
        "sqlite3",
        "structlog",
    }
    assert heavy & set(ran.stdout.split()) == set()
    assert jsonl.__name__ in ran.stdout.split()
