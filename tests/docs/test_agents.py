"""The agents' page: its example runs as it stands, and its tables name what there is."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from actors import plugins
from actors.agents.protocol import Agent
from actors.agents.registration_messages import GetAgentConfig, UpdateAgentConfig
from beadflow.testing.conformance import CHECKS
from tests.docs.pages import blocks, first_names, section
from tests.support.world import running_system

PAGE = "docs/agents.md"
LINES = 30
"""An example that is longer is none."""


@pytest.fixture
def chores(tmp_path: Path) -> Path:
    path = tmp_path / "chores.py"
    path.write_text(blocks(PAGE, "python")[0])
    return path


def test_the_example_is_short() -> None:
    lines = blocks(PAGE, "python")[0].splitlines()
    assert len([line for line in lines if line.strip()]) <= LINES


async def test_the_example_does_what_the_page_says(chores: Path, repo: Path) -> None:
    found = plugins.load([chores])
    kind = next(kind for kind in found.types if kind.agent_type == "chores")
    definition = next(each for each in found.definitions.every() if each.name == "put_off")
    (repo / "src").mkdir()
    (repo / "src" / "a.py").write_text("one = 1\ntwo = 2  # TODO: three\nXXX = 3\n")
    async with running_system(repo, workflows=[definition.function], agents=[kind]) as running:
        (ended,) = await running.ended((await running.start("put_off")).id)
        assert ended.status == "completed"
        assert await running.output(ended.id) == [{"file": "src/a.py", "line": 2}]
        marks = UpdateAgentConfig(agent_id="chores-1", config={"words": ["XXX"]})
        await running.ask("coordinator", marks)
        shown = await running.ask("coordinator", GetAgentConfig(agent_id="chores-1"))
        assert shown.config == {"words": ["XXX"]}
        (ended,) = await running.ended((await running.start("put_off")).id)
        assert await running.output(ended.id) == [{"file": "src/a.py", "line": 3}]


def test_the_tests_of_the_example_pass_as_they_stand(chores: Path) -> None:
    tests = chores.with_name("test_chores.py")
    tests.write_text(blocks(PAGE, "python")[1])
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)],
        cwd=chores.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert f"{len(CHECKS)} passed" in ran.stdout


def test_the_cases_of_the_page_are_those_there_are() -> None:
    assert first_names(section(PAGE, "Conformance")) == [check.__name__ for check in CHECKS]


def test_the_page_names_what_agents_have(chores: Path) -> None:
    spec = importlib.util.spec_from_file_location("chores_of_docs", chores)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    of_instances = {"config", "agent_id", "site"}
    for name in re.findall(r"^\| (.*?) \|", section(PAGE, "The interface"), re.MULTILINE):
        for word in re.findall(r"`(?:self\.)?(\w+)", name):
            assert word in of_instances or hasattr(module.Chores, word) or hasattr(Agent, word), (
                word
            )
