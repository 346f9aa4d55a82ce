"""What survives when the real server is killed."""

import collections
import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.server import Server

pytestmark = pytest.mark.process

SEED = int(os.environ.get("BEADFLOW_SEED", str(random.randrange(2**32))))
STORMS = 2  # at once: as many as CI has cores


def test_a_storm_of_kills_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """BEADFLOW_KILLS lives of the tree end by kill -9, half of them within 20 ms of an answer."""
    kills = int(os.environ.get("BEADFLOW_KILLS", "200"))
    print(f"replay with BEADFLOW_SEED={SEED} BEADFLOW_KILLS={kills}")
    for storm in _storms("storm", tmp_path, kills):
        print(f"killed {storm['kills']}, {storm['acknowledged']} starts acknowledged")
        assert not storm["lost"], "\n".join(storm["lost"])
        assert storm["late"] < sum(storm["kills"].values()) / 4
        assert storm["kills"]["acknowledged"] * 2 >= sum(storm["kills"].values())


def test_a_storm_of_kills_over_workflows_of_every_kind_ends_each_as_it_must(
    tmp_path: Path,
) -> None:
    """BEADFLOW_MIXED_KILLS lives end by kill -9: signals, timers, sagas, children, transactions."""
    kills = int(os.environ.get("BEADFLOW_MIXED_KILLS", "60"))
    print(f"replay with BEADFLOW_SEED={SEED} BEADFLOW_MIXED_KILLS={kills}")
    found = _storms("mixed", tmp_path, kills)
    for storm in found:
        print({key: value for key, value in storm.items() if key != "lost"})
        assert not storm["lost"], "\n".join(storm["lost"])
        assert storm["workflows"] > sum(storm["kills"].values())
    assert sum(storm["again"] for storm in found) > 0, "no kill met a step in flight"


def _storms(module: str, directory: Path, kills: int) -> list[Any]:
    """Run storms beside each other; answers what each has found."""
    storms = []
    for number in range(STORMS):
        place, seed = directory / f"{module}-{number}", f"{SEED}:{number}"
        command = [sys.executable, "-m", f"tests.process.{module}", str(place), seed]
        command.append(str(kills // STORMS))
        storms.append(subprocess.Popen(command, stdout=subprocess.PIPE))
    return [json.loads(storm.communicate()[0].splitlines()[-1]) for storm in storms]


def test_a_workflow_killed_after_its_first_result_finishes_in_the_next_life(
    server: Server, tmp_path: Path
) -> None:
    variables = {"ledger": str(tmp_path / "ledger"), "gate": str(tmp_path / "gate")}
    server.start()
    started = server.post(issue_title="Count", workflow_type="three_steps", variables=variables)
    server.until(
        started["id"], lambda e: e.type == "step_completed" and e.data["activity"] == "first"
    )
    server.kill()
    (tmp_path / "gate").touch()
    with server:
        ended = server.ended(started["id"])
        results = server.get(f"/api/v1/workflows/{started['id']}/results")["data"]
        listed = server.get("/api/v1/workflows")["data"]
        events = _logged(server, started["id"])
    assert (ended["status"], ended["error"]) == ("completed", None)
    assert [(r["step"], r["result_data"]) for r in results] == [
        ("1", "one"),
        ("2", "two"),
        ("3", "three"),
        ("output", {"steps": ["one", "two", "three"], "summary": "one, two, three"}),
    ]
    assert [w["id"] for w in listed] == [started["id"]]
    ran = collections.Counter(Path(variables["ledger"]).read_text().split("\n")[:-1])
    assert ran[f"{started['id']}/1 first"] == 1
    assert ran[f"{started['id']}/3 third"] == 1
    assert 1 <= ran[f"{started['id']}/2 second"] <= 2
    issues = _issues(server.repo)
    assert [i["id"] for i in issues] == [ended["beads_issue_id"]]
    assert (issues[0]["status"], issues[0]["close_reason"]) == ("closed", "Completed")
    assert [(c["author"], c["text"]) for c in issues[0]["comments"]] == [
        ("clerk-1", "one, two, three")
    ]
    assert [kind for kind in events if kind.startswith("workflow_")] == [
        "workflow_started",
        "workflow_completed",
    ]


def test_no_acknowledged_workflow_is_lost_however_often_the_server_is_killed(
    server: Server, tmp_path: Path
) -> None:
    """BEADFLOW_SERVER_KILLS lives end by kill -9, at moments drawn from BEADFLOW_SEED."""
    kills = int(os.environ.get("BEADFLOW_SERVER_KILLS", "4"))
    print(f"replay with BEADFLOW_SEED={SEED} BEADFLOW_SERVER_KILLS={kills}")
    chance = random.Random(SEED)
    ledger, gate = str(tmp_path / "ledger"), str(tmp_path / "gate")
    Path(gate).touch()
    acknowledged: list[str] = []
    for life in range(kills):
        server.start()
        if life == 0:  # the kill may come before the first answer of a slow machine
            acknowledged.append(server.post(**_storming(chance, ledger, gate))["id"])
        _start_until_killed(server, chance, ledger, gate, acknowledged)
    with server:
        server.within(60.0, lambda: not _live(server))
        for workflow_id in acknowledged:
            assert server.get(f"/api/v1/workflows/{workflow_id}")["status"] == "completed"
    _check_stores(server, acknowledged)
    runs = collections.Counter(Path(ledger).read_text().split("\n")[:-1])
    assert max(runs.values()) <= 1 + kills


def _start_until_killed(
    server: Server, chance: random.Random, ledger: str, gate: str, acknowledged: list[str]
) -> None:
    """Start workflows as fast as they are answered, and kill the server while it works on them."""
    killer = threading.Timer(chance.uniform(0.05, 0.8), server.signal_kill)
    killer.start()
    with server.client() as client, contextlib.suppress(httpx2.HTTPError):
        while True:
            answer = client.post("/api/v1/workflows", json=_storming(chance, ledger, gate))
            if answer.status_code == HTTPStatus.CREATED:
                acknowledged.append(answer.json()["id"])
    killer.join()
    server.reap()


def _storming(chance: random.Random, ledger: str, gate: str) -> dict[str, Any]:
    kind = chance.choice(["three_steps", "quick_steps"])
    variables = {"ledger": ledger, "gate": gate}
    return {"issue_title": "Storm", "workflow_type": kind, "variables": variables}


def _live(server: Server) -> list[Any]:
    queries = ({"status": status, "limit": 1} for status in ("active", "queued"))
    return [
        found for query in queries for found in server.get("/api/v1/workflows", **query)["data"]
    ]


def _check_stores(server: Server, acknowledged: list[str]) -> None:
    """System-wide: what was acknowledged is there once, in each of the three databases."""
    data = server.repo / ".git" / "beadflow"
    with closing(sqlite3.connect(data / "coordination.db")) as db:
        mapped = [row[0] for row in db.execute("SELECT beads_issue_id FROM workflow_mappings")]
        known = [r[0] for r in db.execute("SELECT tempolite_workflow_id FROM workflow_mappings")]
        ends = db.execute(
            "SELECT workflow_id, count(*) FROM events WHERE type = 'workflow_completed' GROUP BY 1"
        ).fetchall()
        assert db.execute("SELECT count(*) FROM intents").fetchone() == (0,)
    with closing(sqlite3.connect(data / "tempolite.db")) as db:
        instances = [row[0] for row in db.execute("SELECT workflow_id FROM instances")]
        gaps = db.execute(
            "SELECT workflow_id FROM history GROUP BY workflow_id HAVING max(seq) <> count(*)"
        ).fetchall()
        doubles = db.execute(
            "SELECT workflow_id, op FROM history WHERE kind = 'activity_completed'"
            " GROUP BY 1, 2 HAVING count(*) > 1"
        ).fetchall()
    issues = _issues(server.repo)
    assert set(acknowledged) <= set(known)
    assert sorted(known) == sorted(instances)
    assert sorted(mapped) == sorted(issue["id"] for issue in issues)
    assert {issue["status"] for issue in issues} == {"closed"}
    assert dict(ends) == dict.fromkeys(known, 1)
    assert (gaps, doubles) == ([], [])


def _logged(server: Server, workflow_id: str) -> list[str]:
    with closing(sqlite3.connect(server.repo / ".git" / "beadflow" / "coordination.db")) as db:
        sql = "SELECT type FROM events WHERE workflow_id = ? ORDER BY seq"
        return [row[0] for row in db.execute(sql, (workflow_id,))]


def _issues(repo: Path) -> list[dict[str, Any]]:
    lines = (repo / ".beads" / "issues.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
