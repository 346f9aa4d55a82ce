import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.errors import LockUnusable, StoreLocked, UnsafePath
from storage.home import DataDir
from tests.storage.repositories import commit, git, make


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    repo = make(tmp_path / "repo")
    commit(repo, "a.txt")
    return repo


HOLD = """
import sys
from pathlib import Path
from storage.home import DataDir
data = DataDir.resolve(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
data.acquire()
if len(sys.argv) > 3:
    data.announce(sys.argv[3])
print("held", flush=True)
sys.stdin.readline()
data.release()
print("released", flush=True)
"""


@contextmanager
def another_process(*args: Path | str) -> Iterator[subprocess.Popen[str]]:
    """Holds a data directory in another process until told, or until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_default_lies_in_the_common_directory_of_all_work_trees(
    repo: Path, tmp_path: Path
) -> None:
    git(repo, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    for place in (repo, tmp_path / "linked"):
        data = DataDir.resolve(place)
        assert data.path == repo / ".git" / "beadflow"
        assert data.repository == repo / ".git"


def test_the_default_is_out_of_reach_of_git_clean(repo: Path) -> None:
    with DataDir.resolve(repo) as data:
        git(repo, "clean", "-fdxq")
        assert data.path.is_dir()
    assert git(repo, "status", "--porcelain") == ""


def test_without_git_the_nearest_directory_of_ours_is_used(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert DataDir.resolve(tmp_path / "a").path == tmp_path / "a" / ".beadflow"
    with DataDir.resolve(tmp_path / "a") as data:
        assert DataDir.resolve(tmp_path / "a" / "b").path == data.path
        assert data.repository == tmp_path / "a"


def test_a_given_directory_is_used_as_it_is(repo: Path, tmp_path: Path) -> None:
    data = DataDir.resolve(repo, tmp_path / "x" / ".." / "elsewhere")
    assert data.path == tmp_path / "elsewhere"
    assert data.repository == repo / ".git"


def test_resolving_touches_nothing(repo: Path) -> None:
    assert not DataDir.resolve(repo).path.exists()


def test_the_names_of_what_is_inside(repo: Path) -> None:
    data = DataDir.resolve(repo)
    names = [p.name for p in (data.coordination_db, data.tempolite_db, data.beads_db)]
    assert names == ["coordination.db", "tempolite.db", "beads.db"]
    assert data.artifacts == data.path / "artifacts"


def test_everything_is_for_its_owner_alone(repo: Path) -> None:
    with DataDir.resolve(repo) as data:
        assert stat.S_IMODE(data.path.stat().st_mode) == 0o700
        assert stat.S_IMODE(data.artifacts.stat().st_mode) == 0o700
        assert stat.S_IMODE((data.path / "lock").stat().st_mode) == 0o600


def test_a_directory_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x").chmod(0o777)
    with DataDir.resolve(tmp_path, tmp_path / "x") as data:
        assert stat.S_IMODE(data.path.stat().st_mode) == 0o700


def test_a_link_in_place_of_a_directory_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir(mode=0o700)
    (tmp_path / "x" / "artifacts").symlink_to(tmp_path)
    with pytest.raises(UnsafePath):
        DataDir.resolve(tmp_path, tmp_path / "x").acquire()


def test_a_pipe_in_place_of_the_lock_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "x" / "lock")
    data = DataDir.resolve(tmp_path, tmp_path / "x")
    for ask in (data.read_holder, data.acquire):
        with pytest.raises(LockUnusable, match="it is no regular file"):
            ask()


def test_a_link_in_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir(mode=0o700)
    (tmp_path / "x" / "lock").symlink_to(tmp_path / "canary")
    with pytest.raises(LockUnusable):
        DataDir.resolve(tmp_path, tmp_path / "x").acquire()
    assert not (tmp_path / "canary").exists()


def test_a_socket_path_fits_what_the_kernel_allows(tmp_path: Path) -> None:
    shallow, deep = DataDir.resolve(tmp_path, Path("/x")), tmp_path / ("d" * 60) / ("e" * 60)
    assert shallow.socket == Path("/x/beadflow.sock")
    assert len(bytes(DataDir.resolve(tmp_path, deep).socket)) <= 100
    other = DataDir.resolve(tmp_path, deep / "other")
    assert DataDir.resolve(tmp_path, deep).socket != other.socket


def test_another_process_is_told_who_holds_the_store(repo: Path) -> None:
    mine = DataDir.resolve(repo)
    with another_process(repo) as other:
        with pytest.raises(StoreLocked) as refused:
            mine.acquire()
        assert refused.value.pid == other.pid
        assert refused.value.host == os.uname().nodename
        assert refused.value.since
        assert refused.value.url is None
        assert not mine.held


def test_the_address_of_the_holder_can_be_read(repo: Path, tmp_path: Path) -> None:
    with another_process(repo, tmp_path / "x", "http://127.0.0.1:8080") as other:
        holder = DataDir.resolve(repo, tmp_path / "x").read_holder()
        assert holder is not None
        assert (holder.pid, holder.url) == (other.pid, "http://127.0.0.1:8080")


def test_a_killed_holder_holds_nothing(repo: Path) -> None:
    mine = DataDir.resolve(repo)
    with another_process(repo) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert (mine.path / "lock").read_bytes().strip() != b""
        assert mine.read_holder() is None
        mine.acquire()
        holder = mine.read_holder()
        mine.release()
    assert holder is not None
    assert holder.pid == os.getpid()


def test_a_released_store_is_free(repo: Path) -> None:
    mine = DataDir.resolve(repo)
    with another_process(repo) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "released\n"
        assert mine.read_holder() is None
        mine.acquire()
    mine.release()
    mine.release()
    assert mine.read_holder() is None


def test_two_data_directories_of_one_repository_exclude_each_other(
    repo: Path, tmp_path: Path
) -> None:
    with another_process(repo, tmp_path / "elsewhere") as other:
        mine = DataDir.resolve(repo)
        with pytest.raises(StoreLocked, match=r"beadflow-issues\.lock") as refused:
            mine.acquire()
        assert refused.value.pid == other.pid
        assert mine.read_holder() is None, "the first lock is let go when the second is not free"


def test_in_one_process_a_store_is_held_once(repo: Path) -> None:
    with DataDir.resolve(repo) as data:
        data.acquire()
        with pytest.raises(StoreLocked) as refused:
            DataDir.resolve(repo).acquire()
        assert refused.value.pid == os.getpid()


def test_a_program_started_by_the_holder_does_not_inherit_the_lock(repo: Path) -> None:
    with DataDir.resolve(repo) as data:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    with child:
        assert data.read_holder() is None


def test_a_holder_that_has_said_nothing_yet_still_holds(repo: Path) -> None:
    with DataDir.resolve(repo) as data:
        (data.path / "lock").write_bytes(b'{"pid": 1, "ho')
        holder = data.read_holder()
        assert holder is not None
        assert holder.pid is None
        with pytest.raises(StoreLocked, match="another process"):
            DataDir.resolve(repo).acquire()


def test_only_a_holder_announces(repo: Path) -> None:
    with pytest.raises(LockUnusable):
        DataDir.resolve(repo).announce("http://127.0.0.1:8080")
