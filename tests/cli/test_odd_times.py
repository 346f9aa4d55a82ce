"""Times that other programs wrote and that no clock in UTC shows: nothing stumbles over them."""

import json
from pathlib import Path

import pytest

from tests.cli.run import Run
from tests.support.world import git_repository

pytestmark = pytest.mark.no_cover  # others cover what this does a hundred times

ODD = (
    "9999-12-31T23:59:59-12:00",
    "9999-12-31T23:59:59.999999999Z",
    "0001-01-01T00:00:00+12:00",
    "0001-01-01T00:00:00Z",
    "2026-01-02T23:00:00+99:99",
    "2026-01-02t03:04:05.123456789z",
)
TIMES = (
    "created_at", "updated_at", "closed_at", "due_at", "defer_until", "compacted_at", "deleted_at",
    "last_activity",
)  # fmt: skip


def odd(number: int, at: str, status: str = "open") -> dict[str, object]:
    """An issue with this time wherever it has one; it waits for the one before."""
    issue_id = f"shop-a{number}"
    return {
        "id": issue_id,
        "title": f"Odd {number}",
        "status": status,
        "priority": 2,
        "issue_type": "task",
        **dict.fromkeys(TIMES, at),
        "comments": [
            {"id": number, "issue_id": issue_id, "author": "a", "text": "t", "created_at": at}
        ],
        "dependencies": [
            {
                "issue_id": issue_id,
                "depends_on_id": f"shop-a{number - 1}",
                "type": "blocks",
                "created_at": at,
            }
        ],
    }


@pytest.fixture
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Issues with odd times, in the file of the repository that the commands run in."""
    repo = git_repository(tmp_path / "shop")
    monkeypatch.chdir(repo)
    monkeypatch.setenv("BEADFLOW_ACTOR", "Ada")
    rows = [odd(n, at) for n, at in enumerate(ODD)]
    rows.append(odd(len(rows), ODD[0], "closed"))
    path = repo / ".beads" / "issues.jsonl"
    path.parent.mkdir()
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return [str(row["id"]) for row in rows]


def test_every_question_is_answered_about_issues_with_odd_times(
    beadflow: Run, ids: list[str]
) -> None:
    questions = [
        ("ready",),
        ("ready", "--sort", "oldest"),
        ("issue", "blocked"),
        ("issue", "stats"),
        ("issue", "list", "--all", "-o", "csv"),
        ("issue", "dep", "cycles", "--json"),
        *(("issue", "list", "--all", "--sort", key) for key in ("updated", "created", "priority")),
        *(("issue", "list", "--all", "--sort", "id", form) for form in ("--reverse", "--json")),
        *(
            ("issue", *question, name)
            for name in ids
            for question in (("show",), ("why",), ("dep", "tree"))
        ),
    ]
    for question in questions:
        ran = beadflow(*question)
        assert (ran.code, "error" in ran.err) == (0, False), question


def test_issues_with_odd_times_can_be_changed(beadflow: Run, ids: list[str]) -> None:
    for name in ids:
        for verb in ("reopen", "comment", "claim", "release", "done", "delete", "restore"):
            words = (verb,) if verb in {"claim", "done"} else ("issue", verb)
            more = {"comment": ("Seen.",), "done": ("--force",), "delete": ("--yes", "--force")}
            ran = beadflow(*words, name, *more.get(verb, ()))
            assert ran.code == 0, (name, verb, ran.err)


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
@pytest.mark.parametrize(("option", "field"), [("--due", "due_at"), ("--defer", "defer_until")])
def test_a_time_without_a_date_in_utc_is_refused(
    beadflow: Run, ids: list[str], option: str, field: str, at: str
) -> None:
    for words in (("create", "Odd"), ("update", ids[0])):
        ran = beadflow("issue", *words, option, at)
        assert ran.code == 2
        assert field in ran.err
