"""Many processes that want work from one server."""

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from storage.issues import jsonl
from tests.support.server import Server

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
PROCESSES = 8
ISSUES = int(os.environ.get("BEADFLOW_STORM", "1000"))
DEADLINE_S = 60.0 + ISSUES / 20
AT = "2026-01-01T00:00:00Z"


def queue(repo: Path) -> list[str]:
    """A published file with work; gives the ids."""
    ids = [f"q-{number:05d}" for number in range(ISSUES)]
    usual = {"title": "T", "status": "open", "priority": 2, "issue_type": "task"}
    rows = [usual | {"id": one, "created_at": AT, "updated_at": AT} for one in ids]
    (repo / ".beads").mkdir()
    lines = b"".join(jsonl.encode(row) + b"\n" for row in rows)
    (repo / ".beads" / "issues.jsonl").write_bytes(lines)
    return ids


def claimant(stack: ExitStack, server: Server, name: str) -> subprocess.Popen[str]:
    where = urlsplit(server.url)
    assert where.hostname
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", "tests.process.claimant", where.hostname, str(where.port), name],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    )
    stack.callback(process.kill)
    return process


def test_each_issue_of_a_queue_goes_to_exactly_one_of_eight_processes(server: Server) -> None:
    ids = queue(server.repo)
    with server, ExitStack() as stack:
        names = [f"worker-{number}" for number in range(PROCESSES)]
        workers = [claimant(stack, server, name) for name in names]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        said = [worker.communicate(timeout=DEADLINE_S) for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * PROCESSES, said
        won = [json.loads(line) for out, _ in said for line in out.splitlines()]
        assert server.stop() == 0
    assert Counter(issue_id for issue_id, _, _ in won) == Counter(ids)
    assert len({token for _, _, token in won}) == ISSUES
    published = map(jsonl.parse, (server.repo / ".beads/issues.jsonl").read_bytes().splitlines())
    assert {row["id"]: row["assignee"] for row in published} == {one: name for one, name, _ in won}
    shares = Counter(name for _, name, _ in won)
    assert len(shares) == PROCESSES, f"somebody got nothing: {shares}"
