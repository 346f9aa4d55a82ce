"""The research workflow, through the real HTTP API, on a repository with planted problems."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.planted import planted
from tests.support.server import Server

pytestmark = pytest.mark.process


def test_the_report_finds_exactly_what_was_planted_and_the_user_keeps_their_work_tree(
    tmp_path: Path,
) -> None:
    orchard = planted(tmp_path)
    config = tmp_path / "beadflow.toml"
    config.write_text("")
    with Server(orchard.repo, config) as server:
        with server.client() as client:
            path = "/api/v1/agents/research-1/config"
            given = client.put(path, json={"config": {"sites": [str(orchard.site)]}})
            assert given.status_code == 200, given.text
        started = server.post(
            issue_title="How does it stand?",
            workflow_type="research",
            variables={"question": "Where is a basket filled?", "follow_ups": True},
        )
        ended = server.ended(started["id"])
        assert ended["status"] == "completed", ended
        results = server.get(f"/api/v1/workflows/{started['id']}/results")["data"]
        report = next(r["result_data"] for r in results if r["step"] == "output")
        names = {file["name"]: file for file in report["artifacts"]}
        with server.client() as client:
            at = f"/api/v1/workflows/{started['id']}/artifacts/report.json"
            assert json.loads(client.get(at).content)["question"].startswith("Where is")
    argv = ["git", "status", "--porcelain"]
    shown = subprocess.run(argv, cwd=orchard.repo, check=True, capture_output=True)
    assert shown.stdout == b""
    found = {
        (f["rule"], f["message"].split(" ")[0], f["place"]["path"]) for f in report["findings"]
    }
    assert found == {
        ("DEP001", orchard.missing, orchard.missing_at.path),
        ("DEP002", orchard.unused, "pyproject.toml"),
        ("licence", orchard.restrictive, "pyproject.toml"),
    }
    assert report["candidates"] == []  # so that no index is asked
    assert [skipped["what"] for skipped in report["skipped"]] == ["known vulnerabilities"]
    assert report["search"]["hits"][0]["place"]["path"] == "orchard/prices.py"
    assert set(names) == {"report.md", "report.json"}
    assert f"`{orchard.missing_at.path}:{orchard.missing_at.line}:" in report["markdown"]
    assert [hot["path"] for hot in report["inventory"]["hotspots"][:2]] == [
        "orchard/prices.py",
        "orchard/counts.py",
    ]
    titles = [issue["title"].split(" ")[:2] for issue in report["issues"]]
    assert titles == [["DEP001:", orchard.missing], ["licence:", orchard.restrictive]]
    lines = (orchard.repo / ".beads" / "issues.jsonl").read_text().splitlines()
    issues = {issue["id"]: issue for issue in map(json.loads, lines)}
    for opened in report["issues"]:
        (edge,) = issues[opened["issue_id"]]["dependencies"]
        assert (edge["depends_on_id"], edge["type"]) == (ended["beads_issue_id"], "discovered-from")
