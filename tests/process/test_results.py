"""Results and artifacts, from the command line to the disk and back."""

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.server import Server, run

pytestmark = pytest.mark.process


def told(server: Server, *argv: str) -> Any:
    ran = run("-o", "json", "workflow", *argv, cwd=server.repo)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)["data"]


def test_a_file_goes_to_the_server_and_comes_back_with_and_without_it(
    server: Server, tmp_path: Path
) -> None:
    variables = {"ledger": str(tmp_path / "ledger")}
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * 20_000)
    with server:
        started = server.post(issue_title="Q", workflow_type="quick_steps", variables=variables)
        workflow_id = started["id"]
        server.ended(workflow_id)
        made = told(server, "artifact", "put", workflow_id, str(large), "--name", "out/large.bin")
        assert (made["name"], made["version"]) == ("out/large.bin", 1)
        assert told(server, "artifact", "put", workflow_id, str(large))["sha256"] == made["sha256"]
        large.write_bytes(b"short")
        second = told(server, "artifact", "put", workflow_id, str(large), "--name", "out/large.bin")
        assert second["version"] == 2
        _check_reads(server, workflow_id, made)
        refused = run("workflow", "artifact", "get", workflow_id, "no.bin", cwd=server.repo)
        assert (refused.returncode, "no artifact 'no.bin'" in refused.stderr) == (6, True)
        hostile = run("workflow", "artifact", "put", workflow_id, str(large), "--name", "a/.x",
                      cwd=server.repo)  # fmt: skip
        assert "begins with a dot" in hostile.stderr
    _check_reads(server, workflow_id, made)
    unserved = run("workflow", "artifact", "put", workflow_id, str(large), cwd=server.repo)
    assert "Nobody is there to store the file" in unserved.stderr


def _check_reads(server: Server, workflow_id: str, made: Any) -> None:
    listed = told(server, "artifacts", workflow_id)
    assert [(a["name"], a["version"]) for a in listed] == [
        ("large.bin", 1),
        ("out/large.bin", 1),
        ("out/large.bin", 2),
    ]
    target = server.repo / "got.bin"
    for version, size in ((None, 5), ("1", made["size"])):
        argv = ["artifact", "get", workflow_id, "out/large.bin", "--to", str(target), "--force"]
        told(server, *argv, *([] if version is None else ["--version", version]))
        assert target.stat().st_size == size
    again = run("workflow", *argv[:-1], cwd=server.repo)
    assert "there already" in again.stderr
    piped = run("workflow", "artifact", "get", workflow_id, "out/large.bin", "--to", "-",
                cwd=server.repo)  # fmt: skip
    assert piped.stdout == "short"
    target.unlink()


def test_results_are_listed_in_versions_and_across_workflows(
    server: Server, tmp_path: Path
) -> None:
    variables = {"ledger": str(tmp_path / "ledger")}
    with server:
        started = server.post(issue_title="Q", workflow_type="quick_steps", variables=variables)
        workflow_id = started["id"]
        server.ended(workflow_id)
        of_one = told(server, "results", workflow_id, "--latest")
        everything = told(server, "results", "--all", "--limit", "100")
        assert sorted(r["id"] for r in of_one) == sorted(r["id"] for r in everything)
        shown = run("workflow", "results", workflow_id, "--type", "output", cwd=server.repo)
        assert shown.stdout.splitlines()[0].split() == [
            "WORKFLOW", "STEP", "VERSION", "TYPE", "AGENT", "CONFIDENCE", "CREATED",
        ]  # fmt: skip
        assert run("workflow", "results", cwd=server.repo).returncode == 2


CLIENTS = 4
ACKNOWLEDGED = 12


def test_a_kill_loses_no_artifact_that_was_acknowledged(server: Server, tmp_path: Path) -> None:
    variables = {"ledger": str(tmp_path / "ledger")}
    acknowledged: dict[str, str] = {}
    enough = threading.Event()

    def store(client: int, place: str) -> None:
        for number in range(1000):
            data = f"{client}-{number}".encode() * 50_000
            name = f"{client}/{number}.bin"
            try:
                made = httpx2.put(f"{server.url}{place}/{name}", content=data)
            except httpx2.HTTPError:
                return
            assert made.status_code == 201, made.text
            acknowledged[name] = hashlib.sha256(data).hexdigest()
            if len(acknowledged) >= ACKNOWLEDGED:
                enough.set()

    with server:
        started = server.post(issue_title="Q", workflow_type="quick_steps", variables=variables)
        server.ended(started["id"])
        place = f"/api/v1/workflows/{started['id']}/artifacts"
        threads = [threading.Thread(target=store, args=(n, place)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        assert enough.wait(60.0)
        server.kill()
        for thread in threads:
            thread.join()
        checked = run("db", "check", cwd=server.repo)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        server.start()
        for name, sha256 in acknowledged.items():
            read = httpx2.get(f"{server.url}{place}/{name}")
            assert hashlib.sha256(read.content).hexdigest() == sha256, name
        swept = run("db", "check", cwd=server.repo)
        assert swept.returncode == 0, swept.stdout
