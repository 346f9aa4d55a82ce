import json
from pathlib import Path

import pytest

from actors.agents.kit.runners import CARGO, GO, MAKE, MAVEN, NODE, NPM, PYTEST, Runner, detect

FILES = {
    "tests/test_a.py": ("", PYTEST),
    "pytest.ini": ("[pytest]", PYTEST),
    "setup.cfg": ("[tool:pytest]", PYTEST),
    "pyproject.toml": ("[tool.pytest.ini_options]", PYTEST),
    "Cargo.toml": ("", CARGO),
    "go.mod": ("", GO),
    "pom.xml": ("", MAVEN),
    "Makefile": ("all:\n\ntest: all\n", MAKE),
    "package.json": (json.dumps({"scripts": {"test": "jest"}}), NPM),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_runner_is_known_by_a_file(tmp_path: Path, name: str) -> None:
    text, runner = FILES[name]
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    assert detect(tmp_path) == (runner,)


def test_nodes_own_runner_is_asked_for_junit(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"scripts": {"test": "node --test test/"}}')
    assert detect(tmp_path) == (NODE,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("package.json", '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'),
        ("package.json", "[1]"),
        ("package.json", "{"),
        ("pyproject.toml", "[tool"),
        ("pyproject.toml", 'tool = "pytest"'),
        ("Makefile", "test := 1\n"),
        ("README.md", "run the tests"),
    ],
)
def test_no_runner_is_made_up(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert detect(tmp_path) == ()


def test_the_surest_comes_first(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("test:\n")
    (tmp_path / "conftest.py").write_text("")
    found: tuple[Runner, ...] = detect(tmp_path)
    assert found == (PYTEST, MAKE)
