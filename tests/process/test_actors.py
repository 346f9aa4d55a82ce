"""What befalls an actor of a real server is seen from outside: by command, metrics and log."""

import json

import httpx2
import pytest

from tests.support.server import Server, run

pytestmark = pytest.mark.process

FUSE = "root/agents/agent_instances/fuse-1"


def test_an_agent_that_crashed_shows_in_the_tree_the_metrics_and_the_log(server: Server) -> None:
    with server:
        started = server.post(issue_title="Blow", workflow_type="fused")
        assert server.ended(started["id"])["error"]["code"] == "agent_crashed"
        server.within(10.0, lambda: _fuse(server)["state"] == "running")
        fuse = _fuse(server)
        drawn = run("actors", "root/agents", cwd=server.repo)
        scraped = httpx2.get(server.metrics_url, trust_env=False).text
    assert (fuse["restarts"], fuse["last_exit"]) == (3, "crash: OSError: blown \x1b[31mfor good")
    assert r"fuse-1" in drawn.stdout
    assert r"crash: OSError: blown \x1b[31mfor good" in drawn.stdout
    assert 'workflow_system_actor_crashes_total{actor="fuse-1"} 3.0' in scraped
    assert 'workflow_system_actors_up{actor="fuse-1"} 1.0' in scraped
    logged = server.log.read_text()
    assert "\x1b" not in logged
    crashes = [line for line in logged.splitlines() if "actor.crashed" in line]
    assert [f"path={FUSE} " in line for line in crashes] == [True] * 3
    assert ["Traceback" in line for line in crashes] == [True, False, False]


def _fuse(server: Server) -> dict[str, object]:
    ran = run("actors", FUSE, "-o", "json", cwd=server.repo)
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout)["data"]["tree"])
