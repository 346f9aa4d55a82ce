"""Contents of artifacts: durable before any row names them, kept as long as one does."""

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from storage import artifacts, durable
from storage.artifacts import Artifacts, Placed
from storage.backup import place, take
from storage.coordination import results
from storage.database import open_writer
from storage.databases import databases
from storage.errors import ArtifactDamaged, BackupUnusable, DiskFull
from storage.home import DataDir
from storage.integrity import Finding
from storage.invariants import broken
from storage.migrate import migrate
from storage.restore import restore, verify
from storage.snapshot import snapshot
from storage.sweeping import lacking, sweep, unnamed
from tests.support.golden import golden_file
from tests.support.small_disk import small_disk


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data directory with a few workflows."""
    made = tmp_path / "home"
    made.mkdir(mode=0o700)
    (made / artifacts.DIRECTORY).mkdir(mode=0o700)
    for database in databases(made):
        shutil.copy(golden_file(database.name, 1), database.path)
        with closing(open_writer(database.path)) as connection:
            migrate(connection, database.schema)
    return made


def contents(home: Path) -> Artifacts:
    return Artifacts(home / artifacts.DIRECTORY, spare_bytes=0)


def placed(home: Path, data: bytes) -> Placed:
    incoming = contents(home).begin()
    incoming.write(data)
    return incoming.place()


def named(home: Path, data: bytes, name: str = "a", version: int = 1) -> str:
    """Store a content and the row that names it."""
    made = placed(home, data)
    with closing(open_writer(home / "coordination.db")) as connection:
        (workflow_id,) = connection.execute(
            "SELECT min(tempolite_workflow_id) FROM workflow_mappings"
        ).fetchone()
        results.insert_artifact(
            connection,
            {
                "workflow_id": workflow_id,
                "name": name,
                "version": version,
                "step": None,
                "agent_type": None,
                "agent_id": None,
                "media_type": "a/b",
                "size": made.size,
                "sha256": made.sha256,
                "at": "t",
            },
        )
    return made.sha256


def found(home: Path) -> list[Finding]:
    root = home / artifacts.DIRECTORY
    with snapshot(home) as held:
        return [*broken(held), *lacking(held["coordination"], root)]


def stored(home: Path) -> list[str]:
    return [path.name for path in artifacts.stored(home / artifacts.DIRECTORY)]


def test_a_content_is_durable_before_it_has_its_name_and_its_name_before_it_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename, sync = os.fsync, Path.replace, durable.sync

    def noted_fsync(descriptor: int) -> None:
        done.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().parent.name}")
        fsync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        done.append("rename")
        return rename(path, target)

    def noted_sync(path: Path) -> None:
        done.append(f"sync {path.name}")
        with monkeypatch.context() as quiet:
            quiet.setattr(os, "fsync", fsync)
            sync(path)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    monkeypatch.setattr(durable, "sync", noted_sync)
    made = placed(home, b"hello")
    first = made.sha256[:2]
    assert [step for step in done if step not in {"fsync home", "fsync artifacts"}] == [
        "fsync incoming",
        "sync artifacts",
        "rename",
        f"sync {first}",
    ]


def test_what_is_not_placed_leaves_nothing(home: Path) -> None:
    incoming = contents(home).begin()
    incoming.write(b"half")
    incoming.discard()
    incoming.discard()
    assert unnamed(home, home / artifacts.DIRECTORY).files == 0


def test_no_room_is_refused_before_and_while_it_comes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "free_bytes", lambda _: 3 * artifacts.CHUNK_BYTES)
    with pytest.raises(DiskFull):
        contents(home).begin(3 * artifacts.CHUNK_BYTES + 1)
    incoming = contents(home).begin()
    incoming.write(b"x" * artifacts.CHUNK_BYTES)
    monkeypatch.setattr(artifacts, "free_bytes", lambda _: 1)
    with pytest.raises(DiskFull):
        incoming.write(b"xx")
    incoming.discard()


@pytest.mark.parametrize("sha256", ["", "../x", "a" * 63, "A" * 64, "/etc/passwd"])
def test_a_row_that_names_no_hash_leads_nowhere(home: Path, sha256: str) -> None:
    with pytest.raises(ArtifactDamaged, match="no SHA-256"):
        contents(home).open(sha256, 1)


def test_threads_may_store_the_same_at_once(home: Path) -> None:
    threads = [threading.Thread(target=placed, args=(home, b"same")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored(home) == [hashlib.sha256(b"same").hexdigest()]


# --- sweeping and checking


def test_a_sweep_takes_what_no_row_names_and_is_old_enough(home: Path) -> None:
    kept, loose = named(home, b"kept"), placed(home, b"loose")
    contents(home).begin().write(b"cut off")
    assert sweep(home, contents(home), before=0.0).files == 0
    assert unnamed(home, home / artifacts.DIRECTORY).files == 2
    swept = sweep(home, contents(home), before=math.inf)
    assert (swept.files, swept.bytes) == (2, loose.size + len(b"cut off"))
    assert stored(home) == [kept]


def test_a_sweep_waits_for_nobody_who_keeps_the_contents(home: Path) -> None:
    placed(home, b"loose")
    with artifacts.kept(home / artifacts.DIRECTORY):
        assert sweep(home, contents(home), before=math.inf).files == 0
    assert sweep(home, contents(home), before=math.inf).files == 1


def test_databases_that_a_restore_put_aside_keep_their_contents(home: Path) -> None:
    sha256 = named(home, b"old")
    aside = home / "replaced-20260101T000000Z"
    aside.mkdir()
    shutil.copy(home / "coordination.db", aside / "coordination.db")
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.execute("DELETE FROM artifacts")
    sweep(home, contents(home), before=math.inf)
    assert stored(home) == [sha256]
    shutil.rmtree(aside)
    sweep(home, contents(home), before=math.inf)
    assert stored(home) == []


@pytest.mark.parametrize("damage", ["missing", "short", "changed"])
def test_a_check_finds_a_row_whose_content_is_not_what_it_says(home: Path, damage: str) -> None:
    assert found(home) == []
    path = contents(home).path(named(home, b"hello"))
    assert found(home) == []
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"hell" if damage == "short" else b"hullo")
    (finding,) = found(home)
    assert (finding.database, finding.table) == ("coordination", "artifacts")
    assert finding.place.endswith("/a version 1")


def test_a_check_finds_an_artifact_of_no_workflow(home: Path) -> None:
    named(home, b"hello")
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.execute("UPDATE artifacts SET workflow_id = workflow_id || '.7.1'")
        assert found(home) == []
        connection.execute("UPDATE artifacts SET workflow_id = 'gone.1'")
    (finding,) = found(home)
    assert (finding.place, finding.what) == ("gone.1", "the artifact belongs to no workflow")


# --- backups


def test_a_backup_holds_the_contents_and_a_restore_puts_them_back(
    home: Path, tmp_path: Path
) -> None:
    one, two = named(home, b"one"), named(home, b"two" * 1_000_000, "b")
    placed(home, b"loose")
    taken = take(home, tmp_path / "none", tmp_path / "backup", program="1")
    assert [name for name in sorted(taken.files) if "/" in name] == sorted(map(place, (one, two)))
    assert verify(tmp_path / "backup") == taken
    contents(home).path(one).unlink()
    contents(home).path(two).write_bytes(b"damaged")
    assert len(found(home)) == 2
    with DataDir.resolve(tmp_path, home) as data:
        restore(data, tmp_path / "backup", taken, tmp_path / "none", force=True)
    assert found(home) == []


def test_a_backup_lacks_what_is_damaged_and_says_so(home: Path, tmp_path: Path) -> None:
    kept, lost = named(home, b"kept"), named(home, b"lost", "b")
    contents(home).path(lost).unlink()
    taken = take(home, tmp_path / "none", tmp_path / "backup", program="1")
    assert list(taken.lacking) == [lost]
    assert place(kept) in taken.files
    assert verify(tmp_path / "backup").lacking == [lost]


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_backup_without_one_of_its_contents_is_refused(
    home: Path, tmp_path: Path, damage: str
) -> None:
    sha256 = named(home, b"one")
    take(home, tmp_path / "none", tmp_path / "backup", program="1")
    path = tmp_path / "backup" / place(sha256)
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"two")
    with pytest.raises(BackupUnusable, match=sha256):
        verify(tmp_path / "backup")


def test_a_backup_whose_rows_name_contents_it_never_had_is_refused(
    home: Path, tmp_path: Path
) -> None:
    take(home, tmp_path / "none", tmp_path / "backup", program="1")
    sha256 = named(home, b"one")
    manifest = tmp_path / "backup" / "manifest.json"
    whole = take(home, tmp_path / "none", tmp_path / "other", program="1")
    shutil.copy(tmp_path / "other" / "coordination.db", tmp_path / "backup" / "coordination.db")
    body = json.loads((tmp_path / "other" / "manifest.json").read_text())
    del body["files"][place(sha256)], body["sha256"]
    text = json.dumps(body, sort_keys=True).encode()
    body["sha256"] = hashlib.sha256(text).hexdigest()
    manifest.write_text(json.dumps(body))
    assert place(sha256) in whole.files
    for name in ("tempolite.db", "beads.db"):
        shutil.copy(tmp_path / "other" / name, tmp_path / "backup" / name)
    with pytest.raises(BackupUnusable, match=f"no content {sha256}"):
        verify(tmp_path / "backup")


# --- a full disk, and a kill between each two steps


def test_on_a_disk_that_is_full_nothing_is_left_of_what_did_not_fit(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4096) as disk:
        there = Artifacts(disk, spare_bytes=0)
        first = there.begin()
        first.write(b"x" * 1_000_000)
        made = first.place()
        second = there.begin()
        with pytest.raises(DiskFull):
            second.write(b"y" * 10_000_000)
        second.discard()
        there.open(made.sha256, made.size).close()
        third = there.begin()
        third.write(b"z" * 1_000_000)
        third.place()


KILLED = """
import json, math, os, shutil, signal, sys
from contextlib import closing
from pathlib import Path
from storage import artifacts
from storage.database import open_reader
from storage.sweeping import lacking, sweep
from tests.storage.test_artifacts import contents, found, named, stored

template, place = map(Path, sys.argv[1:])
home = place / "home"

def killed_at(point):
    left = point
    def step(*_):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def count(event, args):
        if event.startswith(("os.", "open", "tempfile.", "sqlite3.connect")):
            step()
    child = os.fork()
    if child == 0:
        fsync, write = os.fsync, os.write
        os.fsync = lambda fd: (step(), fsync(fd), step())[1]
        os.write = lambda fd, data: (step(), write(fd, data), step())[1]
        sys.addaudithook(count)
        named(home, b"hello", version=2)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

seen = []
for point in range(1, 1000):
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(template, home)
    end = killed_at(point)
    assert end in (0, -signal.SIGKILL), end
    assert found(home) == [], (point, found(home))
    with closing(open_reader(home / "coordination.db")) as connection:
        rows = connection.execute("SELECT count(DISTINCT sha256) FROM artifacts").fetchone()[0]
    before = len(stored(home))
    sweep(home, contents(home), before=math.inf)
    assert len(stored(home)) == rows, point
    left = [p for p in (home / "artifacts").rglob("*") if p.is_file()]
    assert len(left) == rows, (point, left)
    named(home, b"hello", version=3)
    assert found(home) == [], point
    seen.append([rows, before])
    if end == 0:
        print(json.dumps(seen))
        sys.exit()
sys.exit("it never got to its end")
"""


@pytest.mark.process
def test_a_kill_at_any_step_leaves_at_most_a_file_that_no_row_names(
    home: Path, tmp_path: Path
) -> None:
    named(home, b"there before")
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    place_ = tmp_path / "place"
    place_.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), str(place_)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    seen = [tuple(each) for each in json.loads(ran.stdout)]
    assert {(1, 1), (1, 2), (2, 2)} == set(seen)  # nothing, a file alone, a file and its row
