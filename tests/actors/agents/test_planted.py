"""What is planted is there, and nothing beside it: asked of the tools themselves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.planted import Planted, Spot, planted

BINS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return planted(tmp_path_factory.mktemp("planted"))


def tool(there: Planted, *args: str) -> str:
    argv = [str(BINS / args[0]), *args[1:]]
    done = subprocess.run(
        argv, cwd=there.repo, check=False, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def test_the_commits_have_the_same_ids_each_time(there: Planted, tmp_path: Path) -> None:
    again = planted(tmp_path)
    assert (again.base, again.head) == (there.base, there.head)


def test_one_test_fails(there: Planted) -> None:
    said = tool(there, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-rf")
    assert f"FAILED {there.failing_test}" in said
    assert "1 failed, 4 passed" in said


def test_ruff_finds_the_old_error_and_the_new_one(there: Planted) -> None:
    found = json.loads(tool(there, "ruff", "check", "--no-cache", "--output-format=json", "."))
    spots = {
        Spot(str(Path(f["filename"]).relative_to(there.repo)), f["location"]["row"]) for f in found
    }
    assert spots == {there.old_lint, there.new_lint}
    assert {f["code"] for f in found} == {there.lint_rule}


def test_mypy_and_bandit_find_nothing(there: Planted) -> None:
    assert "Success" in tool(there, "mypy", "--cache-dir=/dev/null", "orchard")
    assert json.loads(tool(there, "bandit", "-q", "-r", "-f", "json", "orchard"))["results"] == []


def test_deptry_finds_one_unused_and_one_missing_dependency(there: Planted, tmp_path: Path) -> None:
    answer = tmp_path / "deptry.json"
    tool(there, "deptry", "--json-output", str(answer), ".")
    found = {(f["error"]["code"], f["module"]) for f in json.loads(answer.read_text())}
    assert found == {("DEP002", there.unused), ("DEP001", there.missing)}


def test_the_failing_test_can_be_left_out(tmp_path: Path) -> None:
    mended = planted(tmp_path, failing_test=False)
    assert mended.failing_test is None
    assert " passed" in tool(mended, "pytest", "-q", "-p", "no:cacheprovider")
    assert (mended.old_lint.line, mended.new_lint.line) == (3, 3)
