import sys
from pathlib import Path

import pytest

from actors.agents.documentation.measure import judge, measure
from actors.agents.documentation.messages import Coverage, CoverageRequest
from actors.agents.documentation.sources import sources
from actors.agents.documentation.surface import surface
from actors.agents.kit.parsing import MAX_SOURCE_BYTES
from actors.agents.protocol import Task
from tests.actors.agents.documentation.conftest import tree_in
from tests.support.planted import Planted

ENTITLED = '"""Is described."""\n'


def judged(root: Path, files: dict[str, str]) -> Coverage:
    tree = tree_in(root, files)
    found = sources(tree)
    return judge(tree, found, surface(root, found.packages), 0.0)


def messages(root: Path, files: dict[str, str]) -> list[str]:
    return [finding.message for finding in judged(root, files).findings]


async def test_exactly_the_planted_function_has_no_docstring(task: Task, orchard: Planted) -> None:
    found = await measure(task, CoverageRequest())
    (finding,) = found.findings
    assert finding.message == f"function {orchard.undocumented} has no docstring"
    assert finding.place is not None
    spot = (orchard.undocumented_at.path, orchard.undocumented_at.line)
    assert (finding.place.path, finding.place.line) == spot
    assert (found.described, found.total, found.commit) == (9, 10, orchard.head)


@pytest.mark.parametrize(("minimum", "passed"), [(50.0, True), (50.1, False)])
def test_a_minimum_is_passed_or_not(tmp_path: Path, minimum: float, *, passed: bool) -> None:
    tree = tree_in(tmp_path, {"a/__init__.py": f"{ENTITLED}def b(): ...\n"})
    found = sources(tree)
    answer = judge(tree, found, surface(tmp_path, found.packages), minimum)
    assert (answer.percent, answer.passed) == (50.0, passed)


def test_what_is_private_inherited_or_empty_needs_no_docstring(tmp_path: Path) -> None:
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
    assert messages(tmp_path, {"a/__init__.py": "", "a/b.py": code}) == []


def test_methods_and_properties_are_counted(tmp_path: Path) -> None:
    code = f"{ENTITLED}class A:\n    def b(self): ...\n    @property\n    def c(self): ...\n"
    assert messages(tmp_path, {"a/__init__.py": code}) == [
        "class a.A has no docstring",
        "function a.A.b has no docstring",
        "property a.A.c has no docstring",
    ]


def test_only_what_a_package_exports_is_public(tmp_path: Path) -> None:
    code = f'{ENTITLED}__all__ = ["seen"]\ndef seen(): ...\ndef unseen(): ...\n'
    assert messages(tmp_path, {"a/__init__.py": code}) == ["function a.seen has no docstring"]


def test_an_option_that_no_document_speaks_of_is_noted(tmp_path: Path) -> None:
    code = f"""{ENTITLED}
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("-v", "--verbose", help="say more")
parser.add_argument("--dry-run", default=False)
parser.add_argument("path")
os.environ["A_TOKEN"], os.environ.get("A_PLACE", "/"), os.getenv("HOME")
"""
    files = {"a/__init__.py": code, "README.md": "Call it with `--verbose`; set A_PLACE.\n"}
    assert messages(tmp_path, files) == [
        "no document speaks of the option --dry-run",
        "no document speaks of the variable A_TOKEN",
    ]


@pytest.mark.parametrize("code", ["def broken(:\n", "x = " + "(" * 300 + ")" * 300, "\0"])
def test_code_that_cannot_be_read_is_said_and_the_rest_is_counted(
    tmp_path: Path, code: str
) -> None:
    found = judged(tmp_path, {"a/__init__.py": code, "b/__init__.py": ENTITLED})
    assert found.total >= 1
    assert not found.findings


def test_without_packages_it_says_how_to_name_them(tmp_path: Path) -> None:
    (skipped,) = judged(tmp_path, {"README.md": "# Nothing\n"}).skipped
    assert str(skipped).startswith("API skipped, because no Python package was found: name them")


def test_without_griffe_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "griffe", None)
    (skipped,) = judged(tmp_path, {"a/__init__.py": ENTITLED}).skipped
    assert skipped.install == "install beadflow[documentation]"


def test_what_the_compiler_has_to_say_about_code_is_not_our_news(tmp_path: Path) -> None:
    code = f'{ENTITLED}import os\nA = "\\d" is 1\nos.environ["A"]\n'
    assert messages(tmp_path, {"a/__init__.py": code}) == ["no document speaks of the variable A"]


def test_a_module_that_is_too_large_to_parse_is_said(tmp_path: Path) -> None:
    files = {"a/__init__.py": ENTITLED, "a/b.py": ENTITLED + "#" * MAX_SOURCE_BYTES}
    found = judged(tmp_path, files)
    assert (found.total, str(found.skipped[0])) == (
        1,
        "a/b.py skipped, because it has more than 256 KiB",
    )


def test_where_there_is_no_package_there_is_nothing_to_describe(tmp_path: Path) -> None:
    found = judged(tmp_path, {"README.md": "# Notes\n"})
    assert (found.summary, found.total) == ("There is nothing to describe.", 0)
