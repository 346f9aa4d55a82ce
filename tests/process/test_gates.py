"""A gate over the lives of a real server: asked in one, answered between two, heard in another."""

from pathlib import Path

import pytest

from tests.support.server import DEADLINE_S, Server, run

pytestmark = pytest.mark.process

FLOWS = '''\
from beadflow import Context, workflow


@workflow
async def gated(ctx: Context) -> list[str]:
    """Ask twice."""
    answers = []
    for question in ("Begin?", "Go on?"):
        decision = await ctx.gate(question)
        answers.append(f"{decision.approved} {decision.by}: {decision.why}")
    return answers
'''


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "flows.py").write_text(FLOWS)
    path = tmp_path / "beadflow.toml"
    path.write_text('plugins = ["flows.py"]\n')
    return path


def gate_of(server: Server, workflow_id: str) -> str:
    """The gate that a workflow waits at now."""

    def found() -> list[str]:
        data = server.get("/api/v1/gates", workflow_id=workflow_id)["data"]
        return [gate["id"] for gate in data]

    server.within(DEADLINE_S, lambda: bool(found()))
    (gate_id,) = found()
    return gate_id


def test_a_gate_outlives_kills_and_is_answered_with_and_without_a_server(server: Server) -> None:
    with server:
        workflow_id = server.post(issue_title="T", workflow_type="gated")["id"]
        first = gate_of(server, workflow_id)
        server.kill()
    beside = run("gate", "approve", first, "--why", "go", "--actor", "Ann", cwd=server.repo)
    assert beside.returncode == 0, beside.stderr
    with server:
        second = gate_of(server, workflow_id)
        with server.client() as client:
            body = {"by": "Bob", "why": "enough"}
            assert client.post(f"/api/v1/gates/{second}/reject", json=body).status_code == 200
        server.kill()
    with server:
        assert server.ended(workflow_id)["status"] == "completed"
        (output,) = server.get(f"/api/v1/workflows/{workflow_id}/results")["data"]
        assert output["result_data"] == ["True Ann: go", "False Bob: enough"]
