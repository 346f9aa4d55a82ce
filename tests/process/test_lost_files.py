"""What a real server makes of files that are taken from under it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server

pytestmark = pytest.mark.process


def _delete(data: Path, name: str) -> None:
    (data / name).unlink()


def _replace(data: Path, name: str) -> None:
    shutil.copyfile(data / name, data / "copy")
    (data / "copy").rename(data / name)


@pytest.mark.parametrize(
    ("take", "name"),
    [(_delete, "tempolite.db"), (_delete, "beads.db-wal"), (_replace, "lock")],
)
def test_a_server_without_its_files_starts_nothing_and_says_so(
    server: Server, take: Callable[[Path, str], None], name: str
) -> None:
    data = server.repo / ".git" / "beadflow"
    with server:
        server.ended(server.post(**_quick(server))["id"])
        take(data, name)
        with server.client() as client:
            ready = client.get("/health/ready")
            assert (ready.status_code, ready.json()["parts"]["data"]) == (503, False)
            server.within(3.0, lambda: _start(server) == (503, "store_lost"))
            assert client.get("/api/v1/workflows").status_code == 200
        assert server.stop() == 0
    said = server.log.read_text().splitlines()
    (line,) = [line for line in said if "nothing is written any more" in line]
    assert "level=error" in line
    assert str(data / name) in line


def _start(server: Server) -> tuple[int, str]:
    with server.client() as client:
        answer = client.post("/api/v1/workflows", json=_quick(server))
    return answer.status_code, answer.json().get("code", "")


def _quick(server: Server) -> dict[str, Any]:
    variables = {"ledger": str(server.repo.parent / "ledger")}
    return {"issue_title": "Add", "workflow_type": "quick_steps", "variables": variables}
