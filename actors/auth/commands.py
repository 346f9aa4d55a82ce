"""What is written of keys, tokens and acts. Secrets come here as their hashes only."""

from dataclasses import dataclass
from typing import Literal

from actors.auth.audit import Line
from actors.auth.messages import KeyRecord
from actors.writer import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordKey(Command[None]):
    """Write a new key, and who made it."""

    record: KeyRecord
    sha256: str
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordKeyRevoked(Command[bool]):
    """End a key; answers False when there is none. One that was revoked stays as it was."""

    key_id: str
    by: str
    at: str
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUses(Command[None]):
    """Write when keys were used last: (id, moment) of each."""

    uses: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFamily(Command[None]):
    """Write the first pair of tokens that a key is given.

    Args:
        scopes: JSON, or None for all that the key holds.
        expires_at: when the refresh token ends.
    """

    family_id: str
    key_id: str
    user_id: str
    scopes: str | None
    token_s: int
    sha256: str
    jti: str
    at: str
    expires_at: str
    line: Line


Refreshed = Literal["done", "unknown", "ended", "reused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRefresh(Command[Refreshed]):
    """Let one refresh token take another's place; one that has a successor ends its family.

    Args:
        sha256: of the token that is given up.
        successor: of the next one, by which a command that comes twice is known.
        line: of the audit log, for a token that is used again.
    """

    sha256: str
    successor: str
    jti: str
    at: str
    expires_at: str
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRevoked(Command[int]):
    """End the family of a token, or all families of a user; answers how many ended, once.

    Sent twice it answers the same: what it came to is in the audit log.
    """

    by: str
    at: str
    jti: str | None
    user_id: str | None
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLines(Command[tuple[int, ...]]):
    """Add to the audit log; answers the number of each line."""

    lines: tuple[Line, ...]
