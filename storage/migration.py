"""Migration files: what they are called, how they are read and cut into statements.

A schema is a directory of `NNNN_name.up.sql` and `NNNN_name.down.sql`, numbered 1, 2, 3, … Versions
are numbers: 2 comes before 10, and zeros in front mean nothing. Nothing here touches a database;
`storage.migrate` applies what is read here.
"""

import hashlib
import re
import sqlite3
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from storage.errors import SchemaError

_FILE = re.compile(r"(\d+)_([a-z0-9_]+)\.(up|down)\.sql")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_ENDS_THE_TRANSACTION = frozenset(
    {"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "ATTACH", "DETACH"}
    | {"VACUUM", "PRAGMA"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    version: int
    name: str
    up: str
    down: str | None

    @property
    def label(self) -> str:
        return f"{self.version:04d}_{self.name}"

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.up.encode()).hexdigest()


def load(schema: Path | Traversable) -> list[Migration]:
    """Reads the migrations of a directory, in order of their numbers.

    Raises:
        SchemaError: a file is misnamed, a number is used twice or missing, or an up file or the
            whole directory is.
    """
    ups: dict[int, tuple[str, str]] = {}
    downs: dict[int, tuple[str, str]] = {}
    if not schema.is_dir():
        raise SchemaError(f"{schema} is not a directory of migrations: is the program complete?")
    for file in schema.iterdir():
        if file.name.endswith(".sql"):
            version, name, direction = _parse_name(file.name)
            side = ups if direction == "up" else downs
            if version in side:
                raise SchemaError(f"{schema} has two {direction} files of version {version}")
            side[version] = name, file.read_text(encoding="utf-8").replace("\r\n", "\n")
    _check_numbers(schema, sorted(ups), downs)
    return [_pair(version, *ups[version], downs.get(version)) for version in sorted(ups)]


def _parse_name(name: str) -> tuple[int, str, str]:
    match = _FILE.fullmatch(name)
    if match is None:
        raise SchemaError(f"{name} is not named NNNN_name.up.sql or NNNN_name.down.sql")
    return int(match[1]), match[2], match[3]


def _check_numbers(
    schema: Path | Traversable, versions: list[int], downs: dict[int, tuple[str, str]]
) -> None:
    if versions != list(range(1, len(versions) + 1)):
        raise SchemaError(f"the versions in {schema} must run 1, 2, 3, …; found {versions}")
    if orphans := downs.keys() - set(versions):
        raise SchemaError(f"{schema} has down files without an up file: {sorted(orphans)}")


def _pair(version: int, name: str, up: str, down: tuple[str, str] | None) -> Migration:
    if down is not None and down[0] != name:
        raise SchemaError(f"version {version} is called {name} one way and {down[0]} the other")
    return Migration(version=version, name=name, up=up, down=down[1] if down else None)


def split(script: str) -> list[str]:
    """Splits a script into statements; semicolons in strings, comments and triggers do not count.

    Raises:
        SchemaError: the last statement is not ended by a semicolon, or one of them would end the
            transaction that the migration runs in.
    """
    statements: list[str] = []
    waiting = ""
    for piece in re.split(r"(?<=;)", script):
        waiting += piece
        if piece.endswith(";") and sqlite3.complete_statement(waiting):
            statements.append(waiting.strip())
            waiting = ""
    if _COMMENT.sub("", waiting).strip():
        raise SchemaError(f"a statement is not ended by a semicolon: {waiting.strip()[:60]!r}")
    return [s for s in statements if _is_allowed(s)]


def _is_allowed(statement: str) -> bool:
    """Says whether there is anything to run; refuses what would end the transaction."""
    words = _COMMENT.sub(" ", statement).strip(" \t\n;").split(maxsplit=1)
    if words and words[0].upper() in _ENDS_THE_TRANSACTION:
        raise SchemaError(f"a migration may not say {words[0]}: it runs inside one transaction")
    return bool(words)
