import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.agents.documentation.generate import generate
from actors.agents.documentation.messages import GenerateRequest, PageStatus
from actors.agents.documentation.pages import compare, reference
from actors.agents.documentation.sources import sources
from actors.agents.documentation.surface import surface
from actors.agents.protocol import Task
from actors.workflows.definition import ActivityFailure
from tests.actors.agents.documentation.conftest import Shelf, tree_in
from tests.support.planted import Planted
from tests.support.repos import git, repository

CODE = '''"""Counts.

    It counts much.
"""
import os
from dataclasses import dataclass

@dataclass
class Settings:
    """What can be set."""

    limit: int = 3
    """How far it counts."""

def count(first: int, *, by: "int | None" = None) -> int:
    """Count.

    Args:
        first: the first number.
        by: a | b.

    Returns:
        the last one.

    Raises:
        ValueError: it is too much.
    """
'''


def made(root: Path, files: dict[str, str]) -> dict[str, str]:
    """The pages by their names, of some files."""
    tree = tree_in(root, files)
    found = sources(tree)
    return reference(tree, found, surface(root, found.packages), "docs/api")


def pages(shelf: Shelf) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(shelf["documentation/pages.zip"])) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


async def test_each_module_has_a_page_and_the_index_names_them(
    task: Task, shelf: Shelf, orchard: Planted
) -> None:
    answer = await generate(task, GenerateRequest())
    assert answer.commit == orchard.head
    assert {note.path: note.status for note in answer.pages} == dict.fromkeys(
        [
            "docs/api/index.md",
            "docs/api/orchard.counts.md",
            "docs/api/orchard.md",
            "docs/api/orchard.prices.md",
            "docs/api/orchard.shipping.md",
        ],
        PageStatus.NEW,
    )
    found = pages(shelf)
    assert "def wholesale(apples: int) -> int" in found["docs/api/orchard.prices.md"]
    assert "[orchard.prices](orchard.prices.md)" in found["docs/api/index.md"]
    assert [file.name for file in answer.artifacts] == [
        "documentation/index.md",
        "documentation/pages.zip",
    ]


async def test_the_same_commit_makes_the_same_bytes(task: Task) -> None:
    first = await generate(task, GenerateRequest())
    second = await generate(task, GenerateRequest())
    assert first == second


async def test_another_commit_is_described_as_it_was(
    task: Task, shelf: Shelf, orchard: Planted
) -> None:
    await generate(task, GenerateRequest(ref=orchard.base))
    assert "wholesale" not in pages(shelf)["docs/api/orchard.prices.md"]


def test_docstrings_become_tables(tmp_path: Path) -> None:
    text = made(tmp_path, {"a/__init__.py": CODE})["docs/api/a.md"]
    assert "def count(first: int, *, by: int | None = None) -> int" in text
    assert "| `first`: `int` | the first number. |" in text
    assert "| `by`: `int \\| None` | a \\| b. |" in text
    assert "| `ValueError` | it is too much. |" in text


def test_settings_and_variables_have_a_page(tmp_path: Path) -> None:
    code = CODE + 'os.environ.get("A_LIMIT", "3")\n'
    text = made(tmp_path, {"a/__init__.py": code})["docs/api/settings.md"]
    assert "| `A_LIMIT` | `'3'` | a/__init__.py |" in text
    assert "| `limit: int = 3` | How far it counts. |" in text


def test_commands_and_options_have_a_page(tmp_path: Path) -> None:
    code = (
        'import click\n@click.option("-n", "--number", default=3, help="how many")\ndef a(): ...\n'
    )
    project = '[project]\nname = "a"\nscripts = {count = "a:main"}\n'
    text = made(tmp_path, {"a/__init__.py": code, "pyproject.toml": project})[
        "docs/api/commands.md"
    ]
    assert "| `count` | `a:main` |" in text
    assert "| `-n, --number` | `3` | how many | a/__init__.py |" in text


def test_imports_are_drawn(tmp_path: Path) -> None:
    files = {
        "a/__init__.py": '"""A."""\n',
        "a/b.py": '"""B."""\nfrom . import c\n',
        "a/c.py": '"""C."""\ndef late():\n    from a.d import thing\n    import os\n',
        "a/d.py": "thing = 1\n",
    }
    _, _, picture = made(tmp_path, files)["docs/api/index.md"].partition("```mermaid\n")
    assert picture.removesuffix("```\n").splitlines() == [
        "graph LR",
        '    m0["a"]',
        '    m1["a.b"]',
        '    m2["a.c"]',
        '    m3["a.d"]',
        "    m1 --> m2",
        "    m2 --> m3",
    ]


def test_pages_that_are_there_are_compared(tmp_path: Path) -> None:
    files = {f"a/{name}.py": f'"""{name}."""\n' for name in ("__init__", "b", "c", "d", "e")}
    fresh = made(tmp_path, files)
    there = dict(fresh)
    there["docs/api/a.c.md"] += "More.\n"
    there["docs/api/a.gone.md"] = there["docs/api/a.b.md"]
    there["docs/api/a.d.md"] = "# Written by hand\n"
    there["docs/api/own.md"] = "# Written by hand\n"
    del there["docs/api/a.e.md"]
    tree_in(tmp_path, there)
    notes = compare(tmp_path, "docs/api", fresh)
    assert {note.path.rpartition("/")[2]: note.status.value for note in notes} == {
        "index.md": "same",
        "a.md": "same",
        "a.b.md": "same",
        "a.c.md": "changed",
        "a.d.md": "kept",
        "a.e.md": "new",
        "a.gone.md": "gone",
    }


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    tree_in(tmp_path, {"docs/api": "a file"})
    with pytest.raises(ActivityFailure, match="docs/api is a file") as caught:
        compare(tmp_path, "docs/api", {})
    assert caught.value.code == "not_a_directory"


def test_code_is_never_imported(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    code = f'"""A."""\nopen({str(canary)!r}, "w")\n'
    files = {"a/__init__.py": code, "evil.pth": f"import pathlib; pathlib.Path({str(canary)!r})"}
    assert made(tmp_path, files)
    assert not canary.exists()


@pytest.mark.parametrize(("branch", "code"), [("main", "branch_in_use"), ("--force", "bad_ref")])
async def test_a_branch_that_could_not_be_committed_on_is_refused_before_any_work(
    task_in: Callable[[Path], Task], tmp_path: Path, shelf: Shelf, branch: str, code: str
) -> None:
    repo = repository(tmp_path / "repo", {"shop/__init__.py": '"""A shop."""\n'})
    git(repo, "branch", "free")
    with pytest.raises(ActivityFailure) as caught:
        await generate(task_in(repo), GenerateRequest(branch=branch))
    assert (caught.value.code, caught.value.retryable, shelf) == (code, False, {})
    assert (await generate(task_in(repo), GenerateRequest(branch="free"))).pages
