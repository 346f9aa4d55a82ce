"""The workflow from a question to a documented branch, on a whole running system, over HTTP."""

import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors import facts
from actors.agents.documentation.agent import DocumentationAgent
from actors.agents.feature.workflow import feature
from actors.agents.poc.agent import PocAgent
from actors.agents.research.agent import ResearchAgent
from actors.agents.validation.agent import ValidationAgent
from actors.facts import LoggedFact
from actors.workflows.definition import Definitions
from api.app import create_app
from cli.running import Place, doors_of
from tests.api.asgi import Answer, call, send_json
from tests.support.hostile import git
from tests.support.planted import Planted, planted
from tests.support.world import Running, running_system

PATIENCE_S = 120.0
"""A project is built and its tests are run several times, on a machine that may be busy."""

WORKFLOWS = "/api/v1/workflows"
GATES = "/api/v1/gates"
AGENTS = (ResearchAgent, PocAgent, ValidationAgent, DocumentationAgent)

PEARS = '''\
"""What pears cost."""


def pear_price(pears: int) -> int:
    """Say what so many pears cost."""
    return pears * 3
'''
TEST_PEARS = """\
from orchard.pears import pear_price


def test_two_pears_cost_six():
    assert pear_price(2) == 6
"""
FILES = {"orchard/pears.py": PEARS, "tests/test_pears.py": TEST_PEARS}
QUICK = {"files": FILES, "build_command": ["true"]}


@pytest.fixture(scope="module")
def orchard(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return planted(tmp_path_factory.mktemp("orchard"), failing_test=False)


class Server:
    """A running system's API, and what a person asks of it."""

    def __init__(self, app: Any, running: Running) -> None:
        self._app = app
        self.running = running

    async def get(self, target: str) -> Any:
        answer = await call(self._app, "GET", target)
        assert answer.status == 200, answer.body
        return answer.json()

    async def start(self, **variables: Any) -> Answer:
        given = {"title": "Sell pears, too", "install": False, "benchmark": False, **variables}
        body = {"issue_title": "Pears", "workflow_type": "feature", "variables": given}
        return await send_json(self._app, WORKFLOWS, body)

    async def gate(self, workflow_id: str, number: int = 1) -> dict[str, Any]:
        """The gate that it waits at, once so many were opened."""

        def opened(seen: Sequence[LoggedFact]) -> bool:
            kinds = [f.type for f in seen if f.workflow_id == workflow_id]
            return kinds.count(facts.GATE_OPENED) >= number

        await self.running.until(opened, deadline_s=PATIENCE_S)
        (gate,) = (await self.get(f"{GATES}?workflow_id={workflow_id}"))["data"]
        found: dict[str, Any] = gate
        return found

    async def answer(self, gate: dict[str, Any], verb: str) -> None:
        body = {"by": "ann", "why": "as planned"}
        assert (await send_json(self._app, f"{GATES}/{gate['id']}/{verb}", body)).status == 200

    async def came_to(self, workflow_id: str) -> dict[str, Any]:
        (record,) = await self.running.ended(workflow_id, deadline_s=PATIENCE_S)
        assert record.status == "completed", record
        output: dict[str, Any] = await self.running.output(workflow_id)
        return output


@asynccontextmanager
async def server(
    repo: Path, data_dir: Path, *, commands: tuple[str, ...] = ()
) -> AsyncIterator[Server]:
    async with running_system(
        repo, workflows=[feature], agents=AGENTS, data_dir=data_dir, agent_commands=commands
    ) as running:
        place = Place(data=running.world.data, repo=repo)
        doors = doors_of(
            running.system, place, running.world.stores.presence, running.world.breakers
        )
        yield Server(create_app(doors), running)


def passes(repo: Path, branch: str, place: Path) -> bool:
    """Whether the tests of a branch pass in a clone of it."""
    git(repo, "clone", "--quiet", "--branch", branch, str(repo), str(place))
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(argv, cwd=place, capture_output=True, check=False).returncode == 0


async def test_a_feature_ends_as_a_branch_that_builds_passes_and_is_documented(
    orchard: Planted, tmp_path: Path
) -> None:
    async with server(orchard.repo, tmp_path) as site:
        workflow_id = (await site.start(files=FILES)).json()["id"]
        gate = await site.gate(workflow_id)
        assert gate["title"] == "Build it? Sell pears, too"
        assert "`orchard/pears.py`, `tests/test_pears.py`" in gate["description"]
        assert "quincelib is imported, but not declared" in gate["description"]
        assert "on the work tree of the repository as it was" in gate["description"]
        assert "The change is made from `HEAD`." in gate["description"]
        await site.answer(gate, "approve")
        came_to = await site.came_to(workflow_id)
        assert came_to["done"], came_to["markdown"]
        branch = came_to["branch"]
        assert came_to["summary"].startswith(f"Done: {branch} has passed validation, and its doc")
        assert (came_to["stage"], came_to["verdict"]) == ("documentation", "pass")
        assert git(orchard.repo, "rev-parse", branch).strip() == came_to["commit"]
        assert git(orchard.repo, "rev-parse", "HEAD").strip() == came_to["base"] == orchard.head
        assert git(orchard.repo, "status", "--porcelain") == ""
        assert git(orchard.repo, "show", f"{branch}:orchard/pears.py") == PEARS
        assert "orchard.pears" in git(orchard.repo, "show", f"{branch}:CHANGELOG.md")
        assert "pear_price" in git(orchard.repo, "show", f"{branch}:docs/api/orchard.pears.md")
        assert passes(orchard.repo, branch, tmp_path / "clone")
        holders = [
            fact.data["to_type"]
            for fact in site.running.log()
            if (fact.type, fact.workflow_id) == (facts.AGENT_HANDOFF, workflow_id)
        ]
        assert holders == ["poc", "validation", "documentation"]
        assert [d["by"] for d in came_to["decisions"]] == ["ann"]
        results = await site.get(f"{WORKFLOWS}/{workflow_id}/results?limit=100")
        types = [result["result_type"] for result in results["data"]]
        assert {"synthesise", "build", "test", "package_result", "run_tests", "update"} <= {*types}


async def test_what_a_person_does_not_want_is_not_built(orchard: Planted, tmp_path: Path) -> None:
    before = git(orchard.repo, "branch", "--list")
    async with server(orchard.repo, tmp_path) as site:
        workflow_id = (await site.start(files=FILES)).json()["id"]
        await site.answer(await site.gate(workflow_id), "reject")
        came_to = await site.came_to(workflow_id)
    assert (came_to["done"], came_to["stage"], came_to["branch"]) == (False, "research", "")
    assert came_to["summary"] == "Not wanted: Rejected by ann: as planned"
    assert git(orchard.repo, "branch", "--list") == before


async def test_a_change_whose_tests_fail_ends_before_it_is_validated(
    orchard: Planted, tmp_path: Path
) -> None:
    async with server(orchard.repo, tmp_path, commands=("true", "false")) as site:
        workflow_id = (await site.start(**QUICK, test_command=["false"])).json()["id"]
        await site.answer(await site.gate(workflow_id), "approve")
        came_to = await site.came_to(workflow_id)
    assert (came_to["done"], came_to["stage"], came_to["verdict"]) == (False, "poc", None)
    assert git(orchard.repo, "rev-parse", came_to["branch"]).strip() == came_to["commit"]


async def test_a_person_is_asked_again_where_no_program_can_tell(
    orchard: Planted, tmp_path: Path
) -> None:
    async with server(orchard.repo, tmp_path, commands=("true",)) as site:
        given = {**QUICK, "test_command": ["true"], "criteria": "It tastes of pears."}
        workflow_id = (await site.start(**given)).json()["id"]
        await site.answer(await site.gate(workflow_id), "approve")
        second = await site.gate(workflow_id, 2)
        assert second["title"] == "Accept it? Sell pears, too"
        assert "It tastes of pears" in second["description"]
        await site.answer(second, "reject")
        came_to = await site.came_to(workflow_id)
    found = (came_to["done"], came_to["stage"], came_to["verdict"])
    assert found == (False, "validation", "needs_human")
    assert [decision["approved"] for decision in came_to["decisions"]] == [True, False]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"patch": "garbage"}, "bad_patch"),
        ({"branch": "main"}, "branch_in_use"),
        ({"ref": "no-such"}, "unknown_ref"),
        ({"test_command": ["make"]}, "validation_error"),
    ],
)
async def test_nobody_is_asked_for_what_cannot_be_tried(
    orchard: Planted, tmp_path: Path, given: dict[str, Any], code: str
) -> None:
    before = git(orchard.repo, "branch", "--list"), git(orchard.repo, "worktree", "list")
    async with server(orchard.repo, tmp_path) as site:
        workflow_id = (await site.start(**{"files": FILES, **given})).json()["id"]
        (record,) = await site.running.ended(workflow_id, deadline_s=PATIENCE_S)
        assert record.status == "failed"
        seen = [fact for fact in site.running.log() if fact.workflow_id == workflow_id]
        assert code in str([fact.data for fact in seen])
        assert facts.GATE_OPENED not in [fact.type for fact in seen]
    assert (git(orchard.repo, "branch", "--list"), git(orchard.repo, "worktree", "list")) == before


async def test_what_cannot_be_built_is_refused_before_anybody_is_asked(
    orchard: Planted, tmp_path: Path
) -> None:
    async with server(orchard.repo, tmp_path) as site:
        nothing = await site.start()
        both = await site.start(command=["make"], preset="claude")
    assert (nothing.status, both.status) == (422, 422)
    assert "say what is to be changed" in nothing.json()["detail"]
    assert "not both" in both.json()["detail"]


def test_the_workflow_says_to_whom_it_goes() -> None:
    found = Definitions.of([feature]).get("feature")
    assert found.agents == ("research", "poc", "validation", "documentation")
