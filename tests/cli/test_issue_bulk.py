"""`issue batch` and `issue import`: many issues from lines, with a server and without."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cli import batching, importing, lines
from tests.cli.fake import Answer, FakeServer, problem
from tests.cli.run import Run
from tests.support.world import git_repository

AT = "2026-01-02T03:04:05Z"


@pytest.fixture
def at(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """The server, named by the environment."""
    monkeypatch.setenv("WORKFLOW_URL", server.url)
    return server


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = git_repository(tmp_path / "shop")
    monkeypatch.chdir(found)
    monkeypatch.setenv("BEADFLOW_ACTOR", "Ada")
    return found


def write(path: Path, *rows: dict[str, Any] | str) -> str:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in rows]
    path.write_text("".join(f"{text}\n" for text in texts))
    return path.name


def row(number: int, **more: Any) -> dict[str, Any]:
    made = {"id": f"shop-{number}", "title": f"T{number}", "priority": 2, "status": "open"}
    return {**made, "created_at": AT, "updated_at": AT, **more}


def test_a_batch_is_made_in_order_and_published(beadflow: Run, repo: Path) -> None:
    named = write(
        repo / "changes.jsonl",
        {"op": "create", "title": "Epic", "issue_type": "epic"},
        {"op": "create", "title": "Part", "parent": "$0"},
        {"op": "close", "id": "no-such"},
        {"op": "comment", "id": "$1", "text": "begun"},
    )
    ran = beadflow("issue", "batch", named, "-o", "json")
    assert ran.code == 6, ran.err
    assert [each["status"] for each in ran.json["data"]] == [201, 201, 404, 200]
    assert (ran.json["done"], ran.json["refused"], ran.json["skipped"]) == (3, 1, 0)
    lines_there = (repo / ".beads" / "issues.jsonl").read_text("utf-8").splitlines()
    published = {found["title"]: found for found in map(json.loads, lines_there)}
    assert published["Part"]["id"] == f"{published['Epic']['id']}.1"
    assert published["Part"]["comments"][0]["author"] == "Ada"


def test_a_batch_stops_where_it_is_to(beadflow: Run, repo: Path) -> None:
    named = write(
        repo / "changes.jsonl",
        {"op": "close", "id": "no-such"},
        {"op": "create", "title": "Never"},
    )
    ran = beadflow("issue", "batch", named, "--stop")
    assert ran.code == 6
    assert "1 skipped" in ran.err
    assert "Never" not in beadflow("issue", "list").out


def test_references_reach_over_the_requests_that_a_batch_is_cut_into(
    beadflow: Run, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "AT_ONCE", 2)
    named = write(
        repo / "changes.jsonl",
        {"op": "create", "title": "A"},
        {"op": "create", "title": "B"},
        {"op": "create", "title": "C", "depends_on": [{"id": "$0"}]},
        {"op": "depend", "id": "$2", "depends_on": "$1"},
        {"op": "claim", "id": "$0"},
    )
    ran = beadflow("issue", "batch", named, "-o", "json")
    assert (ran.code, [each["index"] for each in ran.json["data"]]) == (0, [0, 1, 2, 3, 4])
    first, second, third = (each["id"] for each in ran.json["data"][:3])
    there = ran.json["data"][3]["issue"]["dependencies"]
    assert [edge["depends_on_id"] for edge in there] == [first, second]
    assert ran.json["data"][3]["id"] == third


@pytest.mark.parametrize("bad", ["[1]", "{", '{"a": NaN}'])
def test_a_line_that_is_no_object_is_named_before_anything_is_made(
    beadflow: Run, repo: Path, bad: str
) -> None:
    named = write(repo / "changes.jsonl", {"op": "create", "title": "Never"}, bad)
    ran = beadflow("issue", "batch", named)
    assert (ran.code, "Line 2 is no JSON object" in ran.err) == (2, True)
    assert not (repo / ".beads" / "issues.jsonl").exists()


def test_a_file_is_imported_once_however_often(beadflow: Run, repo: Path) -> None:
    named = write(repo / "all.jsonl", row(1), row(2), "{", row(3))
    tried = beadflow("issue", "import", named, "--dry-run", "-o", "json")
    assert (tried.json["data"]["created"], tried.json["data"]["dry_run"]) == (3, True)
    assert not (repo / ".beads" / "issues.jsonl").exists()
    first = beadflow("issue", "import", named, "-o", "json").json["data"]
    ran = beadflow("issue", "import", named)
    assert (first["created"], first["quarantined"], first["problems"][0]["line"]) == (3, 1, 3)
    assert ran.code == 1
    assert "unchanged    3" in ran.out
    assert len((repo / ".beads" / "issues.jsonl").read_text("utf-8").splitlines()) == 3


def test_an_import_is_cut_at_the_ends_of_lines(
    beadflow: Run, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "AT_ONCE_BYTES", 300)
    rows: list[Any] = [row(number) for number in range(20)]
    named = write(repo / "all.jsonl", *rows[:9], "{", *rows[9:], row(50, description="x" * 900))
    told = beadflow("issue", "import", named, "-o", "json").json["data"]
    assert (told["created"], told["problems"][0]["line"]) == (21, 10)


def test_standard_input_is_read_where_that_is_meant(
    beadflow: Run, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del repo
    given = io.TextIOWrapper(io.BytesIO(json.dumps(row(1)).encode()))
    monkeypatch.setattr(sys, "stdin", given)
    ran = beadflow("issue", "import", "--dry-run", "-", "-o", "json")
    assert ran.code == 0, ran.err
    assert ran.json["data"]["created"] == 1
    assert beadflow("issue", "import", "gone.jsonl").code == 2


def test_parts_of_lines_are_the_whole() -> None:
    data = b"a\nbb\n\nccc\n" + b"d" * 50 + b"\ne"
    for most in range(1, 70):
        found = list(lines.parts(data, most))
        assert b"".join(part for _, part in found) == data
        counts = [part.count(b"\n") for _, part in found]
        assert [before for before, _ in found] == [sum(counts[:n]) for n in range(len(counts))]


def test_a_server_is_sent_the_lines_as_they_are(
    beadflow: Run, at: FakeServer, tmp_path: Path
) -> None:
    told = dict.fromkeys(importing.COUNTS, 0) | {"created": 1, "dry_run": False, "problems": []}
    at.answers["POST /api/v1/issues/import"] = Answer(told)
    named = str(tmp_path / write(tmp_path / "all.jsonl", row(1)))
    assert beadflow("issue", "import", named).code == 0
    assert at.seen[0].headers["content-type"] == "application/x-ndjson"
    at.answers["POST /api/v1/issues/batch"] = problem(422, "No", code="validation_error")
    assert beadflow("issue", "batch", named).code == 2
