"""Leases as rows: the fence only grows, and what ends an issue's work ends its lease."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from storage.database import open_writer
from storage.issues import leases, queries
from storage.issues.leases import Lease
from storage.migrate import migrate, rollback

SCHEMA = resources.files("storage.issues") / "schema"
EARLY, LATE = "2026-01-01T00:00:00.000000Z", "2026-01-01T00:30:00.000000Z"
LEASE = Lease(
    issue_id="x-1",
    holder="ada",
    home="here",
    token=7,
    request="r",
    claimed_at=EARLY,
    expires_at=LATE,
)


def row(issue_id: str = "x-1", **more: Any) -> dict[str, Any]:
    return {"id": issue_id, "title": "T", "status": "in_progress", "assignee": "ada", **more}


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "beads.db")) as opened:
        migrate(opened, SCHEMA)
        queries.put_row(opened, row())
        leases.take(opened, LEASE)
        yield opened


def test_a_lease_is_found_by_its_issue(conn: sqlite3.Connection) -> None:
    assert leases.get(conn, "x-1") == LEASE
    assert leases.get(conn, "x-2") is None


def test_tokens_grow_and_are_never_below_the_time(conn: sqlite3.Connection) -> None:
    assert [leases.next_token(conn, floor) for floor in (100, 100, 50, 500)] == [100, 101, 102, 500]


def test_an_issue_has_one_lease(conn: sqlite3.Connection) -> None:
    taken = replace(LEASE, holder="bob", token=8)
    leases.take(conn, taken)
    assert leases.get(conn, "x-1") == taken
    assert leases.count(conn) == 1


def test_no_token_guards_two_issues(conn: sqlite3.Connection) -> None:
    copied = "SELECT 'x-2', holder, home, token, request, claimed_at, expires_at FROM leases"
    with pytest.raises(sqlite3.IntegrityError):
        conn.execute(f"INSERT INTO leases {copied}")


@pytest.mark.parametrize("at", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "soon"])
def test_a_time_that_would_not_compare_as_a_text_is_refused(
    conn: sqlite3.Connection, at: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        leases.renew(conn, "x-1", at)


def test_those_that_ran_out_are_listed_the_longest_ago_first(conn: sqlite3.Connection) -> None:
    leases.take(conn, replace(LEASE, issue_id="x-2", token=8, expires_at=EARLY))
    assert [lease.issue_id for lease in leases.expired(conn, LATE, 10)] == ["x-2", "x-1"]
    assert [lease.issue_id for lease in leases.expired(conn, EARLY, 10)] == ["x-2"]


ENDS: dict[str, dict[str, Any]] = {
    "closed": {"status": "closed"},
    "deleted": {"status": "tombstone"},
    "given back": {"status": "open"},
    "deferred": {"status": "deferred"},
    "assigned to somebody else": {"assignee": "bob"},
    "assigned to nobody": {"assignee": ""},
    "worked on in another home": {"metadata": {"beadflow": {"home": "there"}}},
}
GOES_ON: dict[str, dict[str, Any]] = {
    "renamed": {"title": "New"},
    "blocked": {"status": "blocked"},
    "of this home": {"metadata": {"beadflow": {"home": "here"}}},
    "with other metadata": {"metadata": [1]},
}


@pytest.mark.parametrize("change", ENDS)
def test_an_issue_that_is_no_longer_the_holders_ends_its_lease(
    conn: sqlite3.Connection, change: str
) -> None:
    leases.take(conn, replace(LEASE, issue_id="x-2", token=8))
    queries.put_row(conn, row(**ENDS[change]))
    assert leases.get(conn, "x-1") is None
    assert leases.get(conn, "x-2") is not None


@pytest.mark.parametrize("change", GOES_ON)
def test_an_issue_that_is_still_the_holders_keeps_its_lease(
    conn: sqlite3.Connection, change: str
) -> None:
    queries.put_row(conn, row(**GOES_ON[change]))
    assert leases.get(conn, "x-1") == LEASE


def test_an_issue_that_is_removed_ends_its_lease(conn: sqlite3.Connection) -> None:
    queries.delete_row(conn, "x-1")
    assert leases.get(conn, "x-1") is None


@pytest.mark.parametrize(
    ("status", "found"), [("open", "x-1"), ("hooked", "x-1"), ("closed", None), ("pinned", None)]
)
def test_open_is_what_bd_counts_as_open(
    conn: sqlite3.Connection, status: str, found: str | None
) -> None:
    queries.put_row(conn, row(status=status))
    assert leases.first_open(conn, ["x-1", "x-9"]) == found


# --- wisps ---------------------------------------------------------------------------------------


def test_a_wisp_is_not_published(conn: sqlite3.Connection) -> None:
    queries.put_row(conn, row("x-2", ephemeral=True))
    assert len(queries.all_lines(conn)) == 1
    assert queries.published_lines(conn).keys() == {"x-1"}
    assert queries.published_line(conn, "x-2") is None
    assert queries.get_line(conn, "x-2") is not None
    assert conn.execute("SELECT count(*) FROM issues WHERE local = 1").fetchone()[0] == 1


def test_a_wisp_that_is_kept_is_published_from_then_on(conn: sqlite3.Connection) -> None:
    queries.put_row(conn, row("x-2", ephemeral=True))
    queries.put_row(conn, row("x-2", ephemeral=False))
    queries.put_row(conn, row("x-2", ephemeral=True))
    assert queries.published_lines(conn).keys() == {"x-1", "x-2"}


def test_an_ephemeral_row_of_the_file_stays_in_the_file(conn: sqlite3.Connection) -> None:
    queries.put_row(conn, row("x-2", ephemeral=True), from_file=True)
    queries.put_row(conn, row("x-2", ephemeral=True, title="New"))
    assert queries.published_lines(conn).keys() == {"x-1", "x-2"}


def test_going_back_to_the_older_schema_removes_wisps_and_says_so(
    conn: sqlite3.Connection,
) -> None:
    queries.put_row(conn, row("x-2", ephemeral=True))
    rollback(conn, SCHEMA, to=1)
    assert [r[0] for r in conn.execute("SELECT id FROM issues")] == ["x-1"]
    (entry,) = queries.read_journal(conn, 0, 10)
    assert (entry.issue_id, entry.kind, entry.detail["status"]) == ("x-2", "removed", None)
