import importlib.resources
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import open_reader, open_writer
from storage.errors import SchemaError
from storage.migrate import applied, migrate, rollback, status
from storage.migration import load, split

FILES = {
    "0001_things.up.sql": """
        CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT) STRICT; -- a comment; with a sign
        CREATE TABLE parts (id INTEGER PRIMARY KEY, thing_id INTEGER REFERENCES things(id)) STRICT;
        INSERT INTO things VALUES (1, 'a;b');
        INSERT INTO parts VALUES (1, 1);
    """,
    "0001_things.down.sql": "DROP TABLE parts; DROP TABLE things;",
    "0002_counted.up.sql": """
        /* rebuilds a table that another one refers to; */
        CREATE TABLE new (id INTEGER PRIMARY KEY, name TEXT, n INTEGER) STRICT;
        INSERT INTO new SELECT id, name, 0 FROM things;
        DROP TABLE things;
        ALTER TABLE new RENAME TO things;
        CREATE TRIGGER count AFTER INSERT ON parts BEGIN
            UPDATE things SET n = n + 1 WHERE id = new.thing_id;
            UPDATE things SET name = name || ';' WHERE id = new.thing_id;
        END;
    """,
    "0002_counted.down.sql": "DROP TRIGGER count; ALTER TABLE things DROP COLUMN n;",
}


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    return write(tmp_path / "schema", FILES)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    conn = open_writer(tmp_path / "x.db")
    yield conn
    conn.close()


def write(directory: Path, files: dict[str, str]) -> Path:
    directory.mkdir(exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


def shape(conn: sqlite3.Connection) -> list[tuple[str, str]]:
    rows = conn.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    return [tuple(row) for row in rows]


def test_every_step_is_applied_once_and_written_down(
    conn: sqlite3.Connection, schema: Path
) -> None:
    assert [(a.version, a.name) for a in migrate(conn, schema)] == [(1, "things"), (2, "counted")]
    assert migrate(conn, schema) == []
    assert [a.version for a in applied(conn)] == [1, 2]


def test_a_rebuilt_table_keeps_the_rows_that_refer_to_it(
    conn: sqlite3.Connection, schema: Path
) -> None:
    migrate(conn, schema)
    assert conn.execute("SELECT thing_id FROM parts").fetchone()[0] == 1
    assert conn.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_down_takes_back_what_up_did(conn: sqlite3.Connection, schema: Path) -> None:
    (schema / "0002_counted.up.sql").write_text("ALTER TABLE things ADD COLUMN n INTEGER;")
    (schema / "0002_counted.down.sql").write_text("ALTER TABLE things DROP COLUMN n;")
    migrate(conn, schema)
    assert [a.version for a in rollback(conn, schema, to=1)] == [2]
    assert "n INTEGER" not in str(shape(conn))
    assert [a.version for a in rollback(conn, schema, to=0)] == [1]
    assert [name for name, _ in shape(conn)] == ["schema_migrations"]
    assert [a.version for a in migrate(conn, schema)] == [1, 2]


def test_versions_are_numbers_and_not_texts(conn: sqlite3.Connection, tmp_path: Path) -> None:
    files = {f"{n}_t.up.sql": f"CREATE TABLE t{n} (a);" for n in range(1, 12)}
    done = migrate(conn, write(tmp_path / "many", files))
    assert [a.version for a in done] == list(range(1, 12))


def test_a_failing_step_leaves_nothing_and_the_steps_before_it_stay(
    conn: sqlite3.Connection, schema: Path
) -> None:
    write(schema, {"0003_bad.up.sql": "CREATE TABLE half (a); INSERT INTO nowhere VALUES (1);"})
    with pytest.raises(SchemaError, match=r"0003_bad.*nowhere"):
        migrate(conn, schema)
    assert [a.version for a in applied(conn)] == [1, 2]
    assert "half" not in dict(shape(conn))
    assert not conn.in_transaction


def test_a_step_that_leaves_dangling_rows_is_refused(
    conn: sqlite3.Connection, schema: Path
) -> None:
    write(schema, {"0003_bad.up.sql": "DELETE FROM things;"})
    with pytest.raises(SchemaError, match="1 rows without"):
        migrate(conn, schema)
    assert conn.execute("SELECT count(*) FROM things").fetchone()[0] == 1


def test_a_database_of_a_newer_program_is_refused(conn: sqlite3.Connection, schema: Path) -> None:
    migrate(conn, schema)
    for file in schema.glob("0002*"):
        file.unlink()
    with pytest.raises(SchemaError, match=r"at version 2 .counted.*up to 1"):
        migrate(conn, schema)


def test_a_file_changed_after_it_was_applied_is_refused(
    conn: sqlite3.Connection, schema: Path
) -> None:
    migrate(conn, schema)
    write(schema, {"0001_things.up.sql": FILES["0001_things.up.sql"] + "-- more\n"})
    with pytest.raises(SchemaError, match="0001_things was changed"):
        migrate(conn, schema)


def test_line_ends_are_not_a_change(conn: sqlite3.Connection, schema: Path) -> None:
    migrate(conn, schema)
    text = FILES["0001_things.up.sql"].replace("\n", "\r\n")
    (schema / "0001_things.up.sql").write_bytes(text.encode())
    assert migrate(conn, schema) == []


def test_a_hole_in_what_was_applied_is_refused(conn: sqlite3.Connection, schema: Path) -> None:
    migrate(conn, schema)
    conn.execute("DELETE FROM schema_migrations WHERE version = 1")
    with pytest.raises(SchemaError, match=r"lacks versions \[1\]"):
        migrate(conn, schema)


def test_a_step_without_a_down_file_is_not_taken_back(
    conn: sqlite3.Connection, schema: Path
) -> None:
    (schema / "0001_things.down.sql").unlink()
    migrate(conn, schema)
    with pytest.raises(SchemaError, match="0001_things has no down file"):
        rollback(conn, schema, to=0)
    assert [a.version for a in applied(conn)] == [1, 2]


def test_status_never_refuses(conn: sqlite3.Connection, schema: Path, tmp_path: Path) -> None:
    migrate(conn, schema)
    conn.execute(
        "INSERT INTO schema_migrations VALUES (9, 'later', 'x', '2026-01-01T00:00:00+00:00')"
    )
    write(schema, {"0002_counted.up.sql": "-- other\n", "0003_next.up.sql": "CREATE TABLE n (a);"})
    reader = open_reader(tmp_path / "x.db")
    lines = {s.version: (s.known, s.changed, s.applied_at is None) for s in status(reader, schema)}
    reader.close()
    assert lines == {
        1: (True, False, False),
        2: (True, True, False),
        3: (True, False, True),
        9: (False, False, False),
    }


def test_status_of_a_new_database_is_all_pending(conn: sqlite3.Connection, schema: Path) -> None:
    assert [s.applied_at for s in status(conn, schema)] == [None, None]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"things.up.sql": ""}, "not named"),
        ({"0001_a.up.sql": "", "01_b.up.sql": ""}, "two up files of version 1"),
        ({"0001_a.up.sql": "", "0003_b.up.sql": ""}, "must run 1, 2, 3"),
        ({"0001_a.up.sql": "", "0002_b.down.sql": ""}, "without an up file"),
        ({"0001_a.up.sql": "", "0001_b.down.sql": ""}, "called a one way and b the other"),
    ],
)
def test_a_directory_that_makes_no_sense_is_refused(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(SchemaError, match=message):
        load(write(tmp_path / "odd", files))


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="not a directory"):
        load(tmp_path / "nowhere")


def test_migrations_are_read_from_an_installed_package() -> None:
    load(importlib.resources.files("storage") / "workflows" / "schema")


@pytest.mark.parametrize(
    "word", ["COMMIT", "begin", "-- hidden\nROLLBACK", "/* x; */ PRAGMA x = 1"]
)
def test_a_migration_may_not_end_its_transaction(word: str) -> None:
    with pytest.raises(SchemaError, match="may not say"):
        split(f"CREATE TABLE t (a); {word};")


def test_a_statement_without_its_end_is_refused() -> None:
    with pytest.raises(SchemaError, match="not ended by a semicolon"):
        split("CREATE TABLE a (b); CREATE TABLE c (d)")


def test_strings_comments_and_triggers_are_not_cut() -> None:
    assert len(split(FILES["0001_things.up.sql"])) == 4
    assert len(split(FILES["0002_counted.up.sql"])) == 5
    assert split("-- nothing; here\n;;  /* nor ; here */") == []


KILLED = """
import os, signal, sys
from pathlib import Path
from storage.database import open_writer
from storage.migrate import migrate
left = int(sys.argv[3])
def count(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
conn = open_writer(Path(sys.argv[1]))
conn.set_trace_callback(count)
migrate(conn, Path(sys.argv[2]))
"""


def test_a_kill_at_any_statement_leaves_the_old_schema_or_the_new(
    tmp_path: Path, schema: Path
) -> None:
    shapes = [shape_at(version, tmp_path) for version in range(3)]
    for point in range(1, 60):
        path = tmp_path / f"killed-{point}.db"
        end = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(schema), str(point)], check=False
        ).returncode
        conn = open_writer(path)
        assert shape(conn) == shapes[len(applied(conn))]
        migrate(conn, schema)
        assert shape(conn) == shapes[2]
        conn.close()
        if end == 0:
            return
        assert end == -signal.SIGKILL
    pytest.fail("the migration never got to its end")


def shape_at(version: int, place: Path) -> list[tuple[str, str]]:
    files = {name: text for name, text in FILES.items() if int(name[:4]) <= version}
    conn = open_writer(place / f"{version}.db")
    migrate(conn, write(place / f"schema-{version}", files))
    found = shape(conn)
    conn.close()
    return found
