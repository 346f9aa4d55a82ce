"""Reads which versions a project has locked, and what requires what. Pure.

Known are the lock files of uv, Poetry and PDM, `pylock.toml` (PEP 751) and requirements with `==`.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from actors.agents.kit.untrusted import plain

MAX_LOCKED: Final = 5_000
_PINNED: Final = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\#]+)")
_OWN: Final = frozenset({"editable", "virtual", "directory"})
_PROBLEMS: Final = (tomllib.TOMLDecodeError, ValueError, TypeError, AttributeError, KeyError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One distribution of a lock file; `requires` is None where the file does not say."""

    name: str
    version: str
    requires: tuple[str, ...] | None
    path: str


def is_lock(path: str) -> bool:
    name = PurePosixPath(path).name
    return name in _READERS or bool(_requirements_name(name))


def read_lock(path: str, data: bytes) -> list[Locked]:
    """What the file at `path` locks; nothing where it cannot be read."""
    read = _READERS.get(PurePosixPath(path).name, _requirements)
    try:
        return list(read(data.decode("utf-8-sig"), path))[:MAX_LOCKED]
    except (*_PROBLEMS, RecursionError):
        return []


def _requirements_name(name: str) -> re.Match[str] | None:
    return re.fullmatch(r"(?:.*[-_.])?requirements(?:[-_.].*)?\.(?:txt|lock)", name)


def _requirements(text: str, path: str) -> Iterator[Locked]:
    for line in text.splitlines():
        match = _PINNED.match(line)
        if match and "*" not in match[2]:
            yield _locked(match[1], match[2], None, path)


def _uv(text: str, path: str) -> Iterator[Locked]:
    for package in tomllib.loads(text)["package"]:
        if _OWN.isdisjoint(package.get("source", {})) and "version" in package:
            yield _locked(package["name"], package["version"], _named(package), path)


def _poetry(text: str, path: str) -> Iterator[Locked]:
    for package in tomllib.loads(text)["package"]:
        requires = tuple(map(canonicalize_name, package.get("dependencies", {})))
        yield _locked(package["name"], package["version"], requires, path)


def _pdm(text: str, path: str) -> Iterator[Locked]:
    for package in tomllib.loads(text)["package"]:
        requires = tuple(_names(package.get("dependencies", [])))
        yield _locked(package["name"], package["version"], requires, path)


def _pylock(text: str, path: str) -> Iterator[Locked]:
    for package in tomllib.loads(text)["packages"]:
        if "version" in package:
            requires = _named(package) if "dependencies" in package else None
            yield _locked(package["name"], package["version"], requires, path)


def _named(package: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(canonicalize_name(found["name"]) for found in package.get("dependencies", []))


def _names(lines: list[str]) -> Iterator[str]:
    for line in lines:
        try:
            yield canonicalize_name(Requirement(line).name)
        except InvalidRequirement:
            continue


def _locked(name: str, version: str, requires: tuple[str, ...] | None, path: str) -> Locked:
    return Locked(
        name=canonicalize_name(plain(name, 100)),
        version=plain(version, 60),
        requires=requires,
        path=plain(path),
    )


_READERS: Final[dict[str, Callable[[str, str], Iterator[Locked]]]] = {
    "uv.lock": _uv,
    "poetry.lock": _poetry,
    "pdm.lock": _pdm,
    "pylock.toml": _pylock,
}
