"""Where a project's programs begin, as its manifests and file names say. Pure.

Nothing is run: an entry point of a `setup.py` is not seen.
"""

import configparser
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from actors.agents.kit.outcome import Place
from actors.agents.kit.untrusted import plain
from actors.agents.research.inventory_messages import EntryPoint

Kind = Literal["command", "plug-in", "module", "npm command", "cargo binary", "go program"]
Found = tuple[Kind, str, str, str]
"""What it is, its name, where it leads, and what begins the line that says so."""

MAX_ENTRIES: Final = 200
_COMMANDS: Final = frozenset({"console_scripts", "gui_scripts"})
_PROBLEMS: Final = (
    tomllib.TOMLDecodeError,
    configparser.Error,
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
)


def is_entry_file(path: str) -> bool:
    """Whether a file with this path can say where something begins."""
    return PurePosixPath(path).name in _READERS


def entry_points(path: str, data: bytes) -> list[EntryPoint]:
    """What the file at `path` says; nothing where it cannot be parsed."""
    read = _READERS[PurePosixPath(path).name]
    try:
        text = data.decode("utf-8-sig")
        found = list(read(text, path))
    except _PROBLEMS:
        return []
    return [
        EntryPoint(
            kind=kind,
            name=plain(name, 100),
            target=plain(target, 200),
            place=Place(path=plain(path), line=_line(text, begin)),
        )
        for kind, name, target, begin in found[:MAX_ENTRIES]
    ]


def _line(text: str, begin: str) -> int | None:
    lines = (line.lstrip("\"' \t") for line in text.splitlines())
    found = (number for number, line in enumerate(lines, 1) if begin and line.startswith(begin))
    return next(found, None)


def _pyproject(text: str, _: str) -> Iterator[Found]:
    document = tomllib.loads(text)
    project = document.get("project", {})
    poetry = document.get("tool", {}).get("poetry", {})
    for table in (project.get("scripts", {}), project.get("gui-scripts", {})):
        yield from _each("command", table)
    yield from _each("command", poetry.get("scripts", {}))
    for group, table in project.get("entry-points", {}).items():
        for name, target in table.items():
            yield "plug-in", f"{group}: {name}", str(target), name


def _each(kind: Kind, table: Mapping[str, Any]) -> Iterator[Found]:
    for name, target in table.items():
        yield kind, name, str(target), name


def _setup_cfg(text: str, _: str) -> Iterator[Found]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    if not parser.has_section("options.entry_points"):
        return
    for group, lines in parser["options.entry_points"].items():
        for line in filter(None, map(str.strip, lines.splitlines())):
            name, _equals, target = (part.strip() for part in line.partition("="))
            if group in _COMMANDS:
                yield "command", name, target, name
            else:
                yield "plug-in", f"{group}: {name}", target, name


def _package_json(text: str, _: str) -> Iterator[Found]:
    document = json.loads(text)
    bins = document.get("bin", {})
    if isinstance(bins, str):
        bins = {str(document.get("name", "")): bins}
    yield from _each("npm command", bins)


def _cargo(text: str, _: str) -> Iterator[Found]:
    for table in tomllib.loads(text).get("bin", []):
        path = str(table.get("path", "src/main.rs"))
        yield "cargo binary", str(table.get("name", "")), path, "name"


def _main(_: str, path: str) -> Iterator[Found]:
    package = PurePosixPath(path).parent
    if package.name:
        dotted = ".".join(package.parts[package.parts[0] == "src" :])
        yield "module", f"python -m {dotted}", path, ""


def _go(text: str, path: str) -> Iterator[Found]:
    if text.startswith("package main") or "\npackage main" in text:
        yield "go program", PurePosixPath(path).parent.name or "main", path, "package main"


_READERS: Final[dict[str, Callable[[str, str], Iterator[Found]]]] = {
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "package.json": _package_json,
    "Cargo.toml": _cargo,
    "__main__.py": _main,
    "main.go": _go,
}
