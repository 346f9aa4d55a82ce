"""Which tools are run on a project, what they say, and that none of them runs the project."""

import json
from pathlib import Path

import pytest

from actors.agents.kit.checkouts import Checkout
from actors.agents.kit.outcome import Finding, Level, Place, Skipped
from actors.agents.validation.linters import (
    Linter,
    is_test,
    lint,
    linters,
    read_bandit,
    read_mypy,
    read_ruff,
)

MYPY_LINE = {
    "file": "a.py",
    "line": 4,
    "column": 11,
    "end_line": 4,
    "message": "Incompatible return value type",
    "hint": "See elsewhere",
    "code": "return-value",
    "severity": "error",
}


def place(root: Path, **files: str) -> Checkout:
    root = root / "root"
    root.mkdir()
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text)
    return Checkout(root, "c", root.parent, ())


def found(where: Checkout, *, plugins: bool = False) -> dict[str, Linter | Skipped]:
    names = ("ruff", "mypy", "bandit")
    return dict(zip(names, linters(where, plugins=plugins), strict=True))


def test_mypy_is_for_projects_that_use_it(tmp_path: Path) -> None:
    mypy = found(place(tmp_path, a__py=""))["mypy"]
    assert isinstance(mypy, Skipped)
    assert mypy.why == "the project has no configuration of it"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject__toml", '[tool.mypy]\nplugins = ["evil"]\n'),
        ("mypy__ini", "[mypy]\nplugins = evil.py\n"),
        ("setup__cfg", "[mypy]\nplugins = evil\n"),
        ("mypy__ini", "no configuration\n[mypy\n"),
    ],
)
def test_mypy_is_left_out_where_it_would_load_programs(
    tmp_path: Path, name: str, text: str
) -> None:
    where = place(tmp_path, **{name: text})
    mypy = found(where)["mypy"]
    assert isinstance(mypy, Skipped)
    assert mypy.install == "set mypy_plugins in the agent's configuration"
    assert isinstance(found(where, plugins=True)["mypy"], Linter)


def test_the_file_that_was_looked_at_is_the_one_that_mypy_takes(tmp_path: Path) -> None:
    where = place(tmp_path, mypy__ini="[mypy]\n", pyproject__toml="[tool.mypy]\nplugins = ['a']\n")
    mypy = found(where)["mypy"]
    assert isinstance(mypy, Linter)
    assert "--config-file=mypy.ini" in mypy.argv


@pytest.mark.parametrize("key", ["linecount_report", "html_report", "install_types"])
def test_mypy_is_left_out_where_it_would_write(tmp_path: Path, key: str) -> None:
    where = place(tmp_path, mypy__ini=f"[mypy]\n{key} = /tmp/x\n")
    for plugins in (False, True):
        mypy = found(where, plugins=plugins)["mypy"]
        assert isinstance(mypy, Skipped)
        assert mypy.why == "its configuration has it write files or install packages"


async def test_mypy_looks_at_what_the_project_has_it_look_at(tmp_path: Path) -> None:
    where = place(
        tmp_path,
        pyproject__toml='[tool.mypy]\nfiles = ["a.py"]\n',
        a__py="x: int = ''\n",
        b__py="y: int = ''\n",
    )
    mypy = found(where)["mypy"]
    assert isinstance(mypy, Linter)
    answer = await lint(mypy, where, ["a.py", "b.py"], deadline_s=240)
    assert isinstance(answer, list)
    assert [finding.place.path for finding in answer if finding.place] == ["a.py"]


@pytest.mark.parametrize("said", ['"^b"', '["^c", "^b"]', '"["'])
def test_mypy_leaves_out_what_the_project_has_it_leave_out(tmp_path: Path, said: str) -> None:
    where = place(tmp_path, pyproject__toml=f"[tool.mypy]\nexclude = {said}\n")
    mypy = found(where)["mypy"]
    assert isinstance(mypy, Linter)
    left = [name for name in ("a.py", "b.py") if mypy.leaves and mypy.leaves.search(name)]
    assert left == ([] if said == '"["' else ["b.py"])


def test_a_configuration_that_is_a_link_is_none(tmp_path: Path) -> None:
    where = place(tmp_path)
    (tmp_path / "evil.ini").write_text("[mypy]\nplugins = evil\n")
    (where.path / "mypy.ini").symlink_to(tmp_path / "evil.ini")
    assert isinstance(found(where)["mypy"], Skipped)


async def test_no_tool_runs_what_it_looks_at(tmp_path: Path) -> None:
    """Modules with the names of theirs, a start-up file, and a Python of the project's own."""
    canary = tmp_path / "canary"
    evil = f"import pathlib\npathlib.Path({str(canary)!r}).touch()\n"
    names = ("sitecustomize", "usercustomize", "mypy", "ruff", "bandit", "json")
    where = place(
        tmp_path,
        **{f"{name}__py": evil for name in names},
        pyproject__toml='[tool.mypy]\npython_executable = "./python"\n[tool.bandit]\n',
        python=f"#!/bin/sh\ntouch {canary}\n",
    )
    (where.path / "python").chmod(0o755)
    (where.path / "a.py").write_text("import os\n")
    for linter in linters(where, plugins=False):
        assert isinstance(linter, Linter)
        assert isinstance(await lint(linter, where, ["a.py"], deadline_s=240), list)
    assert not canary.exists()


async def test_a_file_whose_name_is_an_option_is_a_file(tmp_path: Path) -> None:
    where = place(tmp_path)
    (where.path / "--version.py").write_text("import os\n")
    ruff = found(where)["ruff"]
    assert isinstance(ruff, Linter)
    (finding,) = await lint(ruff, where, ["--version.py"], deadline_s=240)
    assert isinstance(finding, Finding)
    assert finding.place is not None
    assert finding.place.path == "--version.py"


async def test_a_tool_that_fails_is_skipped_with_its_reason(tmp_path: Path) -> None:
    broken = Linter(("sh", "-c", "echo no such rule >&2; exit 2"), read_ruff)
    skipped = await lint(broken, place(tmp_path), ["a.py"], deadline_s=20)
    assert isinstance(skipped, Skipped)
    assert skipped.why == "sh exited with 2: no such rule"


@pytest.mark.parametrize("said", ["{", "[{}]", '[{"location": 1}]', '"x"'])
async def test_a_tool_whose_words_are_not_known_is_skipped(tmp_path: Path, said: str) -> None:
    odd = Linter(("sh", "-c", f"echo '{said}'"), read_ruff)
    answer = await lint(odd, place(tmp_path), ["a.py"], deadline_s=20)
    assert answer == [] or isinstance(answer, Skipped)


def test_what_mypy_says_becomes_findings() -> None:
    (finding,) = read_mypy(f"not json\n{json.dumps(MYPY_LINE)}\n")
    assert finding.rule == "return-value"
    assert finding.level is Level.ERROR
    assert finding.message == "Incompatible return value type (See elsewhere)"
    assert finding.place == Place(path="a.py", line=4, end_line=4, column=12)


def test_an_assertion_in_a_test_is_no_finding_of_bandit() -> None:
    def result(path: str, rule: str) -> dict[str, object]:
        return {
            "filename": path,
            "test_id": rule,
            "issue_severity": "LOW",
            "issue_text": "why",
            "line_number": 3,
        }

    results = [result("./tests/test_a.py", "B101"), result("./a.py", "B101")]
    (finding,) = read_bandit(json.dumps({"results": results}))
    assert finding.place == Place(path="a.py", line=3, end_line=3, column=1)
    assert finding.level is Level.NOTE


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/support/a.py", True),
        ("a/test_b.py", True),
        ("conftest.py", True),
        ("a/b_test.py", True),
        ("a/testimony.py", False),
        ("src/a.py", False),
    ],
)
def test_tests_are_known_by_their_name(path: str, expected: bool) -> None:
    assert is_test(path) is expected
