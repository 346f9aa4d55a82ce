"""The whole workflow, on a whole running system, through its HTTP API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.agents.documentation.agent import DocumentationAgent
from actors.agents.documentation.workflow import documentation
from actors.errors import ValidationError
from actors.workflows.definition import workflow_of
from api.app import create_app
from cli.running import Place, doors_of
from tests.api.asgi import Answer, call, send_json
from tests.support.planted import planted
from tests.support.repos import git, repository
from tests.support.world import Running, running_system

WORKFLOWS = "/api/v1/workflows"


class Server:
    """A running system's API, and what a person asks of it."""

    def __init__(self, app: Any, running: Running) -> None:
        self._app, self._running = app, running

    async def get(self, target: str) -> Answer:
        answer = await call(self._app, "GET", target)
        assert answer.status == 200, answer.body
        return answer

    async def start(self, **variables: Any) -> Answer:
        body = {
            "issue_title": "Describe it",
            "workflow_type": "documentation",
            "variables": variables,
        }
        return await send_json(self._app, WORKFLOWS, body)

    async def done(self, **variables: Any) -> tuple[str, dict[str, Any]]:
        """Run the workflow to its end; answers its id and what it came to."""
        started = await self.start(**variables)
        assert started.status == 201, started.body
        workflow_id: str = started.json()["id"]
        (record,) = await self._running.ended(workflow_id)
        assert record.status == "completed", record
        return workflow_id, await self._running.output(workflow_id)


@asynccontextmanager
async def server(repo: Path) -> AsyncIterator[Server]:
    async with running_system(
        repo, workflows=[documentation], agents=[DocumentationAgent]
    ) as running:
        place = Place(data=running.world.data, repo=repo)
        doors = doors_of(
            running.system, place, running.world.stores.presence, running.world.breakers
        )
        yield Server(create_app(doors), running)


async def test_the_workflow_finds_exactly_what_is_planted_and_brings_the_rest_up_to_date(
    tmp_path: Path,
) -> None:
    made = planted(tmp_path)
    async with server(made.repo) as site:
        workflow_id, answer = await site.done(base=made.base)
        places = [
            (finding["rule"], finding["place"]["path"], finding["place"]["line"])
            for finding in answer["findings"]
        ]
        assert places == [
            ("undocumented", made.undocumented_at.path, made.undocumented_at.line),
            ("broken-link", made.broken_link.path, made.broken_link.line),
            ("broken-anchor", made.broken_anchor.path, made.broken_anchor.line),
        ]
        assert (answer["passed"], answer["commit"]) == (False, made.head)
        assert [change["path"] for change in answer["added"]] == ["orchard.prices.wholesale"]
        assert answer["breaking"] == []
        branch = answer["update"]["branch"]
        assert git(made.repo, "rev-parse", branch) == answer["update"]["commit"]
        assert "wholesale" in git(made.repo, "show", f"{branch}:CHANGELOG.md")
        assert "wholesale" in git(made.repo, "show", f"{branch}:docs/api/orchard.prices.md")
        assert git(made.repo, "rev-parse", "HEAD") == made.head
        names = [file["name"] for file in answer["artifacts"]]
        assert names == [
            "documentation/index.md",
            "documentation/pages.zip",
            "documentation/changes.patch",
            "documentation/report.md",
        ]
        stored = await site.get(f"{WORKFLOWS}/{workflow_id}/artifacts/documentation/report.md")
        assert stored.body.decode() == answer["markdown"]
        assert "function orchard.prices.basket has no docstring" in answer["markdown"]


async def test_once_merged_there_is_nothing_left_to_do(tmp_path: Path) -> None:
    files = {
        "shop/__init__.py": '"""A shop."""\n',
        "README.md": "# Shop\n\n```python\nimport shop\n```\n\n[Its API](docs/api/index.md)\n",
    }
    repo = repository(tmp_path / "repo", files)
    async with server(repo) as site:
        _, first = await site.done(minimum_percent=100)
        assert not first["passed"]
        git(repo, "merge", "--quiet", "--ff-only", first["update"]["branch"])
        _, second = await site.done(minimum_percent=100)
        assert (second["passed"], second["findings"]) == (True, [])
        assert second["update"]["commit"] is None


async def test_only_a_report_is_made_when_that_is_asked_for(tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", {"shop/__init__.py": '"""A shop."""\n'})
    async with server(repo) as site:
        _, answer = await site.done(update=False, checks=["links"], packages=["shop"])
        assert answer["update"] is None
        assert git(repo, "branch", "--format=%(refname:short)") == "main"


@pytest.mark.parametrize(
    "variables",
    [
        {"pages": "../outside"},
        {"checks": ["taste"]},
        {"minimum_percent": 101},
        {"packages": "shop"},
        {"ref": ""},
        {"module": "os"},
    ],
)
async def test_odd_variables_are_refused(variables: dict[str, Any]) -> None:
    definition = workflow_of(documentation)
    assert definition is not None
    with pytest.raises(ValidationError) as caught:
        definition.parse(variables)
    assert next(iter(variables)) in str(caught.value)


async def test_a_commit_that_there_is_not_fails_the_workflow_with_its_code(tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", {"a.md": "# A\n"})
    async with server(repo) as site:
        started = await site.start(ref="nothing")
        workflow_id = started.json()["id"]
        await site._running.ended(workflow_id)
        shown = (await site.get(f"{WORKFLOWS}/{workflow_id}")).body.decode()
        assert "unknown_ref" in shown


def test_the_agent_offers_its_activities() -> None:
    assert DocumentationAgent.capabilities() == (
        "api_changes",
        "coverage",
        "generate",
        "report",
        "review",
        "update",
    )
