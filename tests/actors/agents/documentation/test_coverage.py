from collections.abc import Callable
from pathlib import Path

import pytest

from actors.agents.documentation.measure import measure
from actors.agents.documentation.messages import CoverageRequest
from actors.agents.protocol import Task
from tests.support.planted import Planted
from tests.support.repos import repository

ENTITLED = '"""Is described."""\n'


async def messages(task: Task) -> list[str]:
    return [finding.message for finding in (await measure(task, CoverageRequest())).findings]


async def test_exactly_the_planted_function_has_no_docstring(task: Task, orchard: Planted) -> None:
    found = await measure(task, CoverageRequest())
    (finding,) = found.findings
    assert finding.message == f"function {orchard.undocumented} has no docstring"
    assert finding.place is not None
    spot = (orchard.undocumented_at.path, orchard.undocumented_at.line)
    assert (finding.place.path, finding.place.line) == spot
    assert (found.described, found.total, found.commit) == (9, 10, orchard.head)


@pytest.mark.parametrize(("minimum", "passed"), [(90.0, True), (90.1, False)])
async def test_a_minimum_is_passed_or_not(task: Task, minimum: float, *, passed: bool) -> None:
    found = await measure(task, CoverageRequest(minimum_percent=minimum))
    assert found.passed is passed


async def test_what_is_private_inherited_or_empty_needs_no_docstring(
    task_in: Callable[[Path], Task], tmp_path: Path
) -> None:
    code = f'''{ENTITLED}
class Base:
    """A base."""

    def said(self):
        """Say it."""

    def __repr__(self): ...
    def _own(self): ...

class _Hidden: ...

class Heir(Base):
    """An heir."""

    def said(self): ...
'''
    repo = repository(tmp_path / "repo", {"a/__init__.py": "", "a/b.py": code})
    assert await messages(task_in(repo)) == []


async def test_methods_and_properties_are_counted(
    task_in: Callable[[Path], Task], tmp_path: Path
) -> None:
    code = f"{ENTITLED}class A:\n    def b(self): ...\n    @property\n    def c(self): ...\n"
    repo = repository(tmp_path / "repo", {"a/__init__.py": code})
    assert await messages(task_in(repo)) == [
        "class a.A has no docstring",
        "function a.A.b has no docstring",
        "attribute a.A.c has no docstring",
    ]


async def test_only_what_a_package_exports_is_public(
    task_in: Callable[[Path], Task], tmp_path: Path
) -> None:
    code = f'{ENTITLED}__all__ = ["seen"]\ndef seen(): ...\ndef unseen(): ...\n'
    repo = repository(tmp_path / "repo", {"a/__init__.py": code})
    assert await messages(task_in(repo)) == ["function a.seen has no docstring"]


async def test_an_option_that_no_document_speaks_of_is_noted(
    task_in: Callable[[Path], Task], tmp_path: Path
) -> None:
    code = f"""{ENTITLED}
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("-v", "--verbose", help="say more")
parser.add_argument("--dry-run", default=False)
parser.add_argument("path")
os.environ["A_TOKEN"], os.environ.get("A_PLACE", "/"), os.getenv("HOME")
"""
    files = {"a/__init__.py": code, "README.md": "Call it with `--verbose`; set A_PLACE.\n"}
    repo = repository(tmp_path / "repo", files)
    assert await messages(task_in(repo)) == [
        "no document speaks of the option --dry-run",
        "no document speaks of the variable A_TOKEN",
    ]


@pytest.mark.parametrize("code", ["def broken(:\n", "x = " + "(" * 300 + ")" * 300, "\0"])
async def test_code_that_cannot_be_read_is_said_and_the_rest_is_counted(
    task_in: Callable[[Path], Task], tmp_path: Path, code: str
) -> None:
    files = {"a/__init__.py": code, "b/__init__.py": ENTITLED}
    found = await measure(task_in(repository(tmp_path / "repo", files)), CoverageRequest())
    assert found.total >= 1
    assert not found.findings


async def test_without_packages_it_says_how_to_name_them(
    task_in: Callable[[Path], Task], tmp_path: Path
) -> None:
    task = task_in(repository(tmp_path / "repo", {"README.md": "# Nothing\n"}))
    (skipped,) = (await measure(task, CoverageRequest())).skipped
    assert str(skipped).startswith("API skipped, because no Python package was found: name them")


async def test_without_griffe_it_says_what_to_install(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "griffe", None)
    (skipped,) = (await measure(task, CoverageRequest())).skipped
    assert skipped.install == "install beadflow[documentation]"
