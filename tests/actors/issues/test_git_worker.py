"""The Git worker: what it makes of files and repositories in any state."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.issues.messages import (
    AdoptRows,
    CompareFile,
    Composed,
    ComposeFile,
    InstallFile,
    MarkFlushed,
    Outside,
    PublicationFailed,
    Recorded,
    RecordFile,
)
from actors.issues.publishing import git_worker
from storage.issues import file, jsonl
from tests.actors.issues.world import LATER, World, make, open_world


def git(place: Path, *args: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *args],
        cwd=place,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "repo"
    git(tmp_path, "init", "-q", "-b", "main", str(place))
    (place / "code.py").write_text("x = 1\n")
    git(place, "add", ".")
    git(place, "commit", "-qm", "start")
    return place


@pytest.fixture
def in_git(tmp_path: Path, repository: Path) -> Iterator[World]:
    with open_world(tmp_path, repository) as opened:
        yield opened


def publish(world: World) -> None:
    composed: Composed = world.ask_files(ComposeFile())
    install = InstallFile(data=composed.data, expected_sha256=composed.present_sha256)
    assert world.ask_files(install)


def take_in(world: World) -> Outside:
    outside: Outside = world.ask_files(CompareFile())
    assert outside.sha256 is not None
    world.run(AdoptRows(rows=outside.rows, file_sha256=outside.sha256, at=LATER))
    return outside


def test_the_file_is_the_lines_in_the_order_of_their_ids(world: World) -> None:
    for issue_id in ("x-b", "x-a.10", "x-a.2"):
        world.create(issue_id)
    composed = world.ask_files(ComposeFile())
    publish(world)
    assert list(world.published()) == ["x-a.10", "x-a.2", "x-b"]
    assert composed.sha256 == file.present_sha256(world.path)
    assert composed.seq == 3


def test_issues_that_only_the_ref_still_has_are_taken_from_there(
    in_git: World, tmp_path: Path, repository: Path
) -> None:
    in_git.create("x-1")
    publish(in_git)
    recorded: Recorded = in_git.ask_files(RecordFile())
    assert recorded.commit is not None
    in_git.path.unlink()
    with open_world(tmp_path / "new", repository) as anew:
        assert list(anew.published()) == ["x-1"]
        take_in(anew)
        assert anew.holds("x-1")
        again: Recorded = anew.ask_files(RecordFile())
        assert again.commit is None, "it is what the ref has"


def test_the_ref_is_not_asked_when_the_file_or_the_database_knows_more(
    in_git: World, tmp_path: Path, repository: Path
) -> None:
    in_git.create("x-1")
    publish(in_git)
    in_git.ask_files(RecordFile())
    in_git.path.unlink()
    with open_world(tmp_path, repository) as again:
        assert not again.path.exists(), "the database has the issues: it is written from there"
    in_git.write_outside(make("x-2"))
    with open_world(tmp_path / "new", repository) as anew:
        assert list(anew.published()) == ["x-2"]


def test_a_file_that_is_not_the_expected_one_is_left(world: World) -> None:
    world.write_outside(make())
    assert world.ask_files(InstallFile(data=b"", expected_sha256=None)) is None
    assert list(world.published()) == ["x-1"]


def test_a_file_that_was_taken_in_differs_in_nothing_whatever_its_order(world: World) -> None:
    world.write_outside(make("x-2"), make("x-1"))
    assert len(take_in(world).rows) == 2
    world.write_outside(make("x-1"), make("x-2"))
    assert take_in(world).rows == ()


def test_an_unreadable_line_is_kept_beside_the_file_and_removes_nothing(world: World) -> None:
    world.write_outside(make("x-1"), make("x-2"))
    take_in(world)
    bad = b'{"id":"x-2","title":"cut o'
    world.write_outside(make("x-1"))
    world.path.write_bytes(world.path.read_bytes() + bad + b"\n\xff\xfe\n")
    outside = take_in(world)
    assert (outside.rows, outside.quarantined) == ((), 2)
    publish(world)
    side = world.path.with_name(file.QUARANTINE_NAME)
    assert side.read_bytes() == bad + b"\n\xff\xfe\n"
    assert list(world.published()) == ["x-1", "x-2"]


def test_an_emptied_file_removes_nothing(world: World) -> None:
    world.write_outside(make("x-1"))
    take_in(world)
    world.path.write_bytes(b"")
    assert take_in(world).rows == ()


def test_a_directory_in_the_place_of_the_file_is_a_refusal_and_no_crash(world: World) -> None:
    world.path.mkdir(parents=True)
    for message in (ComposeFile(), CompareFile(), InstallFile(data=b"", expected_sha256=None)):
        with pytest.raises(PublicationFailed):
            world.ask_files(message)


def test_a_recording_touches_neither_head_nor_index_nor_work_tree(in_git: World) -> None:
    repository = in_git.repository
    assert repository is not None
    before = git(repository, "rev-parse", "HEAD")
    in_git.create()
    publish(in_git)
    recorded = in_git.ask_files(RecordFile())
    assert git(repository, "rev-parse", "refs/beadflow/issues") == recorded.commit
    shown = git(repository, "show", "refs/beadflow/issues:issues.jsonl")
    assert shown.encode() + b"\n" == in_git.path.read_bytes()
    assert git(repository, "rev-parse", "HEAD") == before
    assert git(repository, "status", "--porcelain") == ""


def test_what_the_ref_has_is_not_recorded_again(in_git: World) -> None:
    in_git.create()
    publish(in_git)
    assert in_git.ask_files(RecordFile()).commit is not None
    assert in_git.ask_files(RecordFile()) == Recorded(commit=None)


def test_recordings_are_packed_from_time_to_time(
    in_git: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_worker, "MAINTAIN_AFTER", 2)
    for issue_id in ("x-1", "x-2"):
        in_git.create(issue_id)
        publish(in_git)
        in_git.ask_files(RecordFile())
    assert in_git.repository is not None
    assert "packs: 1" in git(in_git.repository, "count-objects", "-v")


def test_a_file_that_the_users_branch_holds_is_not_hidden(tmp_path: Path, repository: Path) -> None:
    (repository / ".beads").mkdir()
    (repository / ".beads" / "issues.jsonl").write_bytes(b"")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "track")
    with open_world(tmp_path, repository) as world:
        world.create()
        publish(world)
        assert git(repository, "status", "--porcelain") == "M .beads/issues.jsonl"


def test_a_linked_work_tree_records_on_the_same_ref(tmp_path: Path, repository: Path) -> None:
    linked = tmp_path / "linked"
    git(repository, "worktree", "add", "-q", str(linked))
    with open_world(tmp_path, linked) as world:
        world.create()
        publish(world)
        commit = world.ask_files(RecordFile()).commit
        assert git(repository, "rev-parse", "refs/beadflow/issues") == commit
        assert git(linked, "status", "--porcelain") == ""


def test_without_git_nothing_is_recorded(world: World) -> None:
    world.create()
    publish(world)
    assert world.ask_files(RecordFile()) == Recorded(commit=None)


def test_a_locked_ref_is_a_refusal_and_works_again_later(in_git: World) -> None:
    repository = in_git.repository
    assert repository is not None
    in_git.create()
    publish(in_git)
    lock = repository / ".git" / "refs" / "beadflow" / "issues.lock"
    lock.parent.mkdir()
    lock.touch()
    with pytest.raises(PublicationFailed, match="record the issues"):
        in_git.ask_files(RecordFile())
    lock.unlink()
    assert in_git.ask_files(RecordFile()).commit is not None


def test_a_broken_repository_stops_nothing_but_recordings(tmp_path: Path, repository: Path) -> None:
    (repository / ".git" / "config").write_text("[broken")
    with open_world(tmp_path, repository) as world:
        world.create()
        publish(world)
        with pytest.raises(PublicationFailed):
            world.ask_files(RecordFile())
        assert list(world.published()) == ["x-1"]


def test_in_branch_mode_nothing_is_recorded_and_nothing_hidden(
    tmp_path: Path, repository: Path
) -> None:
    with open_world(tmp_path, repository, mode="branch") as world:
        world.create()
        publish(world)
        assert world.ask_files(RecordFile()) == Recorded(commit=None)
        assert git(repository, "for-each-ref", "refs/beadflow") == ""
        assert git(repository, "status", "--porcelain") == "?? .beads/"


def test_two_issues_of_one_id_that_others_put_into_the_file_are_both_taken_in(world: World) -> None:
    """As a union merge on a hosting site leaves them, which knows no merge driver."""
    world.create("x-1")
    publish(world)
    mine = make("x-1.1", title="Mine", created_by="ann", created_at="2026-01-01T00:00:00Z")
    other = make("x-1.1", title="Theirs", created_by="bob", created_at="2026-01-01T00:00:05Z")
    lines = [jsonl.encode(row) + b"\n" for row in (make("x-1"), mine, other)]
    world.path.write_bytes(b"".join(lines))
    assert take_in(world).duplicates == 1
    publish(world)
    titles = {row["title"]: name for name, row in world.published().items()}
    assert titles["Mine"] == "x-1.1"
    assert titles["Theirs"].startswith("x-1.")
    assert len(titles) == 3


def compare(world: World) -> dict[str, str | None]:
    outside: Outside = world.ask_files(CompareFile())
    return dict(outside.rows)


def publish_here(world: World) -> None:
    """Publish, and commit the file on the user's branch."""
    composed: Composed = world.ask_files(ComposeFile())
    install = InstallFile(data=composed.data, expected_sha256=composed.present_sha256)
    assert world.ask_files(install)
    world.run(MarkFlushed(seq=composed.seq, sha256=composed.sha256, place=composed.place))
    git(world.path.parent, "add", "-f", world.path.name)
    git(world.path.parent, "commit", "-qm", "issues")


@pytest.fixture
def tracked(in_git: World) -> World:
    """The user's branch has two versions of the file: with one issue, and with two."""
    in_git.create("x-1")
    publish_here(in_git)
    in_git.create("x-2")
    publish_here(in_git)
    return in_git


def test_rows_that_an_older_commit_does_not_have_are_not_removed_by_its_checkout(
    tracked: World,
) -> None:
    git(tracked.path.parent, "checkout", "-q", "HEAD~1")
    assert [*tracked.published()] == ["x-1"]
    assert compare(tracked) == {}


def test_a_row_of_a_tracked_file_that_an_edit_takes_out_is_removed(tracked: World) -> None:
    tracked.write_outside(make("x-2"))
    assert compare(tracked) == {"x-1": None}


def test_a_row_that_a_commit_took_out_is_removed_by_pulling_it(tracked: World) -> None:
    git(tracked.path.parent, "checkout", "-qb", "theirs")
    tracked.write_outside(make("x-2"))
    git(tracked.path.parent, "commit", "-qam", "less")
    git(tracked.path.parent, "checkout", "-q", "main")
    assert compare(tracked) == {}
    git(tracked.path.parent, "merge", "-q", "theirs")
    assert compare(tracked) == {"x-1": None}
