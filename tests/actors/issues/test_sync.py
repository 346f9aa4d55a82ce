"""Clones that meet through a real remote: both have all, and nothing of the user's moves."""

import subprocess
from pathlib import Path

import pytest
import trio

from actors.errors import CircuitOpen
from actors.issues.messages import AddComment, ApplyChange, ChangeLabels, CreateIssue, SetStatus
from actors.issues.publishing import sync
from actors.issues.publishing.git_remote import TOLERANCE
from actors.issues.publishing.sync_messages import (
    Contended,
    NoRemote,
    RemoteUnavailable,
    SyncRefused,
    Unrelated,
)
from actors.issues.verbs import StaleClaim
from actors.issues.writing.claims import Held, RenewLease, TakeLease
from actors.retrying import Retries
from storage.issues import jsonl, queries
from storage.issues.jsonl import Row
from tests.actors.issues.clones import all_opened, opened, remote_and_clones
from tests.actors.issues.world import LATER, make
from tests.storage.repositories import commit, git

REF = "refs/beadflow/issues"


def change(issue_id: str, *changes: object, at: str = LATER) -> ApplyChange:
    return ApplyChange(issue_id=issue_id, changes=changes, at=at)  # type: ignore[arg-type]


async def test_what_one_clone_has_the_other_one_gets(tmp_path: Path) -> None:
    bare, places = remote_and_clones(tmp_path, "a", "b")
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-1")))
        sent = await a.sync()
        assert (sent.pushed, sent.outgoing_count, sent.incoming_count) == (True, 1, 0)
        assert git(bare, "rev-parse", REF) == a.tip() == sent.commit
        got = await b.sync()
        assert (got.pushed, got.outgoing_count, got.incoming_count) == (False, 0, 1)
        assert [(one.issue_id, one.kind) for one in got.incoming] == [("x-1", "new")]
        assert a.path.read_bytes() == b.path.read_bytes()
        assert b.tip() == a.tip()


async def test_both_clones_work_is_in_both_after_they_met(tmp_path: Path) -> None:
    _, places = remote_and_clones(tmp_path, "a", "b")
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-1")))
        await a.sync()
        await b.sync()
        await a.run(change("x-1", AddComment(author="a", text="from a")))
        await a.run(CreateIssue(row=make("x-a")))
        await b.run(change("x-1", ChangeLabels(add=("from-b",)), SetStatus(status="in_progress")))
        await b.run(CreateIssue(row=make("x-b")))
        await b.record()
        await a.sync()
        met = await b.sync()
        assert (met.incoming_count, met.outgoing_count, met.pushed) == (2, 2, True)
        await a.sync()
        assert a.path.read_bytes() == b.path.read_bytes()
        row = a.rows()["x-1"]
        assert (row["labels"], row["status"]) == (["from-b"], "in_progress")
        assert [comment["text"] for comment in row["comments"]] == ["from a"]
        assert set(a.rows()) == {"x-1", "x-a", "x-b"}
        assert git(a.place, "rev-list", "--count", "--merges", REF) == "1"


async def test_two_children_of_one_id_are_both_kept_by_both_clones(tmp_path: Path) -> None:
    _, places = remote_and_clones(tmp_path, "a", "b")
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-1")))
        await a.sync()
        await b.sync()
        mine = make("x-1.1", title="Of a", created_by="a", created_at="2026-01-03T00:00:00Z")
        theirs = make("x-1.1", title="Of b", created_by="b", created_at="2026-01-03T00:00:01Z")
        await a.run(CreateIssue(row=mine))
        await b.run(CreateIssue(row=theirs))
        needs = {"issue_id": "x-b", "depends_on_id": "x-1.1", "type": "blocks", "created_at": LATER}
        await b.run(CreateIssue(row=make("x-b") | {"dependencies": [needs]}))
        await a.sync()
        told = await b.sync()
        ((old, new),) = told.renamed
        await a.sync()
        assert a.path.read_bytes() == b.path.read_bytes()
        rows = a.rows()
        assert old == "x-1.1"
        assert (rows[old]["title"], rows[new]["title"]) == ("Of a", "Of b")
        assert [edge["depends_on_id"] for edge in rows["x-b"]["dependencies"]] == [new]


async def test_a_renamed_issue_that_is_changed_meanwhile_is_renamed_with_its_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, places = remote_and_clones(tmp_path, "a", "b")
    original = sync.IssueSync._merge
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-1.1", title="Of a", created_by="a")))
        await b.run(CreateIssue(row=make("x-1.1", title="Of b", created_by="b")))
        await a.sync()
        said = False

        async def slow(self: sync.IssueSync, *args: object) -> object:
            nonlocal said
            merged = await original(self, *args)  # type: ignore[arg-type]
            if not said:
                said = True
                await b.run(change("x-1.1", AddComment(author="b", text="about b")))
            return merged

        monkeypatch.setattr(sync.IssueSync, "_merge", slow)
        told = await b.sync()
        ((_, new),) = told.renamed
        assert "comments" not in b.rows()["x-1.1"]
        assert [comment["text"] for comment in b.rows()[new]["comments"]] == ["about b"]


@pytest.mark.parametrize("comes_late", [False, True], ids=["before", "while it merges"])
async def test_claims_and_wisps_follow_an_issue_that_gets_another_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, comes_late: bool
) -> None:
    _, places = remote_and_clones(tmp_path, "a", "b")
    original = sync.IssueSync._merge
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-1.1", title="Of a", created_by="a")))
        await b.run(CreateIssue(row=make("x-1.1", title="Of b", created_by="b")))
        at, until = "2026-01-02T00:00:00.000000Z", "2026-01-03T00:00:00.000000Z"
        claim = {"holder": "b", "home": "h", "at": at, "expires_at": until}
        first = await b.run(TakeLease(issue_id="x-1.1", request="1", **claim))
        needs = {"depends_on_id": "x-1.1", "type": "blocks", "created_at": LATER}
        more: list[Row] = [
            make("x-w") | {"ephemeral": True, "dependencies": [needs | {"issue_id": "x-w"}]},
            make("x-1.1.1", title="Wisp below") | {"ephemeral": True},
            make("x-1.1.2", title="Below"),
            make("x-2") | {"dependencies": [needs | {"issue_id": "x-2"}]},
        ]
        below: list[Held] = []

        async def make_more() -> None:
            while more:
                await b.run(CreateIssue(row=more.pop()))
            below.append(await b.run(TakeLease(issue_id="x-1.1.2", request="2", **claim)))

        async def slow(self: sync.IssueSync, *args: object) -> object:
            merged = await original(self, *args)  # type: ignore[arg-type]
            if not below:
                await make_more()
            return merged

        if not comes_late:
            await make_more()
        await a.sync()
        monkeypatch.setattr(sync.IssueSync, "_merge", slow)
        ((_, new),) = (await b.sync()).renamed
        for issue_id, held in ((new, first), (f"{new}.2", below[0])):
            token = held.lease.token
            kept = await b.run(RenewLease(issue_id=issue_id, token=token, expires_at=until))
            assert (kept.lease.holder, kept.row["assignee"]) == ("b", "b")
        with pytest.raises(StaleClaim, match=f"not on issue x-1.1 but on {new}"):
            await b.run(RenewLease(issue_id="x-1.1", token=first.lease.token, expires_at=until))
        assert b.rows()["x-1.1"]["title"] == "Of a"
        for issue_id in ("x-w", "x-2"):
            line = queries.get_line(b.conn, issue_id)
            (edge,) = jsonl.parse(line or "")["dependencies"]
            assert edge["depends_on_id"] == new
        assert queries.local_ids(b.conn) == [f"{new}.1", "x-w"]
        assert b.rows().keys() == {"x-1.1", new, f"{new}.2", "x-2"}


async def test_of_several_merge_bases_the_bases_are_merged_first(tmp_path: Path) -> None:
    """Each took the other's commit in before either saw what the other made of it."""
    bare, places = remote_and_clones(tmp_path, "a", "b")
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-1")))
        await a.sync()
        await b.sync()
        await a.run(change("x-1", ChangeLabels(add=("from-a",))))
        await b.run(change("x-1", ChangeLabels(add=("from-b",))))
        await a.record()
        await b.record()
        mine, theirs = a.tip(), b.tip()
        git(b.place, "fetch", "--quiet", str(a.place), REF)
        git(a.place, "fetch", "--quiet", str(b.place), REF)
        for clone, first, second in ((a, mine, theirs), (b, theirs, mine)):
            git(clone.place, "push", "--quiet", "--force", str(bare), f"{second}:{REF}")
            await clone.sync()
            assert clone.rows()["x-1"]["labels"] == ["from-a", "from-b"]
            assert git(clone.place, "rev-parse", f"{REF}^@").split() == [first, second]
        await b.run(change("x-1", ChangeLabels(remove=("from-a",))))
        git(bare, "fetch", "--quiet", str(a.place), f"+{REF}:{REF}")
        await b.sync()
        assert b.rows()["x-1"]["labels"] == ["from-b"]
        await a.sync()
        assert a.path.read_bytes() == b.path.read_bytes()


@pytest.mark.parametrize("step", ["_merge", "_record", "_push", "_flush"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_sync_that_was_cut_off_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    _, places = remote_and_clones(tmp_path, "a", "b")
    original = getattr(sync.IssueSync, step)
    cut = False

    async def fail(self: sync.IssueSync, *args: object) -> object:
        nonlocal cut
        if cut:
            return await original(self, *args)
        cut = True
        if when == "after":
            await original(self, *args)
        raise SyncRefused("cut off")

    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-a")))
        await a.sync()
        await b.run(CreateIssue(row=make("x-b")))
        monkeypatch.setattr(sync.IssueSync, step, fail)
        with pytest.raises(SyncRefused, match="cut off"):
            await b.sync()
        await b.sync()
        await a.sync()
        assert set(a.rows()) == set(b.rows()) == {"x-a", "x-b"}
        assert a.path.read_bytes() == b.path.read_bytes()
        assert a.tip() == b.tip()


async def test_clones_that_began_before_they_met_keep_all_of_both(tmp_path: Path) -> None:
    _, places = remote_and_clones(tmp_path, "a", "b")
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-a")))
        await b.run(CreateIssue(row=make("x-b")))
        await a.sync()
        await b.sync()
        await a.sync()
        assert set(a.rows()) == set(b.rows()) == {"x-a", "x-b"}
        assert a.tip() == b.tip()


async def test_two_clones_at_rest_push_nothing_more(tmp_path: Path) -> None:
    bare, places = remote_and_clones(tmp_path, "a", "b")
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-a")))
        await b.run(CreateIssue(row=make("x-b")))
        for clone in (a, b, a):
            await clone.sync()
        rested = git(bare, "rev-parse", REF)
        for clone in (b, a, b):
            assert not (await clone.sync()).pushed
        assert git(bare, "rev-parse", REF) == rested


async def test_nothing_of_the_users_moves_and_no_lock_is_left(tmp_path: Path) -> None:
    _, places = remote_and_clones(tmp_path, "a", "b")
    async with all_opened(*places) as clones:
        for clone in clones:
            (clone.place / "staged.py").write_text("y = 2\n")
            git(clone.place, "add", "staged.py")
            (clone.place / "code.py").write_text("changed\n")
            await clone.run(CreateIssue(row=make(f"x-{clone.place.name}")))
        before = [clone.footprint() for clone in clones]
        for clone in (*clones, *clones):
            await clone.sync()
        assert [clone.footprint() for clone in clones] == before
        assert before[0][-2:] == ([], False)


async def test_a_dry_run_tells_what_would_come_and_go_and_moves_no_ref(tmp_path: Path) -> None:
    bare, places = remote_and_clones(tmp_path, "a", "b")
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-a", title="Of a")))
        await a.sync()
        await b.run(CreateIssue(row=make("x-b", title="Of b")))
        refs = git(b.place, "for-each-ref"), git(bare, "for-each-ref")
        told = await b.sync(dry_run=True)
        assert [(one.issue_id, one.kind, one.title) for one in told.incoming] == [
            ("x-a", "new", "Of a")
        ]
        assert [(one.issue_id, one.kind, one.title) for one in told.outgoing] == [
            ("x-b", "new", "Of b")
        ]
        assert (told.pushed, told.commit) == (False, None)
        assert (git(b.place, "for-each-ref"), git(bare, "for-each-ref")) == refs
        assert set(b.rows()) == {"x-b"}


async def test_a_push_that_came_too_late_is_made_again_with_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, places = remote_and_clones(tmp_path, "a", "b")
    original = sync.IssueSync._push
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-a")))
        await b.run(CreateIssue(row=make("x-b")))
        raced = False

        async def late(self: sync.IssueSync, *args: object) -> bool:
            nonlocal raced
            if not raced:
                raced = True
                await b.sync()
            return await original(self, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(sync.IssueSync, "_push", late)
        told = await a.sync()
        assert (told.attempts, told.pushed, told.incoming_count) == (2, True, 1)
        await b.sync()
        assert a.path.read_bytes() == b.path.read_bytes()
        assert set(a.rows()) == {"x-a", "x-b"}


async def test_a_race_that_is_always_lost_ends_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, places = remote_and_clones(tmp_path, "a")
    monkeypatch.setattr(sync, "PUSHES", Retries(attempts=3, initial_s=0.0))

    async def never(self: sync.IssueSync, *args: object) -> bool:
        del self, args
        return False

    monkeypatch.setattr(sync.IssueSync, "_push", never)
    async with all_opened(*places) as (a,):
        await a.run(CreateIssue(row=make("x-a")))
        with pytest.raises(Contended, match="each of 3 times"):
            await a.sync()


async def test_what_was_changed_while_the_merge_was_made_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, places = remote_and_clones(tmp_path, "a", "b")
    original = sync.IssueSync._merge
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-1")))
        await a.sync()
        await b.sync()
        await a.run(change("x-1", ChangeLabels(add=("from-a",))))
        await a.sync()

        async def slow(self: sync.IssueSync, *args: object) -> object:
            merged = await original(self, *args)  # type: ignore[arg-type]
            await b.run(change("x-1", AddComment(author="b", text="just now")))
            await b.flush()
            return merged

        monkeypatch.setattr(sync.IssueSync, "_merge", slow)
        await b.sync()
        row = b.rows()["x-1"]
        assert row["labels"] == ["from-a"]
        assert [comment["text"] for comment in row["comments"]] == ["just now"]


async def test_an_edit_of_the_file_by_hand_goes_along(tmp_path: Path) -> None:
    _, places = remote_and_clones(tmp_path, "a", "b")
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-1")))
        await a.sync()
        await b.sync()
        text = b.path.read_text().replace('"title":"T"', '"title":"By hand"')
        b.path.write_text(text)
        await b.sync()
        await a.sync()
        assert a.rows()["x-1"]["title"] == "By hand"


async def test_without_a_remote_it_says_how_to_add_one(tmp_path: Path) -> None:
    _, places = remote_and_clones(tmp_path, "a")
    git(places[0], "remote", "remove", "origin")
    async with all_opened(*places) as (a,):
        with pytest.raises(NoRemote, match="git remote add"):
            await a.sync()


async def test_a_remote_that_is_not_there_is_named(tmp_path: Path) -> None:
    _, places = remote_and_clones(tmp_path, "a")
    async with all_opened(*places) as (a,):
        with pytest.raises(NoRemote, match=r"no remote fork. There are: origin"):
            await a.sync(remote="fork")


async def test_of_several_remotes_without_an_origin_one_must_be_named(tmp_path: Path) -> None:
    _, places = remote_and_clones(tmp_path, "a")
    git(places[0], "remote", "rename", "origin", "one")
    git(places[0], "remote", "add", "two", "elsewhere")
    async with all_opened(*places) as (a,):
        with pytest.raises(NoRemote, match="one, two"):
            await a.sync()
        await a.run(CreateIssue(row=make("x-1")))
        assert (await a.sync(remote="one")).pushed


async def test_a_remote_that_cannot_be_reached_leaves_all_as_it_was(tmp_path: Path) -> None:
    bare, places = remote_and_clones(tmp_path, "a")
    bare.rename(tmp_path / "gone.git")
    async with all_opened(*places) as (a,):
        await a.run(CreateIssue(row=make("x-1")))
        with pytest.raises(RemoteUnavailable, match="origin cannot be reached"):
            await a.sync()
        (tmp_path / "gone.git").rename(bare)
        assert (await a.sync()).pushed


async def test_a_remote_that_stays_away_is_left_alone(tmp_path: Path) -> None:
    bare, places = remote_and_clones(tmp_path, "a")
    bare.rename(tmp_path / "gone.git")
    async with all_opened(*places) as (a,):
        await a.run(CreateIssue(row=make("x-1")))
        for _ in range(TOLERANCE.failures):
            with pytest.raises(RemoteUnavailable):
                await a.sync()
        (tmp_path / "gone.git").rename(bare)
        with pytest.raises(CircuitOpen, match="git:origin is left alone"):
            await a.sync()


async def test_a_remote_that_began_anew_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    bare, places = remote_and_clones(tmp_path, "a", "b")
    async with all_opened(*places) as (a, b):
        await a.run(CreateIssue(row=make("x-a")))
        await a.sync()
        git(bare, "update-ref", "-d", REF)
        await b.run(CreateIssue(row=make("x-b")))
        await b.sync()
        with pytest.raises(Unrelated, match="allow-unrelated"):
            await a.sync()
        assert set(a.rows()) == {"x-a"}
        await a.sync(allow_unrelated=True)
        assert set(a.rows()) == {"x-a", "x-b"}


async def test_git_that_is_off_is_left_alone(tmp_path: Path) -> None:
    _, places = remote_and_clones(tmp_path, "a")
    async with opened(places[0], mode="off") as a:
        with pytest.raises(SyncRefused, match="off"):
            await a.sync()


async def test_two_syncs_at_once_are_one_after_the_other(tmp_path: Path) -> None:
    _, places = remote_and_clones(tmp_path, "a")
    async with all_opened(*places) as (a,), trio.open_nursery() as nursery:
        await a.run(CreateIssue(row=make("x-1")))
        for _ in range(3):
            nursery.start_soon(a.sync)
    assert git(places[0], "rev-list", "--count", REF) == "1"


def commit_by_hand(bare: Path, data: bytes) -> str:
    """Commit a file on top of the remote's ref, as another program might."""
    (bare / "data").write_bytes(data)
    blob = git(bare, "hash-object", "-w", "data")
    listing = f"100644 blob {blob}\tissues.jsonl\n"
    made = subprocess.run(
        ["git", "mktree"], cwd=bare, input=listing, text=True, check=True, stdout=subprocess.PIPE
    )
    return git(bare, "commit-tree", made.stdout.strip(), "-p", REF, "-m", "By hand")


async def test_unreadable_lines_of_the_remote_take_nothing_away(tmp_path: Path) -> None:
    bare, places = remote_and_clones(tmp_path, "a", "b")
    async with all_opened(*places) as (a, b):
        for name in ("x-1", "x-2"):
            await a.run(CreateIssue(row=make(name)))
        await a.sync()
        await b.sync()
        spoilt = a.path.read_bytes().splitlines()[0] + b'\n{"id":"x-2","tit\n'
        made = commit_by_hand(bare, spoilt)
        git(bare, "update-ref", REF, made)
        told = await b.sync()
        assert told.quarantined == 1
        assert set(b.rows()) == {"x-1", "x-2"}
        side = b.path.with_name("issues.quarantine.jsonl")
        assert side.read_bytes() == b'{"id":"x-2","tit\n'
        await a.sync()
        assert set(a.rows()) == {"x-1", "x-2"}


async def test_the_branch_gets_one_commit_and_the_index_stays_consistent(tmp_path: Path) -> None:
    _, (place,) = remote_and_clones(tmp_path, "a")
    (place / "staged.py").write_text("y = 2\n")
    git(place, "add", "staged.py")
    (place / "code.py").write_text("changed\n")
    async with opened(place, mode="branch") as a:
        await a.run(CreateIssue(row=make("x-1")))
        before = git(place, "rev-parse", "HEAD")
        told = await a.sync()
        assert told.commit == git(place, "rev-parse", "main") != before
        assert git(place, "show", "--name-only", "--format=", "HEAD") == ".beads/issues.jsonl"
        assert git(place, "status", "--porcelain").splitlines() == ["M code.py", "A  staged.py"]
        assert git(place, "diff", "--cached", "--name-only") == "staged.py"
        assert (await a.sync()).commit is None, "there is nothing new"


async def test_in_branch_mode_a_version_the_user_staged_is_no_reversal(tmp_path: Path) -> None:
    _, (place,) = remote_and_clones(tmp_path, "a")
    async with opened(place, mode="branch") as a:
        await a.run(CreateIssue(row=make("x-1")))
        await a.flush()
        git(place, "add", ".beads")
        await a.run(CreateIssue(row=make("x-2")))
        await a.sync()
        assert git(place, "status", "--porcelain") == ""
        assert git(place, "show", "HEAD:.beads/issues.jsonl").count("\n") == 1


@pytest.mark.parametrize("state", ["MERGE_HEAD", "rebase-merge", "CHERRY_PICK_HEAD"])
async def test_in_the_middle_of_a_merge_no_branch_is_committed_on(
    tmp_path: Path, state: str
) -> None:
    _, (place,) = remote_and_clones(tmp_path, "a")
    (place / ".git" / state).write_text(git(place, "rev-parse", "HEAD"))
    async with opened(place, mode="branch") as a:
        await a.run(CreateIssue(row=make("x-1")))
        before = git(place, "rev-parse", "HEAD")
        with pytest.raises(SyncRefused, match="under way"):
            await a.sync()
        assert git(place, "rev-parse", "HEAD") == before


async def test_an_index_that_somebody_has_locked_is_waited_out(tmp_path: Path) -> None:
    _, (place,) = remote_and_clones(tmp_path, "a")
    lock = place / ".git" / "index.lock"
    lock.touch()
    async with opened(place, mode="branch") as a:
        await a.run(CreateIssue(row=make("x-1")))
        before = git(place, "rev-parse", "HEAD")
        with pytest.raises(SyncRefused, match="index"):
            await a.sync()
        assert git(place, "rev-parse", "HEAD") == before
        lock.unlink()
        assert (await a.sync()).commit


async def test_a_detached_head_is_not_moved(tmp_path: Path) -> None:
    _, (place,) = remote_and_clones(tmp_path, "a")
    git(place, "checkout", "--quiet", "--detach")
    async with opened(place, mode="branch") as a:
        await a.run(CreateIssue(row=make("x-1")))
        with pytest.raises(SyncRefused, match="no branch"):
            await a.sync()


async def test_a_dry_run_in_branch_mode_tells_what_would_be_committed(tmp_path: Path) -> None:
    _, (place,) = remote_and_clones(tmp_path, "a")
    async with opened(place, mode="branch") as a:
        await a.run(CreateIssue(row=make("x-1")))
        before = git(place, "rev-parse", "HEAD")
        told = await a.sync(dry_run=True)
        assert [(one.issue_id, one.kind) for one in told.outgoing] == [("x-1", "new")]
        assert git(place, "rev-parse", "HEAD") == before


async def test_linked_work_trees_share_the_ref(tmp_path: Path) -> None:
    bare, (place,) = remote_and_clones(tmp_path, "a")
    commit(place, "more.py")
    linked = tmp_path / "linked"
    git(place, "worktree", "add", "--quiet", str(linked))
    async with opened(linked) as a:
        await a.run(CreateIssue(row=make("x-1")))
        await a.sync()
        assert git(place, "rev-parse", REF) == git(bare, "rev-parse", REF)
        assert git(linked, "status", "--porcelain") == git(place, "status", "--porcelain") == ""
