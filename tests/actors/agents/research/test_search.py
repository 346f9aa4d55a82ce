import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.agents.research import matching
from actors.agents.research.search import search_code
from actors.agents.research.search_messages import CodeSearch, CodeSearchRequest
from actors.agents.research.symbols import symbols_of
from actors.workflows.definition import ActivityFailure
from tests.actors.agents.research.conftest import git

STORE = '''\
"""Keeps crates."""

import sqlite3


class CrateStore:
    """Keeps crates in a file."""

    limit = 3

    def put(self, crate: str) -> None:
        """Keep one."""
        self.database = sqlite3.connect("crates.db")
'''


@pytest.fixture
def orchard(project: Path) -> Path:
    (project / "src" / "app" / "store.py").write_text(STORE)
    (project / "tests" / "test_store.py").write_text("def test_crate():\n    crate = 1\n")
    (project / "README.md").write_text("# App\n\nKeeps a crate.\n")
    git(project, "add", ".")
    return project


async def searched(root: Path, query: str, **more: Any) -> CodeSearch:
    return await search_code(
        CodeSearchRequest(query=query, **more), root=root, progress=lambda message, fraction: None
    )


@pytest.fixture(params=["with ripgrep", "with one that is played", "without"])
def tool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Who searches. The answers are the same."""
    real = shutil.which("rg")
    if request.param == "with ripgrep" and real is None:
        pytest.skip("ripgrep is not installed")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git") or "git")
    if request.param == "with ripgrep" and real is not None:
        (programs / "rg").symlink_to(real)
    elif request.param != "without":
        (programs / "rg").write_text(f"#!{sys.executable}\n{RIPGREP}")
        (programs / "rg").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return "beadflow" if request.param == "without" else "ripgrep"


RIPGREP = """
import re, subprocess, sys
from actors.agents.research import matching
patterns = [a.partition("=")[2] for a in sys.argv if a.startswith("--regexp=")]
if "--fixed-strings" in sys.argv:
    patterns = [re.escape(pattern) for pattern in patterns]
listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True).stdout.decode()
with open(sys.argv[0] + ".list", "w") as file:
    file.write("untracked\\0" + listed)
print('{"type": "begin", "data": {}}')
print('{"type": "match", "data": {"path": {"bytes": "/w=="}, "lines": {"bytes": "/w=="},'
      ' "line_number": 1, "submatches": []}}')
sys.exit(matching.main(".", sys.argv[0] + ".list", *patterns))
"""


async def test_where_something_is_defined_comes_before_where_it_is_named(
    orchard: Path, tool: str
) -> None:
    found = await searched(orchard, "Where is a crate kept?")
    assert found.tool == tool
    first = found.hits[0]
    assert (str(first.place), first.text) == ("src/app/store.py:6", "class CrateStore:")
    assert first.inside == "app.store.CrateStore"
    assert first.before == ("", "")
    assert first.after == ('    """Keeps crates in a file."""', "")
    assert found.hits[-1].place.path == "README.md"
    assert found.evidence[0].statement == "src/app/store.py:6: class CrateStore:"


async def test_a_line_with_more_of_the_words_comes_first(orchard: Path, tool: str) -> None:
    found = await searched(orchard, "sqlite database", hits=1)
    (hit,) = found.hits
    assert (hit.place.line, hit.words) == (13, ("sqlite", "database"))


async def test_symbols_that_fit_are_answered_with_their_lines(orchard: Path) -> None:
    found = await searched(orchard, "crate")
    assert [(s.name, s.kind, s.place.line, s.summary) for s in found.symbols] == [
        ("app.store.CrateStore", "class", 6, "Keeps crates in a file."),
        ("tests.test_store.test_crate", "function", 1, ""),
    ]


async def test_a_text_is_looked_for_as_it_is_written(orchard: Path, tool: str) -> None:
    found = await searched(orchard, 'CONNECT("crates', kind="text")
    assert [hit.place.line for hit in found.hits] == [13]
    assert (await searched(orchard, "c.ate", kind="text")).hits == ()


async def test_a_regular_expression_is_one(orchard: Path, tool: str) -> None:
    found = await searched(orchard, r"def \w+t\(", kind="regex", paths=("src/*",))
    assert [(hit.place.line, hit.inside) for hit in found.hits] == [
        (11, "app.store.CrateStore.put")
    ]


async def test_what_is_no_regular_expression_is_a_failure_that_says_so(
    orchard: Path, tool: str
) -> None:
    with pytest.raises(ActivityFailure, match="no regular expression") as caught:
        await searched(orchard, "(", kind="regex")
    assert (caught.value.code, caught.value.retryable) == ("bad_pattern", False)


async def test_a_query_of_small_words_says_what_to_do(orchard: Path) -> None:
    found = await searched(orchard, "what is it")
    assert found.hits == ()
    assert "kind=text" in found.skipped[0].install


async def test_only_files_that_are_tracked_and_in_the_tree_are_searched(
    orchard: Path, tool: str
) -> None:
    (orchard.parent / "secret.py").write_text("crate = 'hidden'\n")
    (orchard / "link.py").symlink_to(orchard.parent / "secret.py")
    git(orchard, "add", ".")
    (orchard / "scratch.py").write_text("crate = 2\n")
    found = await searched(orchard, "crate")
    assert {hit.place.path for hit in found.hits}.isdisjoint({"link.py", "scratch.py"})


async def test_one_file_does_not_take_all_places(orchard: Path) -> None:
    (orchard / "src" / "app" / "many.py").write_text("crate = 1\n" * 50)
    git(orchard, "add", ".")
    found = await searched(orchard, "crate", hits=13)
    paths = [hit.place.path for hit in found.hits]
    assert paths.count("src/app/many.py") <= 6
    assert {"README.md", "tests/test_store.py"} < set(paths)


async def test_without_griffe_the_lines_are_still_found(
    orchard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "griffe", None)
    found = await searched(orchard, "crate")
    assert (found.symbols, found.hits[0].inside) == ((), None)
    assert found.skipped[0].install == "install beadflow[documentation]"


async def test_odd_code_and_binary_files_are_searched_and_harm_nothing(orchard: Path) -> None:
    (orchard / "src" / "app" / "broken.py").write_text("class crate(\n")
    (orchard / "src" / "app" / "latin.py").write_bytes(b"crate = '\xff'\n")
    (orchard / "picture.png").write_bytes(b"\0crate")
    git(orchard, "add", ".")
    found = await searched(orchard, "crate", hits=100)
    paths = {hit.place.path for hit in found.hits}
    assert {"src/app/broken.py", "src/app/latin.py"} < paths
    assert "picture.png" not in paths


@pytest.mark.parametrize("query", ["", "a\0b", "a\nb", "x" * 501])
def test_a_query_that_no_line_can_fit_is_refused(query: str) -> None:
    with pytest.raises(ValidationError):
        CodeSearchRequest(query=query)


def test_the_stand_in_says_what_ripgrep_says(
    orchard: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    listed = tmp_path / "list"
    listed.write_text("src/app/store.py\0nowhere.py\0")
    assert matching.main(str(orchard), str(listed), "LIMIT", "sqlite3$") == 0
    said = [json.loads(line)["data"] for line in capsys.readouterr().out.splitlines()]
    assert [(one["line_number"], one["submatches"]) for one in said] == [
        (3, [{"match": {"text": "sqlite3"}}]),
        (9, [{"match": {"text": "limit"}}]),
    ]


def test_symbols_of_code_that_cannot_be_parsed_are_none() -> None:
    assert symbols_of("a.py", b"class (") == ()
    assert symbols_of("a.py", b"#" * (300 << 10)) == ()
