"""An agent of another distribution, in an environment where both were installed from wheels."""

import json
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import DEADLINE_S, Server

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
ROOMS = ("actors", "api", "beadflow", "cli", "storage", "supervision")
SHOUT = Path(__file__).with_name("data") / "shout"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheels of both; only what beadflow needs is taken from here."""
    place = tmp_path_factory.mktemp("fresh")
    source = place / "source"
    source.mkdir()
    for room in ROOMS:
        kept = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, source / room, ignore=kept)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(SHOUT, place / "shout")
    environment = place / "environment"
    venv.create(environment, with_pip=False)
    wheels = [wheel(source, place / "wheels"), wheel(place / "shout", place / "wheels")]
    pip("--python", str(environment), "install", "--no-deps", "--no-index", *map(str, wheels))
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    (packages / "needed.pth").write_text("\n".join(site.getsitepackages()))
    return environment / "bin"


def wheel(source: Path, into: Path) -> Path:
    before = set(into.glob("*.whl"))
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(into), str(source))
    (made,) = set(into.glob("*.whl")) - before
    return made


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture
def server(fresh: Path, repo: Path) -> Iterator[Server]:
    with Server(repo, program=fresh / "beadflow") as running:
        yield running


def said(fresh: Path, server: Server, *words: str) -> Any:
    command = [str(fresh / "beadflow"), "-o", "json", *words]
    ran = subprocess.run(
        command, cwd=server.repo, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout)["data"]


def test_it_is_found_registered_and_used(fresh: Path, server: Server, tmp_path: Path) -> None:
    described = said(fresh, server, "agent", "describe", "shout")
    assert described["description"] == "Says it louder."
    assert [each["name"] for each in described["activities"]] == ["shout"]
    assert described["agents"] == []  # one has to be told how loud
    setting_up = tmp_path / "agent.yaml"
    setting_up.write_text("agent_type: shout\nagent_id: crier\nconfig:\n  marks: 2\n")
    assert said(fresh, server, "agent", "register", str(setting_up))["agent_id"] == "crier"
    started = server.post(
        issue_title="Shout", workflow_type="shouting", variables={"words": "hear"}
    )
    assert server.ended(started["id"])["status"] == "completed"
    results = server.get(f"/api/v1/workflows/{started['id']}/results")["data"]
    assert results[-1]["result_data"]["said"] == "HEAR!!"
    assert results[-1]["result_data"]["by"] == "crier"
    types = {each["agent_type"] for each in server.get("/api/v1/agents/types")["data"]}
    assert types >= {"shout", "research", "poc", "documentation", "validation", "command"}


def test_it_is_our_wheel_that_was_looked_at(fresh: Path, tmp_path: Path) -> None:
    command = [str(fresh / "python"), "-c", "import actors; print(actors.__file__)"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert Path(ran.stdout.strip()).is_relative_to(fresh.parent)
