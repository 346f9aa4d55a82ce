"""Issues through the installed command and a real server, and through the published file."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.server import Server, run

pytestmark = pytest.mark.process

ISSUES = "/api/v1/issues"


def told(repo: Path, *argv: str, code: int = 0) -> Any:
    ran = run("-o", "json", *argv, cwd=repo, BEADFLOW_ACTOR="ada")
    assert ran.returncode == code, ran.stdout + ran.stderr
    return json.loads(ran.stdout)["data" if code == 0 else "error"]


def test_the_way_of_an_issue_through_a_server(server: Server) -> None:
    repo = server.repo
    with server:
        first = told(repo, "issue", "create", "First", "-p", "1", "-t", "bug")["id"]
        later = told(repo, "issue", "create", "Later", "--deps", first)["id"]
        assert [each["issue"]["id"] for each in told(repo, "ready")] == [first]
        claimed = told(repo, "ready", "--claim")
        assert (claimed["issue"]["id"], claimed["holder"]) == (first, "ada")
        lost = told(repo, "claim", first, "--actor", "bob", code=7)
        assert lost["code"] == "already_claimed"
        assert told(repo, "done", later, code=7)["code"] == "issue_blocked"
        told(repo, "issue", "heartbeat", first, "--token", str(claimed["token"]))
        told(repo, "done", first, "-r", "Completed", "--token", str(claimed["token"]))
        assert told(repo, "issue", "why", later)["ready"] is True
        shown = told(repo, "issue", "show", first)[0]
        assert [edge["id"] for edge in shown["dependents"]] == [later]
    lines = (repo / ".beads" / "issues.jsonl").read_text("utf-8").splitlines()
    rows = {row["id"]: row for row in map(json.loads, lines)}
    assert (rows[first]["status"], rows[first]["close_reason"]) == ("closed", "Completed")
    assert rows[later]["dependencies"][0]["depends_on_id"] == first
    assert [each["issue"]["id"] for each in told(repo, "ready")] == [later]
    git = ["git", "show", "refs/beadflow/issues:issues.jsonl"]
    recorded = subprocess.run(git, cwd=repo, check=True, capture_output=True, text=True).stdout
    assert recorded.splitlines() == lines


def test_what_was_acknowledged_is_there_after_a_kill(server: Server) -> None:
    server.start()
    made = told(server.repo, "issue", "create", "Keep me")["id"]
    server.kill()
    assert told(server.repo, "issue", "show", made)[0]["issue"]["title"] == "Keep me"


def test_of_many_who_ask_a_server_at_once_each_gets_an_issue_of_its_own(server: Server) -> None:
    with server, httpx2.Client(base_url=server.url) as client:
        made = {
            client.post(ISSUES, json={"title": f"n {n}", "actor": "ada"}).json()["id"]
            for n in range(40)
        }

        def work(agent: int) -> list[str]:
            taken = []
            while True:
                answer = client.post(f"{ISSUES}/ready/claim", json={"actor": f"agent-{agent}"})
                if answer.status_code == 409:
                    assert answer.json()["code"] == "nothing_ready"
                    return taken
                taken.append(answer.json()["issue"]["id"])

        with ThreadPoolExecutor(8) as pool:
            taken = [each for found in pool.map(work, range(8)) for each in found]
    assert sorted(taken) == sorted(made)


def test_a_state_that_was_seen_guards_an_update(server: Server) -> None:
    with server, httpx2.Client(base_url=server.url) as client:
        created = client.post(ISSUES, json={"title": "T", "actor": "ada"})
        address, tag = created.headers["Location"], created.headers["ETag"]
        body = {"priority": 0, "actor": "ada"}
        assert client.put(address, json=body, headers={"If-Match": tag}).status_code == 200
        late = client.put(address, json=body | {"priority": 1}, headers={"If-Match": tag})
        assert (late.status_code, late.json()["code"]) == (412, "issue_changed")
        assert client.get(address).json()["issue"]["priority"] == 0


def test_the_same_creation_sent_twice_is_one_issue(server: Server) -> None:
    with server, httpx2.Client(base_url=server.url) as client:
        sent = [
            client.post(
                ISSUES, json={"title": "T", "actor": "ada"}, headers={"Idempotency-Key": "k"}
            ).json()
            for _ in range(2)
        ]
        assert sent[0]["id"] == sent[1]["id"]
        assert client.get(ISSUES).json()["total"] == 1
        exported = client.get(f"{ISSUES}/export")
        assert exported.headers["Content-Type"] == "application/x-ndjson"
        assert [json.loads(line)["id"] for line in exported.iter_lines()] == [sent[0]["id"]]
