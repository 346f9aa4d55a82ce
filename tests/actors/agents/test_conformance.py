"""Every built-in agent does what every agent does; those left out say so in their own rooms."""

import subprocess
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import pytest

from beadflow.testing import Subject, checks

pytestmark = pytest.mark.no_cover  # others cover what this does a hundred times

FILES: Final = {
    "README.md": "# Beads\n\nCounts them, see [below](#usage).\n\n## Usage\n",
    "pyproject.toml": '[project]\nname = "beads"\nversion = "1.0"\ndependencies = ["trio"]\n',
    "beads/__init__.py": '"""Beads."""\n\n\ndef count(beads: str) -> int:\n    return len(beads)\n',
    "tests/test_beads.py": "from beads import count\n\n\ndef test_it():\n    assert count('a')\n",
}

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "research": {"inventory": {}, "code_search": {"query": "count"}},
    "documentation": {"coverage": {}, "review": {"checks": ["links"]}},
    "command": {"turn": {"command": ["git", "status"], "prompt": "Look", "wants_commits": False}},
}
"""What each is asked for that needs no network, and no tool that is not everywhere."""


ELSEWHERE: Final = frozenset({"poc", "validation"})


def prepare(repo: Path) -> None:
    for name, text in FILES.items():
        path = repo / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
    for words in (("add", "."), ("commit", "--quiet", "--message", "first")):
        subprocess.run(["git", *who, *words], cwd=repo, check=True)


def cases() -> list[Any]:
    found = []
    for point in entry_points(group="beadflow.agents"):
        if point.name in ELSEWHERE:
            continue
        subject = Subject(
            agent_class=point.load(),
            examples=EXAMPLES.get(point.name, {}),
            prepare=prepare,
            commands=("git",),
        )
        found += [pytest.param(run, id=f"{point.name}-{name}") for name, run in checks(subject)]
    return found


@pytest.mark.parametrize("check", cases())
def test_it_does_what_every_agent_does(check: Any) -> None:
    check()


def test_each_has_something_to_do() -> None:
    named = {point.name for point in entry_points(group="beadflow.agents")}
    assert EXAMPLES.keys() | ELSEWHERE <= named
