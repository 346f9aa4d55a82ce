import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import GitError, GitTimeout, RefMoved, UnsafePath
from storage.git import ISSUES_FILE, ISSUES_REF, Repository
from storage.gitrunner import Interrupt
from tests.storage.repositories import commit, git, make


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = make(tmp_path / "repo")
    commit(place, "a.txt")
    return place


@pytest.fixture
def repo(place: Path) -> Iterator[Repository]:
    with opened(place) as repo:
        yield repo


def opened(place: Path, *, deadline_s: float = 20.0) -> Repository:
    repo = Repository.discover(place, deadline_s=deadline_s)
    assert repo is not None
    return repo


def footprint(place: Path) -> tuple[str, bytes, str]:
    """What of the user's must stay as it is: HEAD and branches, the index, the work tree."""
    refs = git(place, "for-each-ref", "refs/heads", "--format=%(refname) %(objectname)")
    index = (place / ".git" / "index").read_bytes()
    return refs, index, git(place, "status", "--porcelain") + git(place, "rev-parse", "HEAD")


def test_what_is_recorded_is_read_back(repo: Repository) -> None:
    first = repo.record(b'{"id":"a-1"}\n', "Record one issue")
    assert first is not None
    assert repo.commit_at() == first
    assert repo.read() == b'{"id":"a-1"}\n'


def test_the_commits_form_a_line_git_itself_can_read(repo: Repository, place: Path) -> None:
    repo.record(b"1\n", "First")
    repo.record(b"2\n", "Second\n\nwith a body")
    assert git(place, "log", "--format=%s|%an|%ae", ISSUES_REF).splitlines() == [
        "Second|beadflow|beadflow@localhost",
        "First|beadflow|beadflow@localhost",
    ]
    assert git(place, "show", f"{ISSUES_REF}:{ISSUES_FILE}") == "2"
    git(place, "fsck", "--strict")


def test_the_same_content_is_not_recorded_twice(repo: Repository) -> None:
    first = repo.record(b"1\n", "First")
    assert repo.record(b"1\n", "Again") is None
    assert repo.commit_at() == first


def test_head_index_and_work_tree_are_left_alone(repo: Repository, place: Path) -> None:
    (place / "a.txt").write_text("changed\n")
    (place / "new.txt").write_text("new\n")
    git(place, "add", "new.txt")
    before = footprint(place)
    repo.record(b"1\n", "First")
    repo.record(b"2\n", "Second")
    repo.maintain()
    assert footprint(place) == before


def test_a_file_is_recorded_by_its_path(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "issues.jsonl").write_bytes(b"\x00\xff\r\n")
    repo.record(tmp_path / "issues.jsonl", "Bytes stay bytes")
    assert repo.read() == b"\x00\xff\r\n"


def test_a_pipe_is_refused_and_not_waited_for(repo: Repository, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "issues.jsonl")
    with pytest.raises(OSError, match="it is no regular file"):
        repo.record(tmp_path / "issues.jsonl", "Never")


def test_an_empty_repository_and_a_bare_one_can_record(tmp_path: Path) -> None:
    for place in (make(tmp_path / "empty"), make(tmp_path / "bare.git", bare=True)):
        with opened(place) as repo:
            assert repo.head_commit() is None
            assert repo.read() is None
            repo.record(b"1\n", "First")
            assert repo.read() == b"1\n"
            assert repo.head_commit() is None


def test_a_linked_work_tree_records_on_the_shared_ref(place: Path, tmp_path: Path) -> None:
    git(place, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    with opened(tmp_path / "linked") as linked, opened(place) as main:
        linked.record(b"1\n", "From the linked tree")
        assert main.read() == b"1\n"


def test_the_repositorys_own_identity_signs_the_commits(place: Path) -> None:
    git(place, "config", "user.name", "Grace")
    git(place, "config", "user.email", "grace@example.org")
    with opened(place) as repo:
        repo.record(b"1\n", "First")
    assert git(place, "log", "-1", "--format=%an <%ae>", ISSUES_REF) == "Grace <grace@example.org>"


def test_other_files_of_the_ref_are_kept(repo: Repository) -> None:
    repo.record(b"1\n", "First")
    repo.record(b"note\n", "Beside it", filename="notes.md")
    repo.record(b"2\n", "Second")
    assert (repo.read(), repo.read(filename="notes.md")) == (b"2\n", b"note\n")


def test_a_file_the_ref_does_not_have_is_none(repo: Repository) -> None:
    repo.record(b"1\n", "First")
    assert repo.read(filename="other") is None
    assert repo.read("refs/beadflow/other") is None


def test_the_head_commit_is_known(repo: Repository, place: Path) -> None:
    assert repo.head_commit() == git(place, "rev-parse", "HEAD")


def test_only_what_the_head_commit_has_is_tracked(repo: Repository, place: Path) -> None:
    commit(place, ".beads/issues.jsonl")
    (place / "new.txt").touch()
    git(place, "add", "new.txt")
    assert repo.tracks(Path(".beads/issues.jsonl"))
    assert repo.tracks(place / ".beads" / "issues.jsonl")
    assert not repo.tracks(Path("new.txt"))
    assert not repo.tracks(Path(".beads"))
    with pytest.raises(UnsafePath):
        repo.tracks(Path("../outside"))


def test_a_ref_that_moved_meanwhile_is_read_again(
    repo: Repository, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.record(b"1\n", "First")
    monkeypatch.setattr(repo, "_commit", racing(repo, place, times=1))
    repo.record(b"2\n", "Second")
    assert repo.read() == b"2\n"
    assert git(place, "log", "--format=%s", ISSUES_REF).splitlines()[:2] == ["Second", "Rival 1"]


def test_a_race_lost_twice_is_told(
    repo: Repository, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.record(b"1\n", "First")
    monkeypatch.setattr(repo, "_commit", racing(repo, place, times=2))
    with pytest.raises(RefMoved, match=ISSUES_REF):
        repo.record(b"2\n", "Second")
    assert git(place, "log", "-1", "--format=%s", ISSUES_REF) == "Rival 2"


def racing(repo: Repository, place: Path, *, times: int) -> object:
    """Makes someone else move the ref after it was read and before it is written."""
    original = repo._commit
    moved = 0

    def commit_late(entries: dict[str, str], parent: str | None, message: str) -> str:
        nonlocal moved
        made = original(entries, parent, message)
        if moved < times:
            moved += 1
            tree = git(place, "rev-parse", f"{ISSUES_REF}^{{tree}}")
            parents = ("-p", git(place, "rev-parse", ISSUES_REF))
            rival = git(place, "commit-tree", tree, *parents, "-m", f"Rival {moved}")
            git(place, "update-ref", ISSUES_REF, rival)
        return made

    return commit_late


def test_packing_leaves_the_history_and_the_users_loose_objects(
    repo: Repository, place: Path
) -> None:
    for n in range(12):
        repo.record(f"{n}\n".encode() * 50, f"Record {n}")
    users = git(place, "rev-parse", "HEAD")
    repo.maintain()
    assert (place / ".git" / "objects" / users[:2] / users[2:]).exists()
    assert len(list(place.glob(".git/objects/pack/*.pack"))) == 1
    assert repo.read() == b"11\n" * 50
    assert git(place, "rev-list", "--count", ISSUES_REF) == "12"
    git(place, "fsck", "--strict")
    repo.maintain()
    assert len(list(place.glob(".git/objects/pack/*.pack"))) == 1


def test_there_is_nothing_to_pack_without_a_ref(repo: Repository, place: Path) -> None:
    repo.maintain()
    assert list(place.glob(".git/objects/pack/*")) == []


def test_a_pattern_is_excluded_once_and_the_users_lines_stay(repo: Repository, place: Path) -> None:
    exclude = place / ".git" / "info" / "exclude"
    exclude.write_text("mine.txt")
    assert repo.exclude(".beads/issues.jsonl")
    assert not repo.exclude(".beads/issues.jsonl")
    assert exclude.read_text() == "mine.txt\n.beads/issues.jsonl\n"
    (place / ".beads").mkdir()
    (place / ".beads" / "issues.jsonl").touch()
    assert git(place, "status", "--porcelain") == ""


def test_the_exclude_file_is_made_where_there_is_none(repo: Repository, place: Path) -> None:
    (place / ".git" / "info" / "exclude").unlink()
    (place / ".git" / "info").rmdir()
    repo.exclude("x")
    assert (place / ".git" / "info" / "exclude").read_text() == "x\n"


def test_exclude_never_writes_through_a_link(repo: Repository, place: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("untouched\n")
    info = place / ".git" / "info"
    (info / "exclude").unlink()
    (info / "exclude").symlink_to(canary)
    repo.exclude("x")
    assert canary.read_text() == "untouched\n"
    (info / "exclude").unlink()
    info.rmdir()
    info.symlink_to(tmp_path)
    with pytest.raises(UnsafePath):
        repo.exclude("y")


def test_a_pattern_is_one_line(repo: Repository) -> None:
    with pytest.raises(GitError):
        repo.exclude("a\n*")


def test_outside_a_repository_there_is_none(tmp_path: Path) -> None:
    assert Repository.discover(tmp_path) is None


def test_a_damaged_object_is_a_typed_error(repo: Repository, place: Path) -> None:
    repo.record(b"1\n" * 100, "First")
    blob = git(place, "rev-parse", f"{ISSUES_REF}:{ISSUES_FILE}")
    file = place / ".git" / "objects" / blob[:2] / blob[2:]
    file.chmod(stat.S_IWUSR | stat.S_IRUSR)
    file.write_bytes(b"damage")
    with pytest.raises(GitError):
        repo.read()


def test_a_command_that_hangs_is_killed_with_its_children(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child holds the output open, so a return before it ends means that it was killed, too."""
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nsleep 60 &\nwait\n")
    slow.chmod(0o755)
    with opened(place, deadline_s=0.3) as repo:
        monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
        started = time.monotonic()
        with pytest.raises(GitTimeout):
            repo.head_commit()
        assert time.monotonic() - started < 30


def test_without_git_the_error_says_so(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(place) as repo:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(GitError, match="not installed"):
            repo.head_commit()


def test_git_runs_in_a_session_of_its_own_so_that_an_interrupt_is_ours_alone(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling = tmp_path / "bin" / "git"
    telling.parent.mkdir()
    telling.write_text("#!/bin/sh\nps -o sid= -p $$ >&2\nexit 1\n")
    telling.chmod(0o755)
    with opened(place) as repo:
        monkeypatch.setenv("PATH", f"{telling.parent}:{os.environ['PATH']}")
        with pytest.raises(GitError) as told:
            repo._run("mktree")
    assert int(told.value.detail) != os.getsid(0)


def test_the_users_own_configuration_names_the_author(
    repo: Repository, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(
        "[user]\nname = Grace\nemail = grace@example.org\n[author]\nname = G. Hopper\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    repo.record(b"1\n", "First")
    shown = git(place, "log", "-1", "--format=%an <%ae> %cn <%ce>", ISSUES_REF)
    assert shown == "G. Hopper <grace@example.org> Grace <grace@example.org>"


def test_nothing_of_the_callers_environment_reaches_a_command(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_TRACE2", str(tmp_path / "trace"))
    repo.record(b"1\n", "First")
    assert not (tmp_path / "trace").exists()


def test_a_command_that_prints_without_end_is_ended(place: Path) -> None:
    repo = opened(place)
    repo.record(b"x" * 5000 + b"\n", "First")
    repo._runner._output_limit_bytes = 1000
    with pytest.raises(GitError, match="prints more"):
        repo.read()


def line(name: str, text: str) -> bytes:
    return f'{{"id":"{name}","title":"{text}"}}\n'.encode()


def told(
    repo: Repository, name: str, **more: object
) -> list[tuple[bytes | None, tuple[object, ...]]]:
    asked = {"revision": ISSUES_REF, "path": ISSUES_FILE, "scan": 100, **more}
    past = repo.versions(name, **asked)  # type: ignore[arg-type]
    return [(version.line, version.before) for version in past.versions]


def test_the_past_of_an_issue_is_the_commits_that_changed_its_line(repo: Repository) -> None:
    one, two, other = line("a-1", "one"), line("a-1", "two"), line("a-10", "other")
    for data in (one, one + other, two + other, other):
        repo.record(data, "Record")
    assert told(repo, "a-1") == [
        (None, (two[:-1],)),
        (two[:-1], (one[:-1],)),
        (one[:-1], ()),
    ]
    assert told(repo, "a-10") == [(other[:-1], (None,))]
    assert told(repo, "a-2") == []


def test_the_past_is_read_in_parts(repo: Repository) -> None:
    lines = [line("a-1", str(number)) for number in range(5)]
    for data in lines:
        repo.record(data, "Record")
    found, start = [], ISSUES_REF
    while start:
        past = repo.versions("a-1", revision=start, path=ISSUES_FILE, scan=2)
        found += [version.line for version in past.versions]
        start = past.next or ""
    assert found == [each[:-1] for each in reversed(lines)]


def test_a_merge_is_a_version_only_where_it_has_what_neither_side_had(
    repo: Repository, place: Path
) -> None:
    repo.record(line("a-1", "base"), "Base")
    base = git(place, "rev-parse", ISSUES_REF)
    repo.record(line("a-1", "ours"), "Ours")
    ours = git(place, "rev-parse", ISSUES_REF)
    git(place, "update-ref", ISSUES_REF, base)
    repo.record(line("a-1", "theirs"), "Theirs")
    repo.merge(line("a-1", "ours"), ours, "Merge")
    lines = [found for found, _ in told(repo, "a-1")]
    assert lines[0] == line("a-1", "ours")[:-1]
    assert len(lines) == 2, "the side that lost is no part of what became of the issue"
    repo.record(line("a-1", "theirs"), "Back")
    assert told(repo, "a-1")[0] == (line("a-1", "theirs")[:-1], (line("a-1", "ours")[:-1],))


def test_a_merge_has_both_in_its_past_and_one_that_only_follows_makes_no_commit(
    repo: Repository, place: Path
) -> None:
    repo.record(b"base\n", "Base")
    base = repo.commit_at()
    repo.record(b"theirs\n", "Theirs")
    theirs = repo.commit_at()
    assert base is not None
    assert theirs is not None
    git(place, "update-ref", ISSUES_REF, base)
    assert repo.merge(b"theirs\n", theirs, "Merge") == theirs
    git(place, "update-ref", ISSUES_REF, base)
    repo.record(b"ours\n", "Ours")
    ours = repo.commit_at()
    made = repo.merge(b"both\n", theirs, "Merge")
    assert git(place, "rev-parse", f"{made}^@").split() == [ours, theirs]
    assert repo.merge_bases(made, theirs) == (theirs,)
    assert repo.read() == b"both\n"


def test_another_thread_ends_the_command_that_is_waited_for(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, begun = tmp_path / "bin" / "git", tmp_path / "begun"
    slow.parent.mkdir()
    os.mkfifo(begun)
    slow.write_text(f"#!/bin/sh\necho > {begun}\nsleep 60 &\nwait\n")
    slow.chmod(0o755)
    interrupt = Interrupt()
    repo = Repository.discover(place, deadline_s=50, interrupt=interrupt)
    assert repo is not None
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")

    def end() -> None:
        begun.read_text()
        interrupt.end()

    ending = threading.Thread(target=end)
    ending.start()
    started = time.monotonic()
    with pytest.raises(GitError, match="interrupted"):
        repo.head_commit()
    ending.join()
    monkeypatch.undo()
    with pytest.raises(GitError, match="interrupted"):
        repo.head_commit()
    interrupt.begin()
    assert repo.head_commit()
    assert time.monotonic() - started < 30
