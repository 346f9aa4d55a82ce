"""A restore puts the whole set in its place or none of it, wherever it is cut off."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from storage import manifest
from storage.backup import take
from storage.coordination import queries as coordination
from storage.database import open_reader, open_writer
from storage.databases import databases
from storage.errors import BackupOfAnother, BackupUnusable, RestoreUnfinished
from storage.exchange import refuse_unfinished
from storage.home import DataDir
from storage.manifest import File
from storage.migrate import migrate
from storage.restore import restore, verify
from tests.support.golden import golden_file

OLD, NEW = 1, 2
NAMES = ("coordination.db", "tempolite.db", "beads.db")


def make(directory: Path, mark: int) -> Path:
    directory.mkdir(mode=0o700)
    for database in databases(directory):
        shutil.copy(golden_file(database.name, 1), database.path)
        with closing(open_writer(database.path)) as connection:
            migrate(connection, database.schema)
            connection.execute(f"PRAGMA user_version={mark}")
    return directory


def marks(directory: Path) -> list[int]:
    found = []
    for name in NAMES:
        with closing(sqlite3.connect(directory / name)) as connection:
            found.append(connection.execute("PRAGMA user_version").fetchone()[0])
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make(tmp_path / "home", OLD)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    published = tmp_path / "published.jsonl"
    published.write_text('{"id":"x-1"}\n')
    source = make(tmp_path / "source", NEW)
    with closing(open_writer(source / "coordination.db")) as connection:
        coordination.set_meta(connection, "repository", str(tmp_path))
    take(source, published, tmp_path / "backup", program="1")
    return tmp_path / "backup"


def replace_by(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def to_itself(path: Path) -> None:
    path.symlink_to(path)


def restored(home: Path, backup: Path, published: Path) -> object:
    with DataDir.resolve(home.parent, home) as data:
        return restore(data, backup, verify(backup), published)


def contents(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.glob("*.db")}


def test_the_backup_stands_where_the_old_databases_were_and_these_are_kept(
    home: Path, backup: Path, tmp_path: Path
) -> None:
    with DataDir.resolve(tmp_path, home) as data:
        done = restore(data, backup, verify(backup), tmp_path / "work" / "issues.jsonl")
    assert marks(home) == [NEW] * 3
    assert done.aside is not None
    assert marks(done.aside) == [OLD] * 3
    assert {path.name for path in home.iterdir()} == {
        *NAMES,
        "lock",
        "artifacts",
        done.aside.name,
    }


def test_into_an_empty_place_nothing_is_kept(backup: Path, tmp_path: Path) -> None:
    with DataDir.resolve(tmp_path, tmp_path / "empty") as data:
        done = restore(data, backup, verify(backup), tmp_path / "work" / "issues.jsonl")
    assert done.aside is None
    assert marks(tmp_path / "empty") == [NEW] * 3


def test_the_published_file_is_put_back_only_where_there_is_none(
    home: Path, backup: Path, tmp_path: Path
) -> None:
    published = tmp_path / ".beads" / "issues.jsonl"
    restored(home, backup, published)
    assert published.read_text() == '{"id":"x-1"}\n'
    published.write_text("mine\n")
    restored(home, backup, published)
    assert published.read_text() == "mine\n"


def test_an_older_backup_is_brought_to_the_present_schema(home: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    files = {}
    for database in databases(old):
        shutil.copy(golden_file(database.name, 1), database.path)
        data = database.path.read_bytes()
        files[database.path.name] = File(
            sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), schema_version=1
        )
    facts = manifest.Manifest(
        taken_at="2026-01-01T00:00:00+00:00",
        program="0.1.0",
        home="",
        repository="",
        positions={},
        files=files,
    )
    manifest.write(old, facts)
    with DataDir.resolve(tmp_path, home) as data:
        done = restore(data, old, verify(old), tmp_path / "none.jsonl")
    wanted = [(d.name, v) for d in databases(home) for v in range(2, d.newest + 1)]
    assert [(name, step.version) for name, step in done.steps] == wanted


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def reseal(backup: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """Changes the engine's database and says so in the manifest, as a forger would."""
    path = backup / "tempolite.db"
    with closing(sqlite3.connect(path)) as connection:
        change(connection)
        connection.commit()
    taken = manifest.read(backup)
    data = path.read_bytes()
    facts = File(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), schema_version=1)
    body = {**vars_of(taken), "files": {**taken.files, "tempolite.db": facts}}
    manifest.write(backup, manifest.Manifest(**body))


def vars_of(taken: manifest.Manifest) -> dict[str, object]:
    return {name: getattr(taken, name) for name in taken.__dataclass_fields__}


NEWER = "INSERT INTO schema_migrations VALUES (99, 'x', 'x', '2030-01-01')"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda b: flip(b / "tempolite.db"), r"tempolite\.db was changed"),
        (lambda b: cut(b / "beads.db"), r"beads\.db has \d+ bytes, the manifest says"),
        (lambda b: (b / "beads.db").unlink(), r"beads\.db is missing"),
        (lambda b: flip(b / "issues.jsonl"), r"issues\.jsonl was changed"),
        (lambda b: (b / "manifest.json").unlink(), "no whole backup"),
        (lambda b: (b / "manifest.json").write_text("{"), "cannot be read"),
        (lambda b: (b / "manifest.json").write_text("[1, 2]"), "it holds no object"),
        (lambda b: (b / "manifest.json").write_text("[" * 100_000), "cannot be read"),
        (lambda b: replace_by(b / "manifest.json", os.mkfifo), "it is no regular file"),
        (lambda b: replace_by(b / "beads.db", os.mkfifo), r"beads\.db is no regular file"),
        (lambda b: replace_by(b / "beads.db", to_itself), r"beads\.db is no regular file"),
        (lambda b: edit(b / "manifest.json", home="home-x"), "was changed after"),
        (lambda b: edit(b / "manifest.json", format=2), "has format 2"),
        (lambda b: reseal(b, lambda c: c.execute(NEWER)), "use the newer program"),
        (
            lambda b: reseal(b, lambda c: c.execute("DELETE FROM history WHERE seq = 2")),
            "contradict each other: .*gap",
        ),
        (
            lambda b: reseal(b, lambda c: c.execute("CREATE INDEX mine ON history (at)")),
            "no migration",
        ),
        (shutil.rmtree, "no such directory"),
    ],
)
def test_a_backup_that_is_not_whole_is_refused_and_nothing_is_touched(
    home: Path, backup: Path, tmp_path: Path, spoil: Callable[[Path], object], why: str
) -> None:
    spoil(backup)
    before = contents(home)
    with pytest.raises(BackupUnusable, match=why):
        restored(home, backup, tmp_path / "none.jsonl")
    with DataDir.resolve(tmp_path, home):
        pass  # clears what was staged
    assert contents(home) == before
    there = {path.name for path in home.iterdir() if path.suffix not in (".db-wal", ".db-shm")}
    assert there == {*before, "lock", "artifacts"}


def test_a_name_that_leads_out_of_the_backup_is_refused(backup: Path) -> None:
    taken = manifest.read(backup)
    files = {**taken.files, "../x": File(sha256="", bytes=0)}
    manifest.write(backup, manifest.Manifest(**{**vars_of(taken), "files": files}))
    with pytest.raises(BackupUnusable, match="no file name"):
        verify(backup)


def test_a_backup_of_another_installation_is_refused(
    home: Path, backup: Path, tmp_path: Path
) -> None:
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.execute("UPDATE meta SET value = 'home-other' WHERE key = 'home'")
    before = contents(home)
    with pytest.raises(BackupOfAnother, match="are of home-other"):
        restored(home, backup, tmp_path / "none.jsonl")
    assert contents(home) == before


def test_a_backup_of_another_repository_is_refused_with_both_named(
    backup: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    recorded = manifest.read(backup).repository
    with (
        DataDir.resolve(here, here / "data") as data,
        pytest.raises(BackupOfAnother) as refused,
    ):
        restore(data, backup, verify(backup), here / "issues.jsonl")
    assert recorded in str(refused.value)
    assert str(here) in str(refused.value)
    assert "--force" in str(refused.value)
    assert not list((here / "data").glob("*.db"))


def test_a_backup_of_another_repository_that_is_wanted_all_the_same_becomes_this_ones(
    backup: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    with DataDir.resolve(here, here / "data") as data:
        restore(data, backup, verify(backup), here / "issues.jsonl", force=True)
    with closing(open_reader(data.coordination_db)) as connection:
        assert coordination.meta(connection, "repository") == str(data.repository)


def test_a_moved_repository_takes_its_own_backups(home: Path, backup: Path, tmp_path: Path) -> None:
    """The databases there are of the same installation."""
    (tmp_path / "moved").mkdir()
    moved = home.rename(tmp_path / "moved" / "home")
    restored(moved, backup, tmp_path / "none.jsonl")
    assert marks(moved) == [NEW] * 3


def test_databases_that_cannot_be_read_are_replaced(
    home: Path, backup: Path, tmp_path: Path
) -> None:
    for name in NAMES:
        (home / name).write_bytes(b"rubbish" * 1000)
    restored(home, backup, tmp_path / "none.jsonl")
    assert marks(home) == [NEW] * 3


def test_who_reads_without_the_lock_is_told_of_an_unfinished_restore(home: Path) -> None:
    refuse_unfinished(home)
    (home / "restore.json").write_text('{"aside": "replaced-x"}')
    with pytest.raises(RestoreUnfinished, match="the next command that holds"):
        refuse_unfinished(home)


@pytest.mark.parametrize("text", ["", "{}", '{"aside": 1}', '{"aside": "../x"}', '["replaced"]'])
def test_a_decision_that_cannot_be_read_is_refused_and_the_lock_let_go(
    home: Path, tmp_path: Path, text: str
) -> None:
    (home / "restore.json").write_text(text)
    data = DataDir.resolve(tmp_path, home)
    with pytest.raises(BackupUnusable, match=r"restore\.json"):
        data.acquire()
    assert not data.held


KILLED = """
import json, os, shutil, signal, sqlite3, sys
from pathlib import Path
from storage.home import DataDir
from storage.restore import restore, verify
from tests.storage.test_restore import NAMES, marks
place, backup, template = map(Path, sys.argv[1:])
home = place / "home"

def put_back():
    with DataDir.resolve(place, home) as data:
        restore(data, backup, verify(backup), place / "none.jsonl")

def killed_at(point):
    left = point
    def count(event, args):
        nonlocal left
        if event.startswith(("os.", "open", "shutil.", "sqlite3.connect")):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    child = os.fork()
    if child == 0:
        sys.addaudithook(count)
        put_back()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

seen = []
for point in range(1, 1000):
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(template, home)
    end = killed_at(point)
    if end == 0:
        print(json.dumps({"points": point - 1, "seen": seen}))
        sys.exit()
    assert end == -signal.SIGKILL, end
    decided = (home / "restore.json").exists()
    with DataDir.resolve(place, home):
        pass
    found = marks(home)
    assert found in ([1, 1, 1], [2, 2, 2]), (point, found)
    assert not decided or found == [2, 2, 2], point
    assert not (home / "restoring").exists() and not (home / "restore.json").exists(), point
    aside = sorted(home.glob("replaced-*"))
    if found[0] == 2:
        assert marks(aside[0]) == [1, 1, 1], point
    else:
        assert aside == [], point
    put_back()
    assert marks(home) == [2, 2, 2], point
    seen.append([decided, found[0]])
sys.exit("it never got to its end")
"""


@pytest.mark.process
def test_a_kill_at_any_step_leaves_the_old_set_or_the_new_and_it_can_be_run_again(
    home: Path, backup: Path, tmp_path: Path
) -> None:
    template = tmp_path / "template"
    template.mkdir(mode=0o700)
    for database in databases(home):  # each with a log that holds what its file lacks
        with closing(open_writer(database.path)) as connection:
            connection.execute("PRAGMA user_version=0")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            connection.execute(f"PRAGMA user_version={OLD}")
            for path in database.files:
                shutil.copy(path, template / path.name)
    place = tmp_path / "place"
    place.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(place), str(backup), str(template)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["points"] > 30
    assert [False, OLD] in found["seen"]
    assert [True, NEW] in found["seen"]
