"""What a backup says of itself: its files with their hashes, and what they were taken from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from storage import durable, regular
from storage.errors import BackupMissing, BackupUnusable, plain

NAME: Final = "manifest.json"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a backup. `schema_version` is None for one that is no database."""

    sha256: str
    bytes: int
    schema_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A backup.

    Args:
        taken_at: RFC 3339, UTC.
        program: the version that took it.
        home: the installation whose data it is, "" when it never served.
        repository: where that was.
        positions: how far the outboxes and the event log had come, and who had read up to where.
        files: by name; the contents of artifacts by their place, `artifacts/…`.
        lacking: contents that were missing or damaged when it was taken, by hash.
    """

    taken_at: str
    program: str
    home: str
    repository: str
    positions: Mapping[str, int]
    files: Mapping[str, File]
    lacking: Sequence[str] = ()


def write(directory: Path, manifest: Manifest) -> None:
    body = {"format": FORMAT, **asdict(manifest)}
    text = json.dumps({**body, "sha256": _seal(body)}, indent=2, sort_keys=True)
    durable.write_new(directory / NAME, f"{text}\n".encode())


def read(directory: Path) -> Manifest:
    """Reads a backup's manifest; the files are not looked at.

    Raises:
        BackupMissing: there is no such directory, or no manifest in it.
        BackupUnusable: it is damaged, or a newer program wrote it.
    """
    try:
        body = json.loads(regular.read(directory / NAME))
        if not isinstance(body, dict):
            raise BackupUnusable(directory, f"its {NAME} cannot be read (it holds no object)")
        seal = body.pop("sha256")
        version = body.pop("format")
    except (FileNotFoundError, NotADirectoryError) as err:
        if not directory.is_dir():
            raise BackupMissing(directory, "there is no such directory") from err
        raise BackupMissing(directory, f"it has no {NAME}, so it is no whole backup") from err
    except (OSError, ValueError, KeyError, RecursionError) as err:
        raise BackupUnusable(directory, f"its {NAME} cannot be read ({plain(err)})") from err
    if version != FORMAT:
        raise BackupUnusable(directory, f"it has format {version}, this program knows {FORMAT}")
    if seal != _seal({"format": version, **body}):
        raise BackupUnusable(directory, f"its {NAME} was changed after it was written")
    return _parse(directory, body)


def _parse(directory: Path, body: dict[str, Any]) -> Manifest:
    try:
        files = {name: File(**facts) for name, facts in body.pop("files").items()}
        return Manifest(**body, files=files)
    except (TypeError, KeyError, AttributeError) as err:
        raise BackupUnusable(directory, f"its {NAME} cannot be read ({err})") from err


def _seal(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
