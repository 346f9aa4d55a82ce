import json
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.agents.catalogue import parse
from actors.agents.kit.outcome import Skipped
from actors.agents.kit.toolbox import Toolbox
from actors.agents.poc import builders, environment
from actors.agents.poc.agent import PocAgent
from actors.agents.poc.messages import SandboxRequest
from actors.agents.site import Site
from actors.agents.tools import ToolResult, ToolStatus
from actors.errors import ValidationError
from tests.actors.agents.poc.conftest import Desk
from tests.support.planted import Planted

PROJECT = """\
[build-system]
requires = ["setuptools>=77"]

[project]
dependencies = ["attrs>=20", "local @ file:///tmp/x", "--index-url=http://x", "not a name!"]

[project.optional-dependencies]
test = ["hypothesis"]
docs = ["sphinx"]

[dependency-groups]
tests = ["trio", {include-group = "docs"}]
"""


def test_what_is_declared_is_needed_and_nothing_but_names_of_packages(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    assert environment.requirements(tmp_path) == (
        *("attrs>=20", "hypothesis", "setuptools>=77", "trio"),
        *("pytest", "build"),
    )


def test_without_a_project_file_the_list_of_requirements_counts(tmp_path: Path) -> None:
    text = "# ours\nattrs==20.1  # pinned\n-r ../other.txt\n--index-url http://x\n"
    (tmp_path / "requirements.txt").write_text(text, encoding="utf-8")
    assert environment.requirements(tmp_path) == ("attrs==20.1", "pytest", "build")


@pytest.mark.parametrize("text", ["project = 1", "[project]\ndependencies = 1", "[", "\x00"])
def test_an_odd_project_file_asks_for_the_tools_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    assert environment.requirements(tmp_path) == ("pytest", "build")


def test_a_project_file_that_leads_elsewhere_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.toml").write_text(PROJECT, encoding="utf-8")
    root = tmp_path / "root"
    root.mkdir()
    (root / "pyproject.toml").symlink_to(tmp_path / "elsewhere.toml")
    assert environment.requirements(root) == ("pytest", "build")
    assert builders.detect(root) is None


async def test_an_environment_stands_beside_the_work_tree(
    orchard: Planted, desk_at: Callable[..., Desk]
) -> None:
    desk = desk_at(orchard.repo)
    ready = await desk.agent.sandbox(desk.task(), SandboxRequest())
    assert (ready.base, ready.branch, ready.key) == (orchard.head, "beadflow/wf-1", "wf-1")
    made = environment.environment_of(desk.site, "wf-1")
    assert made is not None
    assert (made.bins / "python").exists()
    assert made.path.parent == desk.site.workspace / "environments"
    assert [str(one) for one in ready.skipped] == [
        "dependencies skipped, because they were not asked for"
    ]


async def test_an_environment_that_fits_is_taken_as_it_is(tmp_path: Path, repo: Path) -> None:
    site = Site(repo=repo, workspace=tmp_path / "workspace")
    root = tmp_path / "root"
    root.mkdir()
    first = await environment.prepare(site, "a", root, install=False, offline=True)
    (first.path / "mark").write_text("", encoding="utf-8")
    assert await environment.prepare(site, "a", root, install=False, offline=True) == first
    assert (first.path / "mark").exists()


async def test_one_that_no_longer_fits_or_is_half_made_is_made_anew(
    tmp_path: Path, repo: Path
) -> None:
    site = Site(repo=repo, workspace=tmp_path / "workspace")
    root = tmp_path / "root"
    root.mkdir()
    for record in ("{", json.dumps({"terms": "other", "installed": [], "skipped": []})):
        made = await environment.prepare(site, "a", root, install=False, offline=True)
        (made.path / "mark").write_text("", encoding="utf-8")
        (made.path / "beadflow.json").write_text(record, encoding="utf-8")
        await environment.prepare(site, "a", root, install=False, offline=True)
        assert not (made.path / "mark").exists()


async def test_what_cannot_be_installed_is_said_and_stops_nothing(
    tmp_path: Path, repo: Path
) -> None:
    site = Site(repo=repo, workspace=tmp_path / "workspace")
    (tmp_path / "requirements.txt").write_text("no-such-thing-at-all==9\n", encoding="utf-8")
    made = await environment.prepare(site, "a", tmp_path, install=True, offline=True)
    assert made.installed == ()
    assert made.skipped[0].what == "dependencies"
    assert "no-such-thing-at-all" in made.skipped[0].why


def test_a_setting_that_the_agent_does_not_know_is_refused() -> None:

    with pytest.raises(ValidationError, match=r"config\.more"):
        parse(PocAgent, {"more": 1})


@pytest.fixture
def without_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    find = Toolbox.find
    monkeypatch.setattr(Toolbox, "find", lambda s, tool: None if tool == "uv" else find(s, tool))


@pytest.mark.usefixtures("without_uv")
async def test_without_uv_the_environment_is_made_by_python(tmp_path: Path, repo: Path) -> None:
    site = Site(repo=repo, workspace=tmp_path / "workspace")
    made = await environment.prepare(site, "a", tmp_path, install=False, offline=True)
    assert (made.bins / "python").exists()


@pytest.mark.usefixtures("without_uv")
async def test_without_uv_what_is_declared_is_installed_by_pip(
    tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By words alone: pip's own start would take seconds."""
    asked: list[tuple[str, ...]] = []

    async def run(_: Toolbox, tool: str, *args: str, **more: float) -> ToolResult | Skipped:
        if tool == "uv":
            return Skipped(what=tool, why="it is not installed")
        asked.append(args)
        return ToolResult(tool=tool, status=ToolStatus.OK)

    monkeypatch.setattr(Toolbox, "run", run)
    site = Site(repo=repo, workspace=tmp_path / "workspace")
    (tmp_path / "requirements.txt").write_text("attrs\n", encoding="utf-8")
    made = await environment.prepare(site, "a", tmp_path, install=True, offline=True)
    assert made.installed == ("attrs", "pytest", "build")
    assert [args[:3] for args in asked] == [
        ("-m", "venv", str(made.path)),
        ("-m", "pip", "install"),
    ]
    assert asked[1][3:] == ("--quiet", "--no-index", "--", "attrs", "pytest", "build")
