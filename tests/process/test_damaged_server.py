"""What a real server makes of a database that is damaged under it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.support.server import Server, run

pytestmark = pytest.mark.process

PAGE_BYTES = 4096


def damage(path: Path) -> None:
    """Overwrites the beginning of each page from the third on."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    with path.open("r+b") as file:
        for page in range(2, pages):
            file.seek(page * PAGE_BYTES)
            file.write(b"U" * 64)


@pytest.mark.parametrize("name", ["tempolite.db"])  # the bus reads it after each commit
def test_a_server_whose_work_meets_damage_ends_at_once_and_names_the_file(
    server: Server, name: str
) -> None:
    path = server.repo / ".git" / "beadflow" / name
    variables = {"ledger": str(server.repo.parent / "ledger")}
    body = {"issue_title": "Add", "workflow_type": "quick_steps", "variables": variables}
    server.start()
    assert server.process is not None
    process = server.process
    # So many that tables have roots which no later commit writes: what is in the log is read there.
    for started in [server.post(**body) for _ in range(30)]:
        server.ended(started["id"])
    damage(path)

    def has_ended() -> bool:
        try:
            with server.client() as client:
                client.post("/api/v1/workflows", json=body)
        except httpx2.TransportError:
            return process.poll() is not None  # it is stopping, or has
        return False

    server.within(20.0, has_ended)
    server.reap()
    assert process.returncode == 1
    said = server.log.read_text()
    assert "Traceback" not in said
    assert "actor.restarted" not in said
    (last,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert f"a database is damaged: {path}" in last
    refused = run("up", cwd=server.repo)
    assert refused.returncode != 0
    assert str(path) in refused.stderr
