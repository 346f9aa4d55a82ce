"""`beadflow db`: looking after the databases, without a server and beside one."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

import storage.databases
from storage.artifacts import Artifacts
from storage.coordination.queries import set_meta
from storage.database import open_reader, open_writer
from storage.databases import databases
from storage.home import DataDir
from storage.migrate import applied
from storage.tuning import Tuning
from tests.cli.run import Run
from tests.support.damage import lose_index_entries
from tests.support.golden import golden_file
from tests.support.privileges import bound_by_modes

Db = Callable[..., object]


@pytest.fixture
def home(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of the repository around, with a set that has seen some life."""
    monkeypatch.chdir(repo)
    data = DataDir.resolve(repo)
    data.path.mkdir(mode=0o700)
    for database in databases(data.path):
        shutil.copy(golden_file(database.name, 1), database.path)
    return data.path


def states(beadflow: Run) -> list[str]:
    found = beadflow("db", "status", "-o", "json").json["data"]["databases"]
    return [database["state"] for database in found]


def newer(path: Path) -> None:
    with closing(open_writer(path)) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (99, 'x', 'x', '2030-01-01')")


def test_status_shows_versions_sizes_and_that_nobody_holds_them(home: Path, beadflow: Run) -> None:
    beadflow("db", "migrate")
    ran = beadflow("db", "status")
    assert ran.code == 0
    assert [line.split()[:2] for line in ran.out.splitlines()[1:4]] == [
        ["coordination", "current"],
        ["tempolite", "current"],
        ["beads", "current"],
    ]
    assert "held by  nobody" in ran.out
    assert str(home) in ran.out


@pytest.fixture
def copy(home: Path, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository, data and all, beside its original."""
    with closing(open_writer(home / "coordination.db")) as connection:
        set_meta(connection, "repository", str(DataDir.resolve(repo).repository))
    copied = shutil.copytree(repo, tmp_path / "copied", symlinks=True)
    monkeypatch.chdir(copied)
    return copied


def test_status_and_check_say_that_the_data_is_a_copy(
    copy: Path, home: Path, beadflow: Run
) -> None:
    beadflow("db", "backup", str(copy.parent / "backup"))
    ran = beadflow("db", "status")
    assert ran.code == 1
    assert f"is a copy of {home}" in ran.err
    ran = beadflow("db", "check")
    assert ran.code == 0
    assert "nothing is wrong" in ran.err
    assert f"is a copy of {home}" in ran.err


@pytest.mark.parametrize(
    "argv", [("migrate",), ("rollback", "--to", "1"), ("vacuum",), ("archive", "--days", "1")]
)
def test_a_copy_is_not_changed_beside_its_original(
    copy: Path, home: Path, beadflow: Run, argv: tuple[str, ...]
) -> None:
    before = [d.path.read_bytes() for d in databases(DataDir.resolve(copy).path)]
    ran = beadflow("db", *argv)
    assert ran.code == 7
    assert f"is a copy of {home}" in ran.err
    assert [d.path.read_bytes() for d in databases(DataDir.resolve(copy).path)] == before


def test_status_names_the_holder_and_is_answered_beside_it(home: Path, beadflow: Run) -> None:
    with DataDir.resolve() as data:
        data.announce("http://127.0.0.1:1")
        ran = beadflow("db", "status")
        holder = beadflow("db", "status", "-o", "json").json["data"]["holder"]
    assert ran.code == 0
    assert f"process {os.getpid()} on {os.uname().nodename} since" in ran.out
    assert "serving http://127.0.0.1:1" in ran.out
    assert holder["pid"] == os.getpid()


def test_status_says_what_is_missing_damaged_newer_or_changed(home: Path, beadflow: Run) -> None:
    (home / "coordination.db").unlink()
    (home / "tempolite.db").write_bytes(b"rubbish" * 1000)
    newer(home / "beads.db")
    assert states(beadflow) == ["missing", "damaged", "newer"]
    assert beadflow("db", "status").code == 1
    with closing(open_writer(home / "beads.db")) as connection:
        connection.execute("DELETE FROM schema_migrations WHERE version = 99")
        connection.execute("UPDATE schema_migrations SET checksum = 'x'")
    assert states(beadflow)[2] == "changed"


def test_status_says_what_a_rebuilt_database_has_lost(home: Path, beadflow: Run) -> None:
    beadflow("db", "migrate")
    with closing(open_writer(home / "beads.db")) as connection:
        connection.execute("UPDATE issues SET assignee = 'ada', status = 'blocked'")
        claims = """INSERT INTO leases SELECT id, assignee, 'h', rowid, '',
            '2026-01-01T00:00:00.000000Z', '2026-01-01T00:30:00.000000Z' FROM issues"""
        connection.execute(claims)
        held = [row[0] for row in connection.execute("SELECT issue_id FROM leases ORDER BY 1")]
    assert held
    shutil.copy(home / "beads.db", home / "beads.db.damaged-1")
    (home / "beads.db.damaged-2").write_bytes(b"rubbish" * 1000)
    ran = beadflow("db", "status")
    assert ran.code == 0
    told = " ".join(ran.err.split())
    assert f"lost with it are claims: {', '.join(held)}; wisps: none;" in told
    assert "beads.db.damaged-2: remove it when you no longer need it" in told
    shown = beadflow("db", "status", "-o", "json").json["data"]["put_aside"]
    assert [one["claims"] for one in shown] == [held, None]


def test_what_may_not_be_opened_is_told_as_that_and_not_as_damage(
    home: Path, beadflow: Run
) -> None:
    (home / "tempolite.db").chmod(0)
    with bound_by_modes():
        assert states(beadflow)[1] == "unreadable"
        told = beadflow("db", "status")
        checked = beadflow("db", "check")
    assert (told.code, checked.code) == (1, 1)
    for ran in (told, checked):
        assert "check that it exists and who may read and write it" in ran.err
        assert "restore" not in ran.err


@pytest.mark.parametrize("closed", [True, False])
def test_a_place_where_nothing_can_be_written_is_told_with_what_to_do(
    home: Path, beadflow: Run, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    """Closed databases have no log; those of a server that was killed have one."""
    monkeypatch.setattr("storage.snapshot._TRIES", 2)
    beadflow("db", "migrate")
    for database in () if closed else databases(home):
        open_reader(database.path).close()
    for path in home.glob("*.db*"):
        path.chmod(0o400)
    home.chmod(0o500)
    try:
        with bound_by_modes():
            ran = beadflow("db", "check")
            refused = beadflow("db", "backup", str(home.parent / "backup"))
    finally:
        home.chmod(0o700)
    assert (ran.code, refused.code) == (1, 1)
    for err in (ran.err, refused.err):
        assert "make the file and its directory writable, or copy the directory" in err
        assert "restore" not in err


def test_a_database_that_another_program_holds_is_busy(
    home: Path, beadflow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = partial(open_reader, tuning=Tuning(busy_timeout_s=0.0))
    monkeypatch.setattr("cli.inventory.open_reader", impatient)
    monkeypatch.setattr("storage.agreement.open_reader", impatient)
    with closing(sqlite3.connect(home / "beads.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        assert states(beadflow)[2] == "busy"
        ran = beadflow("db", "status")
    assert ran.code == 1
    assert "beads.db is held by another connection" in ran.err


def test_status_counts_the_steps_that_wait(home: Path, beadflow: Run) -> None:
    for database in databases(home):
        database.path.unlink()
        with closing(open_writer(database.path)):
            pass
    newest = [database.newest for database in databases(home)]
    assert states(beadflow) == [f"{count} pending" for count in newest]


@pytest.mark.parametrize("command", ["status", "check", "migrate", "vacuum"])
def test_without_data_a_command_says_where_it_looked(
    repo: Path, monkeypatch: pytest.MonkeyPatch, beadflow: Run, command: str
) -> None:
    monkeypatch.chdir(repo)
    ran = beadflow("db", command)
    assert ran.code == 6
    assert str(repo / ".git" / "beadflow") in ran.err
    assert not (repo / ".git" / "beadflow").exists()


def test_check_is_silent_about_a_whole_set(home: Path, beadflow: Run) -> None:
    beadflow("db", "migrate")
    ran = beadflow("db", "check")
    assert (ran.code, ran.out) == (0, "")
    assert "nothing is wrong" in ran.err


def test_status_and_check_count_the_lines_that_were_set_aside(
    home: Path, repo: Path, beadflow: Run
) -> None:
    beadflow("db", "migrate")
    assert beadflow("db", "status", "-o", "json").json["data"]["lines_set_aside"] == 0
    kept = repo / ".beads" / "issues.quarantine.jsonl"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(b'{"id":"x-1","tit\n\n\xff\xfe')
    for command in ("status", "check"):
        ran = beadflow("db", command)
        assert ran.code == 0
        assert f"2 lines of .beads/issues.jsonl could not be read and lie in {kept}" in ran.err
    assert beadflow("db", "status", "-o", "json").json["data"]["lines_set_aside"] == 2


def test_check_lists_what_rows_contradict(home: Path, beadflow: Run) -> None:
    with closing(open_writer(home / "tempolite.db")) as connection:
        connection.execute("DELETE FROM history WHERE seq = 2")
    ran = beadflow("db", "check", "-o", "json")
    assert ran.code == 1
    assert ("tempolite", "history", "the history has a gap") in [
        (found["database"], found["table"], found["what"]) for found in ran.json["data"]
    ]


def test_check_says_what_needs_no_backup(home: Path, beadflow: Run) -> None:
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.execute(
            "DELETE FROM agent_assignments WHERE id = (SELECT max(id) FROM agent_assignments"
            " WHERE status <> 'completed')"
        )
    ran = beadflow("db", "check")
    assert ran.code == 1
    assert "1 found; the next start of the server mends" in ran.err
    assert "restore" not in ran.err


def test_check_tells_what_needs_a_backup_from_what_does_not(home: Path, beadflow: Run) -> None:
    change = (
        "DELETE FROM agent_assignments WHERE id = (SELECT max(id) FROM agent_assignments"
        " WHERE status <> 'completed'); INSERT INTO workflow_results SELECT 10000, 'nobody',"
        " step, result_type, agent_type, agent_id, result_data, confidence_score, created_at"
        " FROM workflow_results LIMIT 1"
    )
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.executescript(change)
    ran = beadflow("db", "check")
    assert ran.code == 1
    assert "2 found; 1 of them the next start of the server mends" in ran.err
    assert "for the others `beadflow db restore` puts a backup in their place" in ran.err


def test_check_lists_damage_with_its_page_and_no_traceback(home: Path, beadflow: Run) -> None:
    with closing(sqlite3.connect(home / "tempolite.db")) as connection:
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'tasks'"
        page = connection.execute(sql).fetchone()[0]
    with (home / "tempolite.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))
    ran = beadflow("db", "check")
    assert ran.code == 1
    assert f"page {page}" in ran.out
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_check_names_what_was_lost_and_how_it_comes_back(
    home: Path, beadflow: Run, how: str
) -> None:
    def lose(name: str) -> None:
        (home / name).unlink()
        if how == "empty":
            (home / name).touch()

    lose("beads.db")
    ran = beadflow("db", "check", "-o", "json")
    assert ran.code == 1
    assert [found["what"] for found in ran.json["data"]] == [f"beads.db is {how}"]
    assert "`beadflow up` rebuilds it from the issues' file" in ran.err
    assert "restore" not in ran.err
    lose("coordination.db")
    ran = beadflow("db", "check")
    assert ran.code == 1
    assert f"coordination.db is {how}" in ran.out
    assert "put both back from the same backup (`beadflow db restore`)" in ran.err


def test_files_without_tables_are_named_by_check_and_by_backup(home: Path, beadflow: Run) -> None:
    for database in databases(home):
        database.path.unlink()
        open_writer(database.path).close()
    ran = beadflow("db", "check")
    assert ran.code == 1
    assert "beads.db has no tables: `beadflow db migrate` makes them" in ran.out
    refused = beadflow("db", "backup", str(home / "copy"))
    assert refused.code == 1
    assert f"no backup was made in {home / 'copy'}: coordination.db has no tables" in refused.err


def test_check_works_beside_a_holder(home: Path, beadflow: Run) -> None:
    beadflow("db", "migrate")
    with DataDir.resolve():
        assert beadflow("db", "check").code == 0


def test_migrate_brings_every_database_to_the_newest_schema(home: Path, beadflow: Run) -> None:
    for database in databases(home):
        database.path.unlink()
        with closing(open_writer(database.path)):
            pass
    ran = beadflow("db", "migrate", "-o", "json")
    assert ran.code == 0
    done = [(step["database"], step["version"]) for step in ran.json["data"]]
    wanted = [(d.name, v) for d in databases(home) for v in range(1, d.newest + 1)]
    assert done == wanted
    assert beadflow("db", "migrate", "-o", "json").json["data"] == []
    for database in databases(home):
        with closing(open_reader(database.path)) as connection:
            assert applied(connection)[-1].version == database.newest
        assert stat.S_IMODE(database.path.stat().st_mode) == 0o600


def test_migrate_is_refused_while_somebody_holds_the_data(home: Path, beadflow: Run) -> None:
    with DataDir.resolve():
        ran = beadflow("db", "migrate")
    assert ran.code == 7
    assert f"process {os.getpid()} on {os.uname().nodename} since" in ran.err


def test_migrate_refuses_a_newer_database_and_says_what_to_do(home: Path, beadflow: Run) -> None:
    newer(home / "beads.db")
    ran = beadflow("db", "migrate")
    assert ran.code == 1
    assert "beads.db is at version 99" in ran.err
    assert "use the newer program" in ran.err


NEED_ALL_THREE = [
    ("workflow", "list"),
    ("workflow", "status", "research-1"),
    ("db", "status"),
    ("db", "backup", "copy"),
    ("db", "migrate"),
    ("db", "rollback", "--to", "1"),
    ("db", "vacuum"),
    ("db", "archive", "--days", "1"),
]


@pytest.mark.parametrize("argv", NEED_ALL_THREE, ids=" ".join)
@pytest.mark.parametrize("lost", ["coordination.db", "tempolite.db"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_lost_database_is_said_with_what_to_do_and_not_made_anew(
    home: Path, beadflow: Run, argv: tuple[str, ...], lost: str, how: str
) -> None:
    (home / lost).unlink()
    if how == "empty":
        (home / lost).touch()
    ran = beadflow(*argv)
    assert ran.code == 1
    assert f"{home / lost} is {how}, and {home}" in ran.err
    assert "put both back from the same backup (`beadflow db restore`)" in ran.err
    assert (home / lost).exists() == (how == "empty")
    assert how == "missing" or (home / lost).stat().st_size == 0


@pytest.mark.parametrize("argv", [*NEED_ALL_THREE, ("db", "check")], ids=" ".join)
def test_a_newer_database_is_refused_as_that_by_every_command(
    home: Path, beadflow: Run, argv: tuple[str, ...]
) -> None:
    newer(home / "coordination.db")
    ran = beadflow(*argv)
    assert ran.code == 1
    assert "coordination.db is at version 99" in ran.err
    assert "use the newer program" in ran.err
    assert "restore" not in ran.err
    assert "damaged" not in ran.err
    assert not (home / "copy").exists()


@pytest.mark.parametrize("argv", [*NEED_ALL_THREE, ("db", "check")], ids=" ".join)
@pytest.mark.parametrize("of", ["coordination", "tempolite", "another program"])
def test_a_database_in_the_place_of_another_is_named_as_that(
    home: Path, beadflow: Run, argv: tuple[str, ...], of: str
) -> None:
    (home / "beads.db").unlink()
    if of == "another program":
        with closing(sqlite3.connect(home / "beads.db")) as connection:
            connection.execute("CREATE TABLE theirs (a)")
    else:
        shutil.copy(home / f"{of}.db", home / "beads.db")
    before = (home / "beads.db").read_bytes()
    ran = beadflow(*argv)
    assert ran.code == 1
    said = "a database of another program" if " " in of else f"a copy of {of}.db"
    assert f"beads.db is {said}" in ran.err
    assert "newer" not in ran.err
    assert states(beadflow)[2] == "foreign"
    assert (home / "beads.db").read_bytes() == before


ODD: dict[str, Callable[[Path], object]] = {
    "a link": lambda path: path.symlink_to(path.with_name("beads.db")),
    "a link to nothing": lambda path: path.symlink_to(path.with_name("nowhere")),
    "a pipe": os.mkfifo,
    "a directory": Path.mkdir,
}


@pytest.mark.parametrize("argv", [*NEED_ALL_THREE, ("db", "check")], ids=" ".join)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_is_refused_as_that_by_every_command(
    home: Path, beadflow: Run, argv: tuple[str, ...], odd: str
) -> None:
    (home / "tempolite.db").unlink()
    ODD[odd](home / "tempolite.db")
    ran = beadflow(*argv)
    assert ran.code == 1
    assert f"refusing to use {home / 'tempolite.db'}: a database must be a regular file" in ran.err
    assert "restore" not in ran.err
    assert not (home / "nowhere").exists()
    assert states(beadflow)[1] == "unreadable"


@pytest.mark.parametrize("odd", ODD)
def test_a_restore_moves_away_what_is_no_file(
    home: Path, beadflow: Run, tmp_path: Path, odd: str
) -> None:
    beadflow("db", "migrate")
    beadflow("db", "backup", str(tmp_path / "monday"))
    (home / "tempolite.db").unlink()
    ODD[odd](home / "tempolite.db")
    assert beadflow("db", "restore", str(tmp_path / "monday")).code == 0
    assert beadflow("db", "check").code == 0
    assert os.path.lexists(next(home.glob("replaced-*")) / "tempolite.db")


@pytest.mark.parametrize("argv", [*NEED_ALL_THREE, ("db", "check")], ids=" ".join)
def test_lost_databases_are_not_taken_for_a_first_start(
    home: Path, beadflow: Run, argv: tuple[str, ...]
) -> None:
    for database in databases(home):
        database.path.rename(database.log)
    ran = beadflow(*argv)
    assert ran.code == 1
    assert f"the databases in {home} were lost (what is left: coordination.db-wal, " in ran.err
    assert "put a backup in their place (`beadflow db restore`)" in ran.err
    assert not list(home.glob("*.db"))


@pytest.mark.parametrize("argv", [*NEED_ALL_THREE, ("db", "check")], ids=" ".join)
def test_a_database_of_an_older_backup_is_refused_with_what_to_do(
    home: Path, beadflow: Run, argv: tuple[str, ...]
) -> None:
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.executescript("DELETE FROM workflow_mappings; DELETE FROM events")
    ran = beadflow(*argv)
    assert ran.code == 1
    assert f"{home / 'coordination.db'} is older than {home / 'tempolite.db'}" in ran.err
    assert "put both back from the same backup (`beadflow db restore`)" in ran.err
    assert not (home / "backups").exists()
    assert not (home / "copy").exists()


@pytest.mark.parametrize("argv", NEED_ALL_THREE, ids=" ".join)
def test_lost_issues_are_said_to_come_back_at_the_next_start(
    home: Path, beadflow: Run, argv: tuple[str, ...]
) -> None:
    (home / "beads.db").unlink()
    ran = beadflow(*argv)
    assert ran.code == 1
    assert (
        "beads.db is missing or empty: `beadflow up` rebuilds it from the issues' file" in ran.err
    )
    assert not (home / "beads.db").exists()


def test_a_lost_database_is_no_puzzle_while_a_restore_is_unfinished(
    home: Path, beadflow: Run
) -> None:
    (home / "restore.json").write_text('{"aside": "replaced-x"}')
    (home / "coordination.db").unlink()
    err = beadflow("db", "status").err
    assert "was cut off" in err
    assert "relies on it" not in err


def test_a_backup_is_taken_beside_a_holder_and_restored_without_one(
    home: Path, beadflow: Run, tmp_path: Path
) -> None:
    beadflow("db", "migrate")
    target = tmp_path / "backups" / "monday"
    with DataDir.resolve():
        ran = beadflow("db", "backup", str(target), "-o", "json")
        assert ran.code == 0
        assert ran.json["data"]["backup"] == str(target)
        refused = beadflow("db", "restore", str(target))
        assert refused.code == 7
        assert f"process {os.getpid()}" in refused.err
    (home / "tempolite.db").write_bytes(b"rubbish" * 1000)
    done = beadflow("db", "restore", str(target))
    assert done.code == 0
    assert f"{home}/replaced-" in done.out
    assert beadflow("db", "check").code == 0


def test_a_backup_of_another_repository_is_restored_by_force_alone(
    home: Path, beadflow: Run, tmp_path: Path
) -> None:
    beadflow("db", "migrate")
    target, other = tmp_path / "monday", tmp_path / "other"
    assert beadflow("db", "backup", str(target)).code == 0
    other.mkdir()
    refused = beadflow("db", "restore", str(target), "--repo", str(other), "-o", "json")
    assert refused.code == 7
    assert refused.json["error"]["code"] == "another_repository"
    assert str(other) in refused.err
    assert not list(other.rglob("*.db"))
    assert beadflow("db", "restore", str(target), "--repo", str(other), "--force").code == 0
    assert beadflow("db", "check", "--repo", str(other)).code == 0


def test_a_backup_that_is_not_whole_is_refused_in_words(
    home: Path, beadflow: Run, tmp_path: Path
) -> None:
    (tmp_path / "half").mkdir()
    ran = beadflow("db", "restore", str(tmp_path / "half"), "-o", "json")
    assert ran.code == 6
    assert ran.json["error"]["code"] == "no_backup"
    assert "no whole backup" in ran.err


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_a_backup_that_is_not_there_is_not_found(
    home: Path, beadflow: Run, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    ran = beadflow("db", "restore", str(tmp_path / name), "-o", "json")
    assert ran.code == 6
    assert ran.json["error"]["code"] == "no_backup"
    assert f"{tmp_path / name} cannot be restored: there is no such directory" in ran.err


def test_a_backup_is_never_overwritten(home: Path, beadflow: Run, tmp_path: Path) -> None:
    beadflow("db", "migrate")
    (tmp_path / "monday").mkdir()
    (tmp_path / "monday" / "note").touch()
    ran = beadflow("db", "backup", str(tmp_path / "monday"), "-o", "json")
    assert ran.code == 7
    assert ran.json["error"]["code"] == "backup_exists"
    assert "never overwritten: name another directory" in ran.err
    assert [path.name for path in (tmp_path / "monday").iterdir()] == ["note"]


def test_a_link_is_no_place_for_a_backup_and_is_said_to_be_one(
    home: Path, beadflow: Run, tmp_path: Path
) -> None:
    beadflow("db", "migrate")
    (tmp_path / "there").mkdir()
    (tmp_path / "monday").symlink_to(tmp_path / "there")
    ran = beadflow("db", "backup", str(tmp_path / "monday"))
    assert ran.code == 7
    assert "it is a symbolic link, which a backup never replaces: name what it leads" in ran.err


def test_a_backup_of_a_damaged_database_names_the_place_that_was_meant(
    home: Path, beadflow: Run, tmp_path: Path
) -> None:
    beadflow("db", "migrate")
    lose_index_entries(home / "tempolite.db", "tasks_ended", "UPDATE tasks SET state = 'done'")
    ran = beadflow("db", "backup", str(tmp_path / "monday"))
    assert ran.code == 1
    assert f"no backup was made in {tmp_path / 'monday'}: tempolite.db is damaged" in ran.err


def test_a_place_is_printed_without_detours(home: Path, beadflow: Run, tmp_path: Path) -> None:
    beadflow("db", "migrate")
    ran = beadflow("db", "backup", str(home / ".." / "monday"), "-o", "json")
    assert ran.json["data"]["backup"] == str(home.parent / "monday")
    ran = beadflow("db", "restore", str(home / ".." / "monday"), "-o", "json")
    assert ran.json["data"]["backup"] == str(home.parent / "monday")


@pytest.mark.parametrize(
    "argv",
    [
        ["backup", ""],
        ["restore", ""],
        ["status", "--repo", ""],
        ["status", "--data-dir="],
        ["archive", "--config", ""],
    ],
)
def test_an_empty_path_is_refused_by_its_name(home: Path, beadflow: Run, argv: list[str]) -> None:
    ran = beadflow("db", *argv)
    assert ran.code == 2
    assert argv[1].strip("=") in ran.err
    assert "the path is empty; name one" in ran.err


def test_an_empty_path_of_the_environment_is_refused_by_its_name(
    home: Path, beadflow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_DATA_DIR", "")
    ran = beadflow("db", "status")
    assert ran.code == 2
    assert "WORKFLOW_DATA_DIR" in ran.err


def test_what_the_system_refuses_is_said_in_words_with_what_to_do(
    home: Path, beadflow: Run, tmp_path: Path
) -> None:
    beadflow("db", "migrate")
    (tmp_path / "file").touch()
    ran = beadflow("db", "backup", str(tmp_path / "file" / "monday"))
    assert ran.code == 1
    assert "Not a directory: " in ran.err
    assert "hint: a part of the path is a file" in ran.err
    assert "Errno" not in ran.err


def test_a_restore_that_was_cut_off_is_told_to_who_reads_and_finished_by_who_writes(
    home: Path, beadflow: Run
) -> None:
    beadflow("db", "migrate")
    (home / "restore.json").write_text('{"aside": "replaced-x"}')
    for argv in (["db", "check"], ["db", "backup", "b"], ["workflow", "list"]):
        ran = beadflow(*argv)
        assert ran.code == 1
        assert "was cut off" in ran.err
    told = beadflow("db", "status", "-o", "json")
    assert (told.code, told.json["data"]["restore_unfinished"]) == (1, True)
    assert "was cut off" in beadflow("db", "status").err
    ran = beadflow("db", "migrate")
    assert ran.code == 0
    assert f"a restore into {home} that was cut off was finished first" in ran.err
    assert beadflow("db", "status").code == 0
    assert "finished first" not in beadflow("db", "migrate").err
    assert beadflow("db", "check").code == 0


def test_a_backup_that_is_refused_does_not_finish_the_restore_that_was_cut_off(
    home: Path, beadflow: Run, tmp_path: Path
) -> None:
    beadflow("db", "migrate")
    target = tmp_path / "monday"
    assert beadflow("db", "backup", str(target)).code == 0
    shutil.copytree(target, home / "restoring")
    (home / "restore.json").write_text('{"aside": "replaced-x"}')
    before = (home / "coordination.db").read_bytes()
    assert beadflow("db", "restore", str(tmp_path / "nope")).code != 0
    assert (home / "restore.json").exists()
    assert (home / "coordination.db").read_bytes() == before
    ran = beadflow("db", "restore", str(target))
    assert ran.code == 0
    assert "was finished first" in ran.err
    assert (home / "replaced-x" / "coordination.db").read_bytes() == before


def test_a_restore_into_an_empty_place_that_was_cut_off_is_finished_too(
    home: Path, beadflow: Run, tmp_path: Path
) -> None:
    beadflow("db", "migrate")
    (home / "restoring").mkdir()
    for database in databases(home):
        database.path.rename(home / "restoring" / database.path.name)
    (home / "restore.json").write_text('{"aside": "replaced-x"}')
    assert "was cut off" in beadflow("db", "check").err
    assert beadflow("db", "migrate").code == 0
    assert beadflow("db", "check").code == 0


@pytest.fixture
def second(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A next version of the engine's schema, and the data at it."""
    engine = databases(home)[1]
    schema = tmp_path / "schema"
    shutil.copytree(str(engine.schema), schema)
    version = engine.newest + 1
    (schema / f"{version:04d}_next.up.sql").write_text("ALTER TABLE meta ADD COLUMN n TEXT;")
    (schema / f"{version:04d}_next.down.sql").write_text("ALTER TABLE meta DROP COLUMN n;")
    monkeypatch.setitem(storage.databases._SCHEMAS, "tempolite", schema)
    return schema


def test_a_rollback_takes_a_backup_first_and_then_each_step_back(
    home: Path, second: Path, beadflow: Run
) -> None:
    beadflow("db", "migrate")
    version = databases(home)[1].newest
    ran = beadflow("db", "rollback", "--to", str(version - 1), "-o", "json")
    assert ran.code == 0
    done = ran.json["data"]
    assert ("tempolite", version) in [(s["database"], s["version"]) for s in done["steps"]]
    backup = Path(done["backup"])
    assert backup.parent == home / "backups"
    with closing(open_reader(home / "tempolite.db")) as connection:
        assert applied(connection)[-1].version == version - 1
    assert beadflow("db", "check").code == 0
    assert beadflow("db", "restore", str(backup)).code == 0
    with closing(open_reader(home / "tempolite.db")) as connection:
        assert applied(connection)[-1].version == version


def test_a_rollback_of_one_database_leaves_the_others(
    home: Path, second: Path, beadflow: Run
) -> None:
    beadflow("db", "migrate")
    version = databases(home)[1].newest
    ran = beadflow("db", "rollback", "--to", "1", "--database", "beads", "-o", "json")
    assert "tempolite" not in {step["database"] for step in ran.json["data"]["steps"]}
    with closing(open_reader(home / "tempolite.db")) as connection:
        assert applied(connection)[-1].version == version


def test_a_rollback_without_its_down_file_is_refused_before_anything_is_done(
    home: Path, second: Path, beadflow: Run
) -> None:
    beadflow("db", "migrate")
    version = databases(home)[1].newest
    (second / f"{version:04d}_next.down.sql").unlink()
    ran = beadflow("db", "rollback", "--to", str(version - 1))
    assert ran.code == 1
    assert "has no down file: restore a backup" in ran.err
    assert not (home / "backups").exists()


def test_a_rollback_with_nothing_to_take_back_makes_no_backup(home: Path, beadflow: Run) -> None:
    beadflow("db", "migrate")
    newest = max(database.newest for database in databases(home))
    ran = beadflow("db", "rollback", "--to", str(newest))
    assert ran.code == 0
    assert f"no database is above version {newest}" in ran.err
    said = beadflow("db", "rollback", "--to", str(newest), "-o", "json")
    assert said.json["data"] == {"steps": [], "backup": None}
    assert not (home / "backups").exists()


def test_a_rollback_to_nothing_is_refused(home: Path, beadflow: Run) -> None:
    assert beadflow("db", "rollback", "--to", "0").code == 2


@pytest.mark.parametrize("database", [[], ["--database", "beads"]])
def test_a_rollback_to_a_version_that_never_was_is_refused(
    home: Path, beadflow: Run, database: list[str]
) -> None:
    known = [d.newest for d in databases(home) if not database or d.name in database]
    ran = beadflow("db", "rollback", "--to", str(max(known) + 1), *database)
    assert ran.code == 2
    assert f"the newest version is {max(known)}" in ran.err


def test_tables_of_workflows_go_with_the_file_through_every_command(
    home: Path, beadflow: Run, tmp_path: Path
) -> None:
    def kept(place: Path, view: str = "visits") -> list[tuple[str, int]]:
        with closing(sqlite3.connect(place / "tempolite.db")) as connection:
            return connection.execute(f"SELECT * FROM {view}").fetchall()  # noqa: S608 - constants

    beadflow("db", "migrate")
    with closing(open_writer(home / "tempolite.db")) as connection:
        connection.execute("CREATE TABLE visits (name TEXT PRIMARY KEY, count INTEGER)")
        connection.execute("CREATE INDEX often ON visits (count)")
        connection.execute("CREATE VIEW states AS SELECT status, parked FROM instances")
        connection.execute("CREATE VIEW lost AS SELECT 1 FROM a_table_that_was_dropped")
        connection.execute("INSERT INTO visits VALUES ('anna', 3)")
    states, backup, elsewhere = kept(home, "states"), tmp_path / "backup", tmp_path / "elsewhere"
    for argv in (
        ["check"],
        ["backup", str(backup)],
        ["restore", str(backup), "--data-dir", str(elsewhere), "--force"],
        ["check", "--data-dir", str(elsewhere)],
        ["rollback", "--to", "1"],
        ["check"],
        ["migrate"],
        ["check"],
        ["vacuum"],
        ["archive", "--days", "36500"],
        ["restore", str(backup)],
        ["check"],
    ):
        ran = beadflow("db", *argv)
        assert ran.code == 0, (argv, ran.err)
        assert kept(home) == [("anna", 3)], argv
    assert kept(home, "states") == kept(elsewhere, "states") == states
    assert kept(elsewhere) == [("anna", 3)]


def artifact(home: Path, data: bytes, *, has_row: bool = True) -> Path:
    """A content, and the row that names it."""
    incoming = Artifacts(home / "artifacts", spare_bytes=0).begin()
    incoming.write(data)
    made = incoming.place()
    with closing(open_writer(home / "coordination.db")) as connection:
        connection.execute(
            "INSERT INTO artifacts (workflow_id, name, version, media_type, size, sha256,"
            " created_at) SELECT tempolite_workflow_id, 'a', 1, 'a/b', ?, ?, 't'"
            " FROM workflow_mappings WHERE ? LIMIT 1",
            (made.size, made.sha256, has_row),
        )
    return home / "artifacts" / made.sha256[:2] / made.sha256


def test_artifacts_go_through_every_command(home: Path, beadflow: Run, tmp_path: Path) -> None:
    beadflow("db", "migrate")
    kept, loose = artifact(home, b"kept"), artifact(home, b"loose", has_row=False)
    ran = beadflow("db", "check")
    assert ran.code == 0
    assert "1 files of artifacts are named by no row (5 B)" in ran.err
    ran = beadflow("db", "backup", str(tmp_path / "backup"))
    assert ran.out.splitlines()[4].split() == ["1", "artifacts", "4"]
    assert beadflow("db", "vacuum", "-o", "json").json["artifacts"] == {"files": 1, "bytes": 5}
    assert (kept.exists(), loose.exists()) == (True, False)
    kept.write_bytes(b"lost")
    ran = beadflow("db", "check")
    assert ran.code == 1
    assert "another SHA-256" in ran.out
    ran = beadflow("db", "backup", str(tmp_path / "without"))
    assert (ran.code, f"content {kept.name} is missing or damaged" in ran.err) == (0, True)
    assert beadflow("db", "restore", str(tmp_path / "backup")).code == 0
    assert kept.read_bytes() == b"kept"
    ran = beadflow("db", "check")
    assert (ran.code, "artifacts" in ran.err) == (0, False)


def test_vacuum_shows_the_sizes_and_is_refused_while_somebody_holds_the_data(
    home: Path, beadflow: Run
) -> None:
    ran = beadflow("db", "vacuum", "-o", "json")
    assert ran.code == 0
    assert [line["database"] for line in ran.json["data"]] == [d.name for d in databases(home)]
    assert all(0 < line["after"] <= line["before"] for line in ran.json["data"])
    with DataDir.resolve():
        assert beadflow("db", "vacuum").code == 7


def test_archive_moves_out_what_ended_long_ago(home: Path, beadflow: Run) -> None:
    beadflow("db", "migrate")
    with closing(open_writer(home / "coordination.db")) as connection:
        old = "'2020-01-01T00:00:00.000000Z'"
        connection.execute(f"UPDATE workflow_mappings SET created_at = {old}")  # noqa: S608 - constants
        connection.execute(
            f"UPDATE workflow_mappings SET completed_at = {old} WHERE completed_at IS NOT NULL"  # noqa: S608 - constants
        )
    with closing(open_writer(home / "beads.db")) as connection:
        connection.execute("UPDATE cursors SET position = 20")
    ran = beadflow("db", "archive", "--days", "30", "-o", "json")
    assert ran.code == 0
    assert ran.json["data"]["workflows"] == 2
    lines = "".join(path.read_text() for path in (home / "archive").iterdir())
    assert ran.json["data"]["events"] == lines.count('"table":"events"') > 0
    assert (home / "archive" / "2020-01.jsonl").exists()
    assert beadflow("db", "check").code == 0
    assert beadflow("db", "vacuum").code == 0
    assert beadflow("db", "archive", "--days", "30", "-o", "json").json["data"]["workflows"] == 0


@pytest.mark.parametrize("argv", [["vacuum"], ["archive", "--days", "1"]])
def test_a_damaged_index_is_refused_by_who_would_delete_or_rewrite(
    home: Path, beadflow: Run, argv: list[str]
) -> None:
    beadflow("db", "migrate")
    lose_index_entries(home / "tempolite.db", "tasks_ended", "UPDATE tasks SET state = 'done'")
    ran = beadflow("db", *argv)
    assert ran.code == 1
    assert str(home / "tempolite.db") in ran.err
    assert "missing from index tasks_ended" in ran.err
    assert beadflow("db", "check").code == 1


def test_archive_takes_the_days_of_the_settings(home: Path, beadflow: Run, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("retention_days = 30\n")
    assert beadflow("db", "archive", "--config", str(tmp_path / "s.toml")).code == 0
    assert "retention_days" in beadflow("db", "archive", "--help").out


def test_archive_without_days_is_refused(home: Path, beadflow: Run) -> None:
    ran = beadflow("db", "archive")
    assert ran.code == 2
    assert "Nothing says how long to keep workflows" in ran.err
    assert not (home / "archive").exists()


@pytest.mark.parametrize("days", ["0", "-1", "36501", "1.5", "x", ""])
def test_archive_refuses_days_that_are_none_by_their_name(
    home: Path, beadflow: Run, days: str
) -> None:
    ran = beadflow("db", "archive", f"--days={days}")
    assert ran.code == 2
    assert "--days" in ran.err
    assert days in ran.err
    assert not (home / "archive").exists()


@pytest.mark.parametrize(
    "argv",
    [
        ["db", "rollback", "--to", "1.5"],
        ["workflow", "list", "--limit", "1.5"],
        ["actors", "--depth", "1.5"],
        ["actors", "--limit", "1.5"],
        ["up", "--port", "1.5"],
        ["up", "--metrics-port", "1.5"],
    ],
)
def test_a_part_of_a_number_is_never_cut_off(home: Path, beadflow: Run, argv: list[str]) -> None:
    ran = beadflow(*argv)
    assert ran.code == 2
    assert f"Invalid value for {argv[-2]}: '1.5' is not a whole number" in ran.err


def test_archive_is_refused_while_somebody_holds_the_data(home: Path, beadflow: Run) -> None:
    with DataDir.resolve():
        assert beadflow("db", "archive", "--days", "1").code == 7


@pytest.mark.parametrize("days", ["-1", "1.5", '"30"', "true", "40000"])
def test_a_number_of_days_that_is_none_is_refused_by_its_name(
    home: Path, beadflow: Run, tmp_path: Path, days: str
) -> None:
    (tmp_path / "s.toml").write_text(f"retention_days = {days}\n")
    ran = beadflow("db", "archive", "--config", str(tmp_path / "s.toml"))
    assert ran.code == 2
    assert "retention_days is a whole number, 0 to 36500" in ran.err
