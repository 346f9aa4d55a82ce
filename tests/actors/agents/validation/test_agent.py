"""The class itself: held to what every agent does, and set up anew while it runs."""

from pathlib import Path

from actors.agents.validation.agent import ValidationAgent
from beadflow.testing import conformance
from tests.support.hostile import git


def prepare(repo: Path) -> None:
    (repo / "README.md").write_text("# Apples\n")
    (repo / "apples.py").write_text("import os\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "-m", "first")


test_it_does_what_every_agent_does = conformance(
    ValidationAgent,
    config={"tests_s": 60.0},
    examples={
        "run_tests": {"command": ["true"]},
        "static_review": {"base": "HEAD"},
        "coverage_gate": {"base": "HEAD"},
        "accept": {"criteria": "file: README.md"},
        "report": {"follow_ups": False},
    },
    prepare=prepare,
    commands=("true",),
)
