"""A repository that would run programs of its own, and what research does with it: nothing."""

import os
from pathlib import Path

import pytest

from actors.agents.research.complexity import measure_complexity
from actors.agents.research.complexity_messages import ComplexityRequest
from actors.agents.research.dependencies import analyse_dependencies
from actors.agents.research.dependency_messages import DependenciesRequest
from actors.agents.research.inventory import take_inventory
from actors.agents.research.inventory_messages import InventoryRequest
from actors.agents.research.search import search_code
from actors.agents.research.search_messages import CodeSearchRequest
from actors.agents.research.vulnerabilities import find_vulnerabilities
from tests.actors.agents.research.conftest import git

MODULES = ("deptry", "lizard", "griffe", "license_expression", "actors", "json", "sitecustomize")
PROGRAMS = ("core.fsmonitor", "core.pager", "diff.external", "filter.x.clean", "filter.x.smudge",
            "diff.x.textconv", "diff.x.command", "core.sshCommand", "gpg.program")  # fmt: skip


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def hostile(project: Path, canary: Path) -> Path:
    """It has programs wherever one could be looked for, and links to what lies outside."""
    touch = f"open({str(canary)!r}, 'w')\n"
    evil = project.parent / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {canary}\n")
    evil.chmod(0o755)
    site = project / ".venv" / "lib" / "python3.11" / "site-packages"
    bin_ = project / ".venv" / "bin"
    for place in (site, bin_):
        place.mkdir(parents=True)
    for module in MODULES:
        (project / f"{module}.py").write_text(touch)
        (site / f"{module}.py").write_text(touch)
    (site / "evil.pth").write_text(f"import os; {touch}")
    for tool in ("rg", "deptry", "lizard", "git", "python"):
        for place in (bin_, project):
            (place / tool).symlink_to(evil)
    (project / ".ripgreprc").write_text(f"--pre={evil}\n")
    (project / "setup.py").write_text(touch)
    (project / "conftest.py").write_text(touch)
    (project / "pyproject.toml").write_text(
        '[project]\nname = "app"\ndependencies = ["alpha"]\n'
        f'[tool.deptry]\njson_output = "{canary}"\n'
    )
    (project / ".gitattributes").write_text("* filter=x diff=x\n")
    (project / "passwd").symlink_to("/etc/passwd")
    (project / "outside").symlink_to(project.parent)
    (project / "secret.py").symlink_to(project.parent / "secret.py")
    (project.parent / "secret.py").write_text("def secret_apple():\n    return 1\n")
    (project / "odd\nname.py").write_text("apple = 1\n")
    (project / "--config.py").write_text("apple = 1\n")
    git(project, "add", "--all", "--force", "--", ".")
    git(project, "commit", "-q", "-m", "Be hostile")
    for key in PROGRAMS:
        git(project, "config", key, str(evil))
    git(project, "config", "core.hooksPath", str(bin_))
    git(project, "config", "log.showSignature", "true")
    canary.unlink(missing_ok=True)
    return project


def listed(root: Path) -> list[str]:
    return sorted(str(Path(place, name)) for place, _, names in os.walk(root) for name in names)


async def test_a_hostile_repository_runs_nothing_and_shows_nothing_from_outside(
    hostile: Path, canary: Path
) -> None:
    before = listed(hostile)

    def quiet(message: str, fraction: float | None) -> None:
        del message, fraction

    answers = [
        await take_inventory(InventoryRequest(), root=hostile, progress=quiet),
        await analyse_dependencies(DependenciesRequest(), root=hostile, progress=quiet),
        await search_code(CodeSearchRequest(query="apple root"), root=hostile, progress=quiet),
        await measure_complexity(ComplexityRequest(), root=hostile, progress=quiet),
        await find_vulnerabilities(root=hostile, advisories=hostile / "outside", progress=quiet),
    ]
    assert not canary.exists()
    assert listed(hostile) == before
    said = "".join(answer.model_dump_json() for answer in answers)
    assert "secret_apple" not in said
    assert "root:x:0" not in said
    assert "--config.py" in said
