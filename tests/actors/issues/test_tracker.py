"""The tracker, with the real writer, the real Git worker and their threads."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.clock import Clock, system_clock
from actors.errors import NotFound, StoreDamaged, ValidationError
from actors.hints import hint
from actors.issues.messages import (
    AddComment,
    AdoptRows,
    ApplyChange,
    CreateIssue,
    Flush,
    GetIssue,
    IssueId,
    JournalAdvanced,
    ListIssues,
    MintIssueId,
    SetStatus,
)
from actors.issues.publishing.git_worker import GitWorker
from actors.issues.publishing.publisher import IssuePublisher, PublisherSettings
from actors.issues.questions import (
    BlockedIssues,
    ClaimReady,
    CountIssues,
    DependencyCycles,
    DependencyTree,
    ExplainIssue,
    IssueFilter,
    QueryIssues,
    ReadyIssues,
    ShowIssue,
)
from actors.issues.tracker import IssueTracker
from actors.issues.verbs import (
    AddDependency,
    AlreadyClaimed,
    AmbiguousId,
    Blocked,
    ClaimIssue,
    CloseIssue,
    DependencyCycle,
    HeartbeatClaim,
    NewIssue,
    NothingReady,
    ReleaseClaim,
    StaleClaim,
    UpdateIssue,
)
from actors.stores import BEADS_SCHEMA as SCHEMA
from actors.writer import DatabaseWriter, write
from storage.database import empty_log, open_reader, open_writer
from storage.issues import file, jsonl, queries
from storage.issues.jsonl import Row
from storage.migrate import migrate
from storage.pool import ReadPool
from supervision import ChildSpec, System, ask, supervisor
from tests.actors.issues.board import NOW as TODAY
from tests.actors.issues.board import row
from tests.actors.issues.world import AT, HANDLERS, LATER, make

REAL = Path(__file__).parents[4] / "shared" / "data" / "beads" / "tracker-5722.jsonl"


def write_file(root: Path, *rows: Row) -> Path:
    path = root / ".beads" / "issues.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(jsonl.encode(row) + b"\n" for row in rows))
    return path


@asynccontextmanager
async def running(
    root: Path, *, prefix: str | None = None, clock: Clock | None = None
) -> AsyncIterator[System]:
    now = clock or system_clock
    database = root / "data" / "beads.db"
    connection = open_writer(database)
    migrate(connection, SCHEMA)
    connection.close()
    async with ReadPool(database, "beads").open() as pool, System.open() as system:
        writer, files = system.named("beads_writer"), system.named("git_worker")
        publisher = system.named("publisher")

        def wake() -> None:
            hint(publisher, JournalAdvanced())

        parts = {
            "beads_writer": lambda: DatabaseWriter(
                database, SCHEMA, HANDLERS, database="beads", on_commit=wake
            ),
            "git_worker": lambda: GitWorker(
                database, root / ".beads" / "issues.jsonl", repository=None
            ),
            "tracker": lambda: IssueTracker(
                writer=writer,
                files=files,
                database=database,
                pool=pool,
                directory=root / "My Repo",
                home="home-here",
                prefix=prefix,
                clock=now,
            ),
            "publisher": lambda: IssuePublisher(
                writer=writer,
                files=files,
                database=database,
                path=root / ".beads" / "issues.jsonl",
                settings=PublisherSettings(debounce_s=0, record=False),
            ),
        }
        children = [ChildSpec(id=name, name=name, build=build) for name, build in parts.items()]
        await system.start(supervisor("root", "one_for_one", children))
        yield system


async def mint(system: System, title: str = "T") -> IssueId:
    message = MintIssueId(title=title, description="", creator="me", created_at=AT)
    return await ask(system.named("tracker"), message)


async def test_a_new_issue_is_minted_stored_read_changed_and_published(tmp_path: Path) -> None:
    async with running(tmp_path) as system:
        issue_id = await mint(system)
        row = make(issue_id, title="T")
        await write(system.named("beads_writer"), CreateIssue(row=row, key=""))
        done = (SetStatus(status="closed", reason="Completed"), AddComment(author="a", text="ok"))
        change = ApplyChange(issue_id=issue_id, changes=done, at=LATER)
        await write(system.named("beads_writer"), change)
        found = await ask(system.named("tracker"), GetIssue(issue_id=issue_id))
        assert (found.status, found.close_reason) == ("closed", "Completed")
        flushed = await ask(system.named("publisher"), Flush())
    path = tmp_path / ".beads" / "issues.jsonl"
    assert flushed.sha256 == file.present_sha256(path)
    assert jsonl.parse(path.read_bytes()) == found.row


async def test_the_same_question_twice_mints_two_ids(tmp_path: Path) -> None:
    async with running(tmp_path) as system:
        first, second = await mint(system), await mint(system)
    assert first != second
    assert first.startswith("my-repo-")


async def test_an_id_that_is_stored_is_not_minted_again(tmp_path: Path) -> None:
    async with running(tmp_path, prefix="p") as system:
        first = await mint(system)
        await write(system.named("beads_writer"), CreateIssue(row=make(first), key=""))
    async with running(tmp_path, prefix="p") as system:
        assert await mint(system) != first


async def test_the_prefix_is_the_one_most_issues_have(tmp_path: Path) -> None:
    write_file(tmp_path, make("web-app-1a2"), make("web-app-1a3"), make("bd-1a2"))
    async with running(tmp_path) as system:
        assert (await mint(system)).startswith("web-app-")
    async with running(tmp_path, prefix="given") as system:
        assert (await mint(system)).startswith("given-")


async def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as system:
        message = MintIssueId(title="T", description="", creator="me", created_at="now")
        with pytest.raises(ValidationError):
            await ask(system.named("tracker"), message)


async def test_an_unknown_issue_is_not_found(tmp_path: Path) -> None:
    async with running(tmp_path) as system:
        with pytest.raises(NotFound):
            await ask(system.named("tracker"), GetIssue(issue_id="x-1"))


async def test_damage_is_an_answer_to_who_asked_and_no_crash(tmp_path: Path) -> None:
    async with running(tmp_path) as system:
        tracker = system.named("tracker")
        database = tmp_path / "data" / "beads.db"
        with closing(open_writer(database)) as connection:
            assert empty_log(connection, patience_s=1.0)
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
        with database.open("r+b") as file:
            file.seek(4096)
            file.write(b"U" * 4096 * (pages - 1))
        for message in (GetIssue(issue_id="x-1"), ListIssues()):
            with pytest.raises(StoreDamaged, match=r"beads\.db"):
                await ask(tracker, message)
        with pytest.raises(StoreDamaged, match="mint_issue_id"):
            await mint(system)


async def test_issues_are_listed_by_status_the_latest_first(tmp_path: Path) -> None:
    write_file(
        tmp_path,
        make("x-1", created_at="2026-01-03T00:00:00Z"),
        make("x-2", created_at="2026-01-04T00:00:00Z"),
        make("x-3", status="blocked"),
    )
    async with running(tmp_path) as system:
        tracker = system.named("tracker")
        found = await ask(tracker, ListIssues(status="open"))
        assert [issue.id for issue in found] == ["x-2", "x-1"]
        assert len(await ask(tracker, ListIssues(limit=2))) == 2
        with pytest.raises(ValidationError):
            await ask(tracker, ListIssues(limit=0))


async def test_a_file_changed_while_nobody_was_there_is_taken_in_at_start(tmp_path: Path) -> None:
    write_file(tmp_path, make("x-1"), make("x-2"))
    async with running(tmp_path):
        pass
    edited = write_file(tmp_path, make("x-1", title="Edited"), make("x-3"))
    os.utime(edited, (0, 0))  # nobody is writing it any more
    async with running(tmp_path) as system:
        tracker = system.named("tracker")
        assert (await ask(tracker, GetIssue(issue_id="x-1"))).title == "Edited"
        assert (await ask(tracker, GetIssue(issue_id="x-3"))).id == "x-3"
        with pytest.raises(NotFound):
            await ask(tracker, GetIssue(issue_id="x-2"))


async def test_a_file_that_cannot_be_read_does_not_keep_the_tracker_from_its_work(
    tmp_path: Path,
) -> None:
    (tmp_path / ".beads" / "issues.jsonl").mkdir(parents=True)
    async with running(tmp_path) as system:
        await write(system.named("beads_writer"), CreateIssue(row=make(), key=""))
        assert (await ask(system.named("tracker"), GetIssue(issue_id="x-1"))).title == "T"


async def test_the_real_tracker_is_loaded_and_left_as_it_is(tmp_path: Path) -> None:
    if not REAL.exists():
        pytest.skip(f"the real data is not at {REAL}")
    path = tmp_path / ".beads" / "issues.jsonl"
    path.parent.mkdir()
    path.write_bytes(REAL.read_bytes())
    async with running(tmp_path) as system:
        await ask(system.named("publisher"), Flush())
        assert (await mint(system)).startswith("hq-")
        with open_reader(tmp_path / "data" / "beads.db") as reader:
            assert len(queries.all_ids(reader)) == 5722
            assert queries.last_seq(reader) == 0
        reader.close()
    assert path.read_bytes() == REAL.read_bytes()


# --- the graph in memory -----------------------------------------------------------------------


async def query(system: System, **more: Any) -> list[str]:
    found = await ask(system.named("tracker"), QueryIssues(**more))
    return [issue.id for issue in found.issues]


async def ready(system: System, **more: Any) -> list[str]:
    found = await ask(system.named("tracker"), ReadyIssues(**more))
    return [explained.issue.id for explained in found]


async def close(system: System, issue_id: str) -> None:
    change = ApplyChange(issue_id=issue_id, changes=(SetStatus(status="closed"),), at=LATER)
    await write(system.named("beads_writer"), change)


async def test_every_answer_reflects_what_was_committed_before_it_was_asked(
    tmp_path: Path,
) -> None:
    write_file(tmp_path, row("x-1"), row("x-2", needs=["blocks:x-1"]))
    async with running(tmp_path) as system:
        assert await ready(system) == ["x-1"]
        await close(system, "x-1")
        assert await ready(system) == ["x-2"]
        await write(system.named("beads_writer"), CreateIssue(row=make("x-3")))
        assert await query(system, sort="id") == ["x-2", "x-3"]
        assert await query(system, sort="id", closed=True) == ["x-1", "x-2", "x-3"]


async def test_a_file_that_comes_to_an_empty_database_is_seen(tmp_path: Path) -> None:
    async with running(tmp_path) as system:
        assert await query(system) == []
        write_file(tmp_path, row("x-1"), row("x-2"))
        await ask(system.named("publisher"), Flush())
        assert await query(system, sort="id") == ["x-1", "x-2"]
        await write(system.named("beads_writer"), CreateIssue(row=make("x-3")))
        assert await query(system, sort="id") == ["x-1", "x-2", "x-3"]


async def test_a_first_file_that_comes_in_parts_is_seen_part_by_part(tmp_path: Path) -> None:
    def part(*issue_ids: str, more: bool) -> AdoptRows:
        lines = tuple((name, jsonl.encode_text(row(name))) for name in issue_ids)
        return AdoptRows(rows=lines, file_sha256="sha", at=LATER, more=more)

    async with running(tmp_path) as system:
        writer = system.named("beads_writer")
        await write(writer, part("x-1", more=True))
        assert await query(system, sort="id") == ["x-1"]
        await write(writer, part("x-2", more=True))
        assert await query(system, sort="id") == ["x-1", "x-2"]
        await write(writer, part("x-3", more=True))
        await write(writer, CreateIssue(row=make("x-4")))
        await write(writer, part("x-5", more=False))
        assert await query(system, sort="id") == ["x-1", "x-2", "x-3", "x-4", "x-5"]
        await write(writer, CreateIssue(row=make("x-6")))
        assert len(await query(system)) == 6


async def test_what_another_writer_of_the_file_changed_is_seen(tmp_path: Path) -> None:
    write_file(tmp_path, row("x-1"), row("x-2", "tombstone", deleted_at=LATER))
    async with running(tmp_path) as system:
        assert await ready(system) == ["x-1"]
        write_file(tmp_path, row("x-1", "closed", updated_at=TODAY), row("x-3"))
        await ask(system.named("publisher"), Flush())
        assert await ready(system) == ["x-3"]
        assert await query(system, filter=IssueFilter(status=("closed",))) == ["x-1"]


async def test_ready_work_comes_with_what_no_longer_blocks_it(tmp_path: Path) -> None:
    write_file(tmp_path, row("x-1", "closed"), row("x-2", needs=["blocks:x-1"]))
    async with running(tmp_path) as system:
        (found,) = await ask(system.named("tracker"), ReadyIssues())
    assert (found.issue.id, found.ready) == ("x-2", True)
    assert [cause.text for cause in found.causes] == ["x-1 is closed"]


async def test_blocked_work_comes_with_all_that_it_waits_for(tmp_path: Path) -> None:
    write_file(tmp_path, row("x-1"), row("x-2"), row("x-3", needs=["blocks:x-1", "blocks:x-2"]))
    async with running(tmp_path) as system:
        tracker = system.named("tracker")
        (found,) = await ask(tracker, BlockedIssues())
        assert await ask(tracker, ExplainIssue(issue_id="3")) == found
    assert [cause.path for cause in found.causes] == [("x-3", "x-1"), ("x-3", "x-2")]


async def test_an_issue_is_shown_with_what_surrounds_it(tmp_path: Path) -> None:
    write_file(
        tmp_path,
        row("x-p", needs=["blocks:x-b", "related:x-gone"]),
        row("x-b"),
        row("x-p.2", needs=["parent-child:x-p"]),
        row("x-p.10", needs=["parent-child:x-p"]),
        row("x-d", needs=["blocks:x-p"]),
    )
    async with running(tmp_path) as system:
        shown = await ask(system.named("tracker"), ShowIssue(issue_id="p"))
    assert [(edge.type, edge.id) for edge in shown.depends_on] == [
        ("blocks", "x-b"),
        ("related", "x-gone"),
    ]
    assert shown.depends_on[1].issue is None
    assert [(edge.type, edge.id) for edge in shown.dependents] == [("blocks", "x-d")]
    assert [child.id for child in shown.children] == ["x-p.2", "x-p.10"]


async def test_the_beginning_of_an_id_is_enough_when_only_one_begins_so(tmp_path: Path) -> None:
    write_file(tmp_path, row("x-abc"), row("x-abd"), row("x-c"))
    async with running(tmp_path) as system:
        tracker = system.named("tracker")
        assert (await ask(tracker, ShowIssue(issue_id="abc"))).issue.id == "x-abc"
        with pytest.raises(AmbiguousId, match="x-abc, x-abd"):
            await ask(tracker, ShowIssue(issue_id="x-a"))
        with pytest.raises(NotFound):
            await ask(tracker, ShowIssue(issue_id="b"))


async def test_words_are_found_in_every_text_of_an_issue(tmp_path: Path) -> None:
    comment = {"id": 1, "issue_id": "x-4", "author": "a", "text": "Ärger 100% sure"}
    write_file(
        tmp_path,
        row("x-1", title="Fix the LOGIN"),
        row("x-2", description="of the login"),
        row("x-3", notes="login_page"),
        row("x-4", comments=[comment | {"created_at": LATER}], priority=0),
        row("x-5", "closed", notes="login"),
        row("x-6", notes='then <SAY> "no\\yes" & go'),
    )
    async with running(tmp_path) as system:
        expected = {
            "login": ["x-1", "x-2", "x-3"],
            "login fix": ["x-1"],
            "login_": ["x-3"],
            "0%": ["x-4"],
            "x-2": ["x-2"],
            "ärger": ["x-4"],
            "ÄRGER SURE": ["x-4"],
            '<say> "no\\yes"': ["x-6"],
            "status": [],
            "nothing": [],
        }
        found = {
            text: await query(system, filter=IssueFilter(text=text), sort="id") for text in expected
        }
        assert found == expected
        assert await ready(system, filter=IssueFilter(text="login"), limit=2) == ["x-1", "x-2"]
        with pytest.raises(ValidationError):
            await query(system, filter=IssueFilter(text="x" * 1001))
        for nothing in ("\x1f", "\0", "\x01", " ", "login \0"):
            assert await query(system, filter=IssueFilter(text=nothing)) == []
            assert await ready(system, filter=IssueFilter(text=nothing)) == []


async def test_the_tree_the_circles_and_the_counts_are_answered(tmp_path: Path) -> None:
    write_file(
        tmp_path, row("x-1", needs=["blocks:x-2"]), row("x-2", needs=["blocks:x-1"]), row("x-3")
    )
    async with running(tmp_path) as system:
        tracker = system.named("tracker")
        assert await ask(tracker, DependencyCycles()) == (("x-1", "x-2"),)
        tree = await ask(tracker, DependencyTree(issue_id="1"))
        (below,) = tree.children
        assert (below.id, below.type, below.children[0].seen) == ("x-2", "blocks", True)
        assert tree.issue is not None
        counts = await ask(tracker, CountIssues())
        assert (counts.total, counts.ready, counts.blocked) == (3, 1, 2)


async def test_a_long_list_is_given_page_by_page(tmp_path: Path) -> None:
    write_file(tmp_path, *(row(f"x-{n}") for n in range(2500)))
    async with running(tmp_path) as system:
        found, cursor, totals = list[str](), None, set[int]()
        while cursor is not None or not found:
            message = QueryIssues(limit=1000, sort="id", cursor=cursor)
            page = await ask(system.named("tracker"), message)
            found += [issue.id for issue in page.issues]
            totals.add(page.total)
            cursor = page.next_cursor
    assert found == sorted(f"x-{n}" for n in range(2500))
    assert totals == {2500}


# --- verbs and claims: the tracker is asked, the writer writes, and the next answer knows it ---


async def test_what_a_verb_changed_is_in_the_next_answer(tmp_path: Path) -> None:
    async with running(tmp_path, prefix="bd") as system:
        tracker = system.named("tracker")
        first = await ask(tracker, NewIssue(fields={"title": "Build"}, actor="me"))
        waits = NewIssue(fields={"title": "Ship"}, actor="me", depends_on=(("blocks", first.id),))
        second = await ask(tracker, waits)
        ready = await ask(tracker, ReadyIssues())
        assert [found.issue.id for found in ready] == [first.id]
        with pytest.raises(Blocked, match=first.id):
            await ask(tracker, CloseIssue(issue_id=second.id, actor="me"))
        await ask(tracker, CloseIssue(issue_id=first.id, actor="me"))
        assert [found.issue.id for found in await ask(tracker, ReadyIssues())] == [second.id]


async def test_a_beginning_of_an_id_is_enough_for_a_verb(tmp_path: Path) -> None:
    async with running(tmp_path, prefix="bd") as system:
        tracker = system.named("tracker")
        made = await ask(tracker, NewIssue(fields={"title": "T"}, actor="me"))
        part = made.id[:-1]
        update = UpdateIssue(issue_id=part, actor="me", fields={"priority": 0})
        assert (await ask(tracker, update)).priority == 0


async def test_a_claim_takes_the_best_ready_issue_and_the_next_one_another(tmp_path: Path) -> None:
    async with running(tmp_path, prefix="bd") as system:
        tracker = system.named("tracker")
        for priority in (2, 0):
            fields = {"title": f"P{priority}", "priority": priority}
            await ask(tracker, NewIssue(fields=fields, actor="me"))
        one = await ask(tracker, ClaimReady(actor="ann"))
        two = await ask(tracker, ClaimReady(actor="bob"))
        assert [one.issue.title, two.issue.title] == ["P0", "P2"]
        assert (one.issue.status, one.issue.assignee) == ("in_progress", "ann")
        with pytest.raises(NothingReady):
            await ask(tracker, ClaimReady(actor="cy"))
        with pytest.raises(AlreadyClaimed, match="ann"):
            await ask(tracker, ClaimIssue(issue_id=one.issue.id, actor="bob"))
        shown = await ask(tracker, ShowIssue(issue_id=one.issue.id))
        assert shown.claim == {
            "holder": "ann",
            "token": one.token,
            "expires_at": one.expires_at,
        }


async def test_who_has_lost_a_claim_cannot_write_with_its_token(tmp_path: Path) -> None:
    async with running(tmp_path, prefix="bd") as system:
        tracker = system.named("tracker")
        made = await ask(tracker, NewIssue(fields={"title": "T"}, actor="me"))
        claim = await ask(tracker, ClaimIssue(issue_id=made.id, actor="ann"))
        assert (await ask(tracker, HeartbeatClaim(issue_id=made.id, token=claim.token))).token
        await ask(tracker, ReleaseClaim(issue_id=made.id, actor="ann", token=claim.token))
        again = await ask(tracker, ClaimIssue(issue_id=made.id, actor="bob"))
        late = CloseIssue(issue_id=made.id, actor="ann", token=claim.token)
        with pytest.raises(StaleClaim, match="bob"):
            await ask(tracker, late)
        done = CloseIssue(issue_id=made.id, actor="bob", token=again.token)
        assert (await ask(tracker, done)).status == "closed"


async def new(system: System, title: str, **more: Any) -> str:
    message = NewIssue(fields={"title": title}, actor="ada", **more)
    return (await ask(system.named("tracker"), message)).id


async def test_an_edge_that_would_close_a_circle_is_refused_and_a_child_is_shown(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, prefix="x") as system:
        tracker = system.named("tracker")
        first = await new(system, "First")
        second = await new(system, "Second", depends_on=(("blocks", first),))
        child = await new(system, "Child", parent=second)
        assert await ready(system) == [first]
        back = AddDependency(issue_id=first, depends_on_id=second, actor="ada")
        with pytest.raises(DependencyCycle):
            await ask(tracker, back)
        await ask(tracker, CloseIssue(issue_id=first.removeprefix("x-"), actor="ada"))
        assert await ready(system) == [child]
        assert [
            issue.id for issue in (await ask(tracker, ShowIssue(issue_id=second))).children
        ] == [child]


async def test_the_best_ready_issue_that_fits_is_claimed_in_one_step(tmp_path: Path) -> None:
    write_file(
        tmp_path,
        row("x-1", priority=0, notes="about login", needs=["blocks:x-3"]),
        row("x-2", priority=1),
        row("x-3", notes="login"),
    )
    async with running(tmp_path) as system:
        tracker = system.named("tracker")

        async def claim(**more: Any) -> str:
            return (await ask(tracker, ClaimReady(actor="ada", **more))).issue.id

        assert await claim(filter=IssueFilter(text="login")) == "x-3"
        assert await claim() == "x-2"
        with pytest.raises(NothingReady):
            await claim()
        with pytest.raises(ValidationError):
            await claim(policy="best")


async def test_when_nothing_else_is_ready_a_lease_that_ran_out_is_taken_over(
    tmp_path: Path,
) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    write_file(tmp_path, row("x-1"))
    async with running(tmp_path, clock=lambda: now) as system:
        tracker = system.named("tracker")
        first = await ask(tracker, ClaimReady(actor="ada", ttl_s=60))
        with pytest.raises(NothingReady):
            await ask(tracker, ClaimReady(actor="bob"))
        now += timedelta(seconds=61)
        second = await ask(tracker, ClaimReady(actor="bob"))
    assert (second.issue.id, second.issue.assignee) == ("x-1", "bob")
    assert second.token > first.token


async def test_many_who_claim_at_once_get_an_issue_each(tmp_path: Path) -> None:
    write_file(tmp_path, *(row(f"x-{n}") for n in range(30)))
    async with running(tmp_path) as system:
        claimed: list[str] = []

        async def agent(name: str) -> None:
            claimed.append((await ask(system.named("tracker"), ClaimReady(actor=name))).issue.id)

        async with trio.open_nursery() as nursery:
            for n in range(30):
                nursery.start_soon(agent, f"agent-{n}")
    assert sorted(claimed) == sorted(f"x-{n}" for n in range(30))
