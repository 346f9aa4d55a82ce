from pathlib import Path

import pytest

from actors.agents.documentation.sources import Package, Sources, sources
from actors.workflows.definition import ActivityFailure
from tests.actors.agents.documentation.conftest import tree_in


def found(root: Path, files: dict[str, str], *named: str) -> Sources:
    return sources(tree_in(root, files), named)


def test_packages_lie_at_the_root_or_below_src(tmp_path: Path) -> None:
    files = {"a/__init__.py": "", "a/b/__init__.py": "", "src/c/__init__.py": "", "d/x.py": ""}
    assert found(tmp_path, files).packages == (
        Package(root="", name="a"),
        Package(root="src", name="c"),
    )


def test_tests_and_examples_are_no_packages(tmp_path: Path) -> None:
    files = {"tests/__init__.py": "", "examples/__init__.py": "", "docs/__init__.py": ""}
    assert found(tmp_path, files).packages == ()


def test_pyproject_says_where_else_packages_lie(tmp_path: Path) -> None:
    text = '[tool.setuptools.packages.find]\nwhere = ["lib", "../out"]\n'
    files = {"pyproject.toml": text, "lib/a/__init__.py": ""}
    assert found(tmp_path, files).packages == (Package(root="lib", name="a"),)


def test_a_module_with_the_name_of_the_project_is_a_package(tmp_path: Path) -> None:
    files = {"pyproject.toml": '[project]\nname = "One-File"\n', "one_file.py": "", "other.py": ""}
    assert found(tmp_path, files).packages == (Package(root="", name="one_file"),)


def test_packages_can_be_named(tmp_path: Path) -> None:
    files = {"deep/er/a/x.py": "", "b.py": ""}
    assert found(tmp_path, files, "deep/er/a", "b").packages == (
        Package(root="deep/er", name="a"),
        Package(root="", name="b"),
    )


def test_a_name_of_no_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ActivityFailure, match="'nothing' is neither") as caught:
        found(tmp_path, {"a.py": ""}, "nothing")
    assert caught.value.code == "no_such_package"


def test_documents_are_markdown_files_that_are_the_projects_own(tmp_path: Path) -> None:
    files = dict.fromkeys(["README.md", "docs/a.md", "docs/b.rst", "node_modules/x/README.md"], "")
    files |= {"requirements.txt": "", "docs/c.txt": ""}
    assert found(tmp_path, files).documents == ("README.md", "docs/a.md")
    assert found(tmp_path, files).unread == ("docs/b.rst", "docs/c.txt")


@pytest.mark.parametrize(
    "text", ["project = 3", "[project]\nscripts = 3", "tool = 1", "[[project]]", "=", "\0"]
)
def test_an_odd_pyproject_is_read_as_far_as_it_goes(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, {"pyproject.toml": text}).scripts == {}
