"""Lists of workflows, on a database that was filled by hand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.coordination import listing
from actors.coordination.messages import ListWorkflows, WorkflowPage
from actors.errors import ValidationError
from storage import payload
from storage.coordination import queries
from tests.support.database import Database, open_database

STATUSES = ("active", "paused", "completed", "failed")
TYPES = ("one", "other")
Row = dict[str, Any]


class Pool:
    """Reads on the database's own connection, and counts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.fetched = 0

    async def fetch(self, operation: str, sql: str, params: Any) -> list[Any]:
        del operation
        self.fetched += 1
        return self._database.conn.execute(sql, params).fetchall()


@contextmanager
def filled(path: Path, rows: Sequence[Row]) -> Iterator[Any]:
    with open_database(path, "storage.coordination", {}) as database:
        for row in rows:
            queries.insert_mapping(database.conn, row)
            if row["agent_id"] is not None:
                queries.insert_assignment(
                    database.conn,
                    workflow_id=row["workflow_id"],
                    agent_type="a",
                    agent_id=row["agent_id"],
                    priority=row["priority"],
                    at=row["at"],
                )
        yield Pool(database)


def row(number: int, **other: Any) -> Row:
    return {
        "issue_id": f"x-{number}",
        "workflow_id": f"w-{number:05}",
        "workflow_type": "one",
        "version": 1,
        "title": f"Title {number}",
        "status": "active",
        "priority": 2,
        "agent_type": None,
        "agent_id": None,
        "variables": payload.encode({}),
        "at": f"2026-01-01T00:00:{number // 3 % 60:02}.000000Z",
        "idempotency_key": None,
        "request_sha256": "",
        **other,
    }


async def pages(pool: Any, **asked: Any) -> list[WorkflowPage]:
    found: list[WorkflowPage] = []
    cursor: str | None = None
    while not found or cursor is not None:
        page = await listing.list_workflows(pool, ListWorkflows(cursor=cursor, **asked))
        found.append(page)
        cursor = page.next_cursor
    return found


async def ids(pool: Any, **asked: Any) -> list[str]:
    return [record.id for page in await pages(pool, **asked) for record in page.records]


MADE = [
    row(
        number,
        status=STATUSES[number * 7 % 4],
        workflow_type=TYPES[number % 2],
        priority=number % 5,
        agent_type=None if number % 3 else "a",
        agent_id=None if number % 3 else f"a-{number % 2}",
        title=f"{'Straße' if number % 4 == 0 else 'Path'} {number}",
    )
    for number in range(60)
]


def expected(asked: dict[str, Any]) -> list[str]:
    def wanted(one: Row) -> bool:
        exact = {"workflow_type": "workflow_type", "agent_id": "agent_id", "priority": "priority"}
        exact |= {"agent_type": "agent_type", "issue_id": "issue_id"}
        return (
            all(one[exact[name]] == asked[name] for name in exact if asked.get(name) is not None)
            and (not asked.get("statuses") or one["status"] in asked["statuses"])
            and asked.get("created_after", "") <= one["at"]
            and one["at"] < asked.get("created_before", "~")
            and asked.get("text", "").casefold() in one["title"].casefold()
        )

    found = [one for one in MADE if wanted(one)]
    rising = asked.get("oldest_first", False)
    found.sort(key=lambda one: (one["at"], one["workflow_id"]), reverse=not rising)
    return [one["workflow_id"] for one in found]


FILTERS = st.fixed_dictionaries(
    {"limit": st.integers(1, 20)},
    optional={
        "statuses": st.lists(st.sampled_from(STATUSES), max_size=4).map(tuple),
        "workflow_type": st.sampled_from(TYPES),
        "agent_id": st.sampled_from(("a-0", "a-1", "nobody")),
        "agent_type": st.sampled_from(("a", "b")),
        "priority": st.integers(0, 4),
        "issue_id": st.sampled_from(("x-1", "x-30", "x-99")),
        "created_after": st.integers(0, 20).map(lambda s: f"2026-01-01T00:00:{s:02}.000000Z"),
        "created_before": st.integers(0, 20).map(lambda s: f"2026-01-01T00:00:{s:02}.000000Z"),
        "text": st.sampled_from(("", "path", "STRASSE", "7", "nothing")),
        "oldest_first": st.booleans(),
    },
)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with filled(tmp_path_factory.mktemp("listing") / "x.db", MADE) as made:
        yield made


@pytest.mark.parametrize("step", [500, 3])
def test_any_filters_at_once_list_what_they_name_once_and_in_order(
    pool: Any, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "STEP", step)
    monkeypatch.setattr(listing, "SCAN_LIMIT", 4 * step)

    @given(FILTERS)
    def holds(asked: dict[str, Any]) -> None:
        assert trio.run(lambda: ids(pool, **asked)) == expected(asked)

    holds()


async def test_a_search_looks_at_so_many_and_goes_on_with_the_next_page(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "STEP", 5)
    monkeypatch.setattr(listing, "SCAN_LIMIT", 10)
    before = pool.fetched
    page = await listing.list_workflows(pool, ListWorkflows(text="nothing of the kind"))
    assert (page.records, pool.fetched - before) == ((), 2)
    assert page.next_cursor is not None
    assert len(await pages(pool, text="nothing of the kind")) == 7  # the last one is empty


async def test_a_moment_may_be_written_in_any_zone(pool: Any) -> None:
    there = await ids(pool, created_after="2026-01-01T01:00:10.000000+01:00")
    assert there == await ids(pool, created_after="2026-01-01T00:00:10Z")
    assert there != await ids(pool)


@pytest.mark.parametrize("given_", ["", "now", "2026-01-01", "2026-13-01T00:00:00Z"])
async def test_what_is_no_moment_is_refused(pool: Any, given_: str) -> None:
    with pytest.raises(ValidationError) as refused:
        await listing.list_workflows(pool, ListWorkflows(created_after=given_))
    assert refused.value.field == "created_after"


@pytest.mark.parametrize(
    "given_", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999999-23:59"]
)
async def test_moments_at_the_ends_of_time_are_moments(pool: Any, given_: str) -> None:
    await ids(pool, created_after=given_, created_before=given_)
