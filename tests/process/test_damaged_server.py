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


def test_a_damaged_issues_database_is_rebuilt_and_what_it_cost_is_told(server: Server) -> None:
    path = server.repo / ".git" / "beadflow" / "beads.db"
    with server, server.client() as client:
        made = client.post("/api/v1/issues", json={"title": "T", "actor": "ada"}).json()
        claim = client.post("/api/v1/issues/ready/claim", json={"actor": "ada"}).json()
        assert claim["issue"]["id"] == made["id"]
        assert server.stop() == 0
    damage_one_index(path)
    with server, server.client() as client:
        issue = client.get(f"/api/v1/issues/{made['id']}").json()["issue"]
        assert (issue["assignee"], issue["status"]) == ("ada", "in_progress")
        beat = client.post(f"/api/v1/issues/{made['id']}/heartbeat", json={"token": claim["token"]})
        assert (beat.status_code, beat.json()["code"]) == (409, "stale_claim")
        again = client.post(f"/api/v1/issues/{made['id']}/claim", json={"actor": "ada"}).json()
        assert again["token"] > claim["token"]
        assert server.stop() == 0
    told = [line for line in server.log.read_text().splitlines() if "rebuilt from their" in line]
    assert len(told) == 1
    assert f"lost_claims={made['id']}" in told[0]
    status = run("db", "status", cwd=server.repo)
    assert status.returncode == 0
    assert f"lost with it are claims: {made['id']};" in " ".join(status.stderr.split())


def damage_one_index(path: Path) -> None:
    """Overwrites an index that no look-up of ours needs, so that the rest can still be read."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'issues_by_time'"
        (page,) = connection.execute(sql).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"U" * 64)
