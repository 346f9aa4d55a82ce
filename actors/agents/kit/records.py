"""What is known of a sandbox beside what Git knows, and where it stands.

The record is written before Git is asked for anything, so that what a crash left half-made is known
to hold nobody's work.
"""

import hashlib
import json
import re
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import trio

from actors.agents.site import Site
from storage.durable import replace

FENCES: Final = ("pytest.ini", "ruff.toml")
"""Empty files beside the work trees. The server's directory usually lies in the user's work tree:
tools that look for settings in all directories above would find those of another commit."""

_NAME_CHARACTERS: Final = 60
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
_locks: weakref.WeakValueDictionary[Path, trio.Lock] = weakref.WeakValueDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a sandbox; `made` once its files stand, `own` if its branch is new."""

    key: str
    branch: str
    base: str
    made: bool = False
    own: bool = False


def place_of(site: Site, key: str) -> Path:
    return site.workspace.resolve() / "worktrees" / name_of(key)


def name_of(key: str) -> str:
    """A directory's and a branch's name: the key itself where it can be one."""
    if key and len(key) <= _NAME_CHARACTERS and not _NO_NAME.search(key) and key[0] != "-":
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return "-".join(part for part in (_NO_NAME.sub("-", key).strip("-_")[:40], digest) if part)


def lock_of(place: Path) -> trio.Lock:
    """One at a time opens or closes a sandbox."""
    return _locks.setdefault(place, trio.Lock())


def load(place: Path) -> Record | None:
    try:
        return Record(**json.loads(record_of(place).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def save(place: Path, record: Record) -> None:
    """Durable on return. Blocks."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in FENCES:
        (place.parent / name).touch()
    replace(record_of(place), json.dumps(asdict(record)).encode())


def record_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")
