"""Distributions that are installed here: the project's own environment first, then beadflow's.

Metadata is read from files and nothing is imported or run. A project's environment is as untrusted
as the project: a file that is too large or is a link out of the environment is not read.
"""

import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import Final

import trio
from packaging.metadata import parse_email
from packaging.utils import canonicalize_name

from actors.agents.kit.untrusted import plain
from actors.agents.research.facts import Contents
from actors.agents.research.wheel import METADATA_CAP_BYTES, contents

OWN_ENVIRONMENT: Final = "beadflow's own environment"
_RECORD_CAP_BYTES: Final = 4 << 20
_PROJECT_ENVIRONMENTS: Final = (".venv", "venv")
_SITES: Final = ("lib/python3*/site-packages", "Lib/site-packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A directory of installed distributions and what to call it."""

    label: str
    site: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """An installed distribution; `metadata` is its raw METADATA file."""

    version: str
    place: str
    metadata: bytes
    contents: Contents


def installed(root: Path | None, sites: Iterable[Path] = ()) -> "Shelf":
    """What is installed inside the project, then where this runs. Blocking.

    Args:
        root: of the project; None for none.
        sites: directories as `site-packages` is, that come before all.
    """
    own = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    places = [
        Environment(label="the configured environment", site=site.resolve()) for site in sites
    ]
    places += [*_project_environments(root)] if root is not None else []
    known = {place.site for place in places}
    places += [
        Environment(label=OWN_ENVIRONMENT, site=Path(site))
        for site in sorted(own)
        if Path(site).resolve() not in known
    ]
    return Shelf(places)


class Shelf:
    """What is installed in some environments; each is listed and read once. Blocking."""

    def __init__(self, places: Iterable[Environment]) -> None:
        self._infos: dict[str, list[tuple[Path, str]]] = {}
        self._copies: dict[str, Copy | None] = {}
        for place in places:
            for info in _infos(place.site):
                name = canonicalize_name(info.name.partition("-")[0])
                self._infos.setdefault(name, []).append((info, place.label))

    def find(self, name: str) -> Copy | None:
        """The first installed copy of a distribution, or None."""
        if name not in self._copies:
            copies = (_read(info, label) for info, label in self._infos.get(name, ()))
            self._copies[name] = next((copy for copy in copies if copy is not None), None)
        return self._copies[name]

    def provided(self) -> dict[str, str]:
        """Which distribution brings a module; where two do, the one that is found first."""
        found: dict[str, str] = {}
        for name in self._infos:
            trio.from_thread.check_cancelled()
            copy = self.find(name)
            for module in copy.contents.import_names if copy is not None else ():
                found.setdefault(module, name)
        return found


def _project_environments(root: Path) -> Iterator[Environment]:
    home = root.resolve()
    for name in _PROJECT_ENVIRONMENTS:
        for pattern in _SITES:
            for site in sorted((home / name).glob(pattern)):
                if site.resolve() == site:
                    yield Environment(label=f"the project's {name}", site=site)


def _infos(site: Path) -> list[Path]:
    try:
        return sorted(site.glob("*.dist-info"))
    except OSError:
        return []


def _read(info: Path, place: str) -> Copy | None:
    metadata = info / "METADATA"
    if not _is_bearable(metadata, METADATA_CAP_BYTES):
        return None
    text = metadata.read_bytes()
    version = parse_email(text)[0].get("version")
    if version is None:
        return None
    listed = (
        Distribution.at(info).files if _is_bearable(info / "RECORD", _RECORD_CAP_BYTES) else None
    )
    files = listed or []
    return Copy(
        version=plain(version, 60),
        place=place,
        metadata=text,
        contents=contents(
            (file.as_posix() for file in files),
            sum(file.size or 0 for file in files) if files else None,
            "installed metadata",
        ),
    )


def _is_bearable(path: Path, cap_bytes: int) -> bool:
    try:
        return (
            path.is_file()
            and path.resolve().parent == path.parent.resolve()
            and (path.stat().st_size <= cap_bytes)
        )
    except OSError:
        return False
