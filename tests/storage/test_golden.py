"""Databases as every released schema left them are brought to the present one, and work."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from storage.database import open_reader, open_writer
from storage.databases import NAMES, Database, databases
from storage.home import DataDir
from storage.integrity import inspect
from storage.invariants import broken
from storage.migrate import applied, migrate
from storage.snapshot import snapshot
from tests.support import golden
from tests.support.golden import CUT_OFF, ENDED, WORKFLOWS, Helper, golden_file
from tests.support.world import running_system

NEWEST = {database.name: database.newest for database in databases(Path())}
RELEASED = [(name, version) for name in NAMES for version in range(1, max(NEWEST[name], 2))]
"""Every version that users may have and this program does not make any more; and the first."""
VERSIONS = sorted({version for _, version in RELEASED})


def put(directory: Path, version: int) -> tuple[Database, ...]:
    """The set of a version; a database that had not come so far is at the one it had.

    It may be a file of that set's own: all of a set are of one life.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for database in databases(directory):
        there = [n for n in range(1, version + 1) if golden_file(database.name, n).exists()]
        at_it = golden_file(database.name, there[-1])
        own = at_it.with_stem(f"{at_it.stem}-beside-{version:04}")
        shutil.copy(own if own.exists() else at_it, database.path)
    return databases(directory)


@pytest.mark.parametrize(("name", "version"), RELEASED)
def test_every_released_schema_has_its_file(name: str, version: int) -> None:
    with closing(open_reader(golden_file(name, version))) as connection:
        assert [row.version for row in applied(connection)] == list(range(1, version + 1))


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_set_is_brought_to_the_present_schema_and_nothing_is_wrong_with_it(
    tmp_path: Path, version: int
) -> None:
    for database in put(tmp_path, version):
        with closing(open_writer(database.path)) as connection:
            migrate(connection, database.schema)
            assert applied(connection)[-1].version == NEWEST[database.name]
        assert inspect(database) == []
    with snapshot(tmp_path) as held:
        assert broken(held) == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_old_set_serves_and_what_was_cut_off_goes_on(
    repo: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    async def go_on() -> None:
        pass

    monkeypatch.setattr(golden, "hold", go_on)
    data = DataDir.resolve(repo)
    put(data.path, version)
    with closing(open_reader(data.coordination_db)) as connection:
        sql = "SELECT tempolite_workflow_id, workflow_type FROM workflow_mappings ORDER BY 1"
        known = [tuple(row) for row in connection.execute(sql)]
    async with running_system(repo, workflows=WORKFLOWS, agents=[Helper]) as running:
        found = dict(known)
        assert sorted(found.values()) == sorted([*ENDED, CUT_OFF, CUT_OFF])
        ended = {record.type: record.status for record in await running.ended(*found)}
        assert ended == {**ENDED, CUT_OFF: "completed"}
        (waited, *_) = [w for w, kind in known if kind == CUT_OFF]
        assert await running.output(waited) == "waited"
