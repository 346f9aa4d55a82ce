"""The whole validation as users have it: a workflow started over HTTP on the planted repository."""

import json
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.agents.validation.agent import ValidationAgent
from actors.agents.validation.workflow import validation
from api.app import create_app
from cli.running import Place, doors_of
from tests.api.asgi import Answer, call, send_json
from tests.support.planted import Planted, planted
from tests.support.world import Running, ended_workflows, running_system

API = "/api/v1"
CRITERIA = """
- file: docs/guide.md
- text: orchard/prices.py: wholesale
- cmd: ls docs/rest.md
- the prices are fair
"""


@dataclass
class Done:
    """What users see of a validation that has ended."""

    workflow: dict[str, Any]
    report: dict[str, Any]
    results: list[dict[str, Any]]
    artifacts: dict[str, bytes]
    issues: dict[str, dict[str, Any]]


async def validated(there: Planted, data_dir: Path, **variables: Any) -> Done:
    async with running_system(
        there.repo,
        workflows=[validation],
        agents=[ValidationAgent],
        data_dir=data_dir,
        agent_commands=("ls",),
    ) as running:
        place = Place(data=running.world.data, repo=there.repo)
        world = running.world
        app = create_app(doors_of(running.system, place, world.stores.presence, world.breakers))
        body = {"issue_title": "Check it", "workflow_type": "validation", "variables": variables}
        started = await send_json(app, f"{API}/workflows", body)
        assert started.status == 201, started.body
        return await seen(app, running, started.json()["id"])


async def seen(app: Any, running: Running, workflow_id: str) -> Done:
    """Look at it from outside once it is over, however busy the machine is."""
    with trio.fail_after(240):
        await running._until(lambda log: workflow_id in ended_workflows(log))

    async def get(target: str) -> Answer:
        answer = await call(app, "GET", f"{API}/{target}")
        assert answer.status == 200, answer.body
        return answer

    where = f"workflows/{workflow_id}"
    results = (await get(f"{where}/results")).json()["data"]
    report = next(r["result_data"] for r in results if r["step"] == "output")
    named = [file["name"] for file in report["artifacts"]]
    return Done(
        workflow=(await get(where)).json(),
        report=report,
        results=results,
        artifacts={name: (await get(f"{where}/artifacts/{name}")).body for name in named},
        issues={
            one["issue_id"]: (await get(f"issues/{one['issue_id']}")).json()
            for one in report["issues"]
        },
    )


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """One of its own: the system puts its issues' file into it."""
    return planted(tmp_path_factory.mktemp("validated"))


@pytest.fixture(scope="module")
def done(there: Planted, tmp_path_factory: pytest.TempPathFactory) -> Done:
    run = partial(
        validated,
        there,
        tmp_path_factory.mktemp("data"),
        base=there.base,
        minimum_coverage=90,
        criteria=CRITERIA,
    )
    return trio.run(run)


def test_it_ends_and_says_that_the_commit_fails(done: Done, there: Planted) -> None:
    assert (done.workflow["status"], done.workflow["error"]) == ("completed", None)
    assert (done.report["verdict"], done.report["commit"]) == ("fail", there.head)
    assert [reason["verdict"] for reason in done.report["reasons"]] == ["fail"] * 4


def test_exactly_what_was_planted_is_found(done: Done, there: Planted) -> None:
    found = {(f["tool"], f["rule"], f["place"]["path"]) for f in done.report["findings"]}
    assert found == {
        ("pytest", "failed", "tests/test_prices.py"),
        ("ruff", there.lint_rule, there.new_lint.path),
        ("diff-cover", "untested", there.untested[0].path),
    }
    assert done.report["skipped"] == []


def test_each_criterion_has_its_verdict_and_evidence(done: Done) -> None:
    found = [(c["kind"], c["verdict"], len(c["evidence"])) for c in done.report["criteria"]]
    assert found == [
        ("file", "pass", 1),
        ("text", "pass", 1),
        ("cmd", "fail", 1),
        ("judgement", "needs_human", 0),
    ]
    assert [seen["id"] for seen in done.report["evidence"]] == ["E1", "E2", "E3"]


def test_all_that_was_seen_is_stored_as_files(done: Done, there: Planted) -> None:
    names = {"junit.xml", "coverage.xml", "review.sarif", "diff-coverage.md"}
    assert set(done.artifacts) == names | {"validation.md", "validation.json"}
    assert done.artifacts["validation.md"].decode() == done.report["markdown"]
    assert there.failing_test is not None
    assert there.failing_test in done.report["markdown"]
    assert json.loads(done.artifacts["validation.json"])["verdict"] == "fail"


def test_follow_up_issues_are_discovered_from_the_workflows_own(done: Done, there: Planted) -> None:
    titles = [shown["issue"]["title"] for shown in done.issues.values()]
    assert titles == [
        f"Test fails: {there.failing_test}",
        f"ruff {there.lint_rule} in {there.new_lint.path}",
        f"Changed lines without a test in {there.untested[0].path}",
        "Not met: cmd: ls docs/rest.md",
    ]
    origin = done.workflow["beads_issue_id"]
    for shown in done.issues.values():
        edges = [(edge["id"], edge["type"]) for edge in shown["depends_on"]]
        assert edges == [(origin, "discovered-from")]
        assert shown["issue"]["labels"] == ["follow-up", "validation"]


def test_the_users_work_tree_is_as_it_was(done: Done, there: Planted) -> None:
    del done
    said = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=there.repo,
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout.splitlines() in ([], ["?? .beads/issues.jsonl"])
