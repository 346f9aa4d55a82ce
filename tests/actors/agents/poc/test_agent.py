"""The class itself: held to what every agent does."""

from pathlib import Path

from actors.agents.poc.agent import PocAgent
from beadflow.testing import conformance
from tests.support.hostile import git


def prepare(repo: Path) -> None:
    (repo / "README.md").write_text("# Apples\n", encoding="utf-8")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "-m", "first")


test_it_does_what_every_agent_does = conformance(
    PocAgent,
    config={"install": False, "tests_s": 60.0},
    examples={
        "check": {"files": {"a.txt": "apples\n"}},
        "sandbox": {"key": "pears"},
        "implement": {"files": {"a.txt": "apples\n"}},
        "build": {"command": ["true"]},
        "test": {"command": ["true"]},
        "benchmark": {"rounds": 3},
        "package_result": {"title": "Apples"},
    },
    prepare=prepare,
    commands=("true",),
)
