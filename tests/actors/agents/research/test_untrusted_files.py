"""What reads files of a repository, or of a directory of advisories, takes whatever is in them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.agents.research.advisories import read_advisories
from actors.agents.research.churn import count
from actors.agents.research.complexity import read_table
from actors.agents.research.entries import entry_points
from actors.agents.research.locks import read_lock
from actors.agents.research.manifests import read_manifest
from actors.agents.research.reminders import reminders
from actors.agents.research.symbols import symbols_of

WORDS = (
    *("affected", "package", "ecosystem", "name", "PyPI", "versions", "ranges", "type"),
    *("ECOSYSTEM", "events", "introduced", "fixed", "id", "aliases", "severity", "score"),
    *("database_specific", "bin", "dependencies", "withdrawn", "scripts", "1.0", "0", "alpha"),
)
LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(WORDS) | st.text()
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=12,
)
TOML = st.lists(
    st.sampled_from(
        [
            "[[package]]", "[[packages]]", "[project]", "[project.scripts]", "[package]", "[[bin]]",
            'name = "a"', "name = 1", 'version = "1"', "version = [1]", 'dependencies = ["b"]',
            'dependencies = [{ name = "b" }]', "dependencies = 3", "dependencies = [3]",
            'source = { editable = "." }', "source = 3", "scripts = 3", 'x = "y:z"', "path = 1",
            "[options.entry_points]", "console_scripts = x", "optional-dependencies = 1",
        ]
    ),
    max_size=8,
).map("\n".join)  # fmt: skip
LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "requirements.txt")
MANIFESTS = ("pyproject.toml", "setup.cfg", "package.json", "Cargo.toml")


@settings(max_examples=100, deadline=None)
@given(document=DOCUMENTS)
def test_any_json_is_borne(document: Any) -> None:
    data = json.dumps(document).encode()
    for advisory in read_advisories(data) or ():
        assert advisory.affects("1.0") in {True, False}
    for name in ("package.json", "setup.cfg"):
        entry_points(name, data)
        read_manifest(name, data)


@settings(max_examples=100, deadline=None)
@given(text=TOML)
def test_any_toml_is_borne(text: str) -> None:
    for name in LOCKS:
        read_lock(name, text.encode())
    for name in MANIFESTS:
        entry_points(name, text.encode())
        read_manifest(name, text.encode())


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_borne(data: bytes) -> None:
    text = data.decode("latin-1")
    for name in (*LOCKS, *MANIFESTS):
        read_lock(name, data)
    for name in MANIFESTS:
        entry_points(name, data)
        read_manifest(name, data)
    for name in ("a.py", "a.c"):
        reminders(name, data)
    symbols_of("a.py", data)
    read_advisories(data)
    read_table(text)
    count(text, 0.0, 1e12)


@pytest.mark.parametrize("path", LOCKS)
def test_a_lock_file_of_a_million_brackets_is_borne(path: str) -> None:
    assert read_lock(path, b"a = " + b"[" * 1_000_000) == []
