from pathlib import Path

import pytest
import trio

from actors.agents.kit.chat.messages import ToolCall
from actors.agents.kit.files import Listing
from actors.agents.llm import tools
from actors.agents.llm.messages import ToolName
from actors.agents.llm.tools import ListFiles, ReadFile, Repository, Search, offers, use


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    files = {f"src/m{n}.py": "".join(f"line {i}\n" for i in range(n)) for n in range(5)}
    files |= {"README.md": "Line 1\n", "srcery.py": "line 1\n", "keys/host.pem": "line 1\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    paths = tuple(sorted(files))
    return Repository(Listing(root=tmp_path, paths=paths, by="git ls-files"))


def test_files_are_listed_below_a_directory_and_by_name(repository: Repository) -> None:
    assert repository.list_files(ListFiles(under="./src/", pattern="*[34].py")) == (
        "src/m3.py\nsrc/m4.py"
    )
    assert repository.list_files(ListFiles(pattern="*.md")) == "README.md"
    assert repository.list_files(ListFiles(under="sr")) == "(there are none)"
    assert "keys/host.pem" not in repository.list_files(ListFiles(under="."))


def test_some_lines_of_a_file_are_read(repository: Repository) -> None:
    read = repository.read_file
    assert read(ReadFile(path="src/m4.py", first_line=2, last_line=3)) == (
        "2: line 1\n3: line 2\n(1 more lines)"
    )
    assert read(ReadFile(path="src/m4.py", first_line=9)) == "(there are no such lines)"
    assert read(ReadFile(path="src/m0.py")) == "(there are no such lines)"


async def test_lines_are_found_with_and_without_their_case(repository: Repository) -> None:
    found = await trio.to_thread.run_sync(repository.search, Search(text="line 3"))
    assert found == "src/m4.py:4: line 3"
    loud = Search(text="LINE 1", ignore_case=True, under="")
    assert (await trio.to_thread.run_sync(repository.search, loud)).splitlines()[0] == (
        "README.md:1: Line 1"
    )


async def test_what_is_too_much_is_cut_off_and_said_to_be(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "NAMES", 2)
    monkeypatch.setattr(tools, "HITS", 2)
    monkeypatch.setattr(tools, "READ_CHARACTERS", 12)
    assert repository.list_files(ListFiles()).endswith("(and 5 more)")
    found = await trio.to_thread.run_sync(repository.search, Search(text="line"))
    assert found.splitlines()[2:] == ["(there may be more)"]
    assert repository.read_file(ReadFile(path="src/m4.py")).endswith("ask for fewer lines)")


@pytest.mark.parametrize(
    "path",
    [".env", "a/.env.local", "id_rsa", "x/key.PEM", "c.key", ".netrc", "credentials.json"],
)
def test_files_that_are_likely_to_hold_a_secret_are_kept_back(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text("hunter2")
    repository = Repository(Listing(root=tmp_path, paths=(path,), by="git ls-files"))
    call = ToolCall(id="c", name="read_file", arguments=f'{{"path": "{path}"}}')
    assert "may hold a secret" in use(call, repository, tuple(ToolName))
    assert list(repository.paths) == []


def test_each_tool_is_offered_with_what_it_takes() -> None:
    found = {offer.name: offer for offer in offers(tuple(ToolName))}
    assert set(found) == {"list_files", "read_file", "search"}
    assert found["read_file"].parameters["required"] == ["path"]
    assert all(offer.description for offer in found.values())


def test_a_file_that_is_called_as_a_refusal_begins_is_none(tmp_path: Path) -> None:
    (tmp_path / "error: no").write_text("x")
    repository = Repository(Listing(root=tmp_path, paths=("error: no",), by="git ls-files"))
    call = ToolCall(id="c", name="list_files", arguments="")
    assert use(call, repository, tuple(ToolName)) == "./error: no"
    assert repository.read_file(ReadFile(path="./error: no")) == "1: x"


def test_an_odd_call_is_answered(repository: Repository) -> None:
    call = ToolCall(id="c", name="read_file", arguments='{"path": "\\ud800"}')
    assert use(call, repository, tuple(ToolName)).startswith("error: ")
    assert use(ToolCall(id="c", name="", arguments=""), repository, ()).startswith("error: ")
    listed = use(ToolCall(id="c", name="list_files", arguments=""), repository, tuple(ToolName))
    assert listed.startswith("README.md")
