"""The workflow `documentation` over HTTP, on a repository with planted problems."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from actors.agents.documentation.agent import DocumentationAgent
from actors.agents.documentation.workflow import documentation
from actors.errors import ValidationError
from actors.workflows.definition import workflow_of
from tests.api.built_in import artifact, built_in, output
from tests.api.site import WORKFLOWS, Site
from tests.support.planted import planted
from tests.support.repos import commit, git, repository


def documenting(repo: Path) -> AbstractAsyncContextManager[Site]:
    return built_in(repo, workflows=[documentation], agents=[DocumentationAgent])


async def done(site: Site, **variables: Any) -> tuple[str, dict[str, Any]]:
    """Run the workflow to its end; answers its id and what it came to."""
    workflow_id = await site.done("documentation", variables=variables)
    return workflow_id, await output(site, workflow_id)


async def test_the_workflow_finds_exactly_what_is_planted_and_brings_the_rest_up_to_date(
    tmp_path: Path,
) -> None:
    made = planted(tmp_path)
    async with documenting(made.repo) as site:
        workflow_id, answer = await done(site, base=made.base)
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
        stored = await artifact(site, workflow_id, "documentation/report.md")
        assert stored.decode() == answer["markdown"]
        assert "function orchard.prices.basket has no docstring" in answer["markdown"]


async def test_once_merged_there_is_nothing_left_to_do(tmp_path: Path) -> None:
    files = {
        "shop/__init__.py": '"""A shop."""\n',
        "README.md": "# Shop\n\n```python\nimport shop\n```\n\n[Its API](docs/api/index.md)\n",
    }
    repo = repository(tmp_path / "repo", files)
    async with documenting(repo) as site:
        _, first = await done(site, minimum_percent=100)
        assert not first["passed"]
        git(repo, "merge", "--quiet", "--ff-only", first["update"]["branch"])
        _, second = await done(site, minimum_percent=100)
        assert (second["passed"], second["findings"]) == (True, [])
        assert second["update"]["commit"] is None


async def test_only_a_report_is_made_when_that_is_asked_for(tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", {"shop/__init__.py": '"""A shop."""\n'})
    async with documenting(repo) as site:
        _, answer = await done(site, update=False, checks=["links"], packages=["shop"])
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
    async with documenting(repo) as site:
        workflow_id = await site.done("documentation", variables={"ref": "nothing"})
        shown = await site.call("GET", f"{WORKFLOWS}/{workflow_id}")
        assert "unknown_ref" in shown.body.decode()


async def test_a_branch_that_is_checked_out_is_refused_before_anything_is_stored(
    tmp_path: Path,
) -> None:
    repo = repository(tmp_path / "repo", {"shop/__init__.py": '"""A shop."""\n'})
    async with documenting(repo) as site:
        workflow_id = await site.done("documentation", variables={"branch": "main"})
        shown = await site.call("GET", f"{WORKFLOWS}/{workflow_id}")
        assert "branch_in_use" in shown.body.decode()
        kept = await site.call("GET", f"{WORKFLOWS}/{workflow_id}/artifacts")
        assert "documentation/" not in kept.body.decode()


async def test_a_link_in_place_of_the_documents_does_not_cost_the_report(tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", {"shop/__init__.py": '"""A shop."""\n'})
    (repo / "docs").symlink_to("/nonexistent")
    commit(repo, {})
    async with documenting(repo) as site:
        _, answer = await done(site)
        assert "2 pages in docs/api skipped, because it leads through" in answer["markdown"]
        assert git(repo, "branch", "--format=%(refname:short)") == "main"


def test_the_agent_offers_its_activities() -> None:
    assert DocumentationAgent.capabilities() == (
        "api_changes",
        "coverage",
        "generate",
        "report",
        "review",
        "update",
    )
