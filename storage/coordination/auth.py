"""The SQL of API keys and of the tokens that go back to them.

What writes runs inside the writer's transaction; the rest only reads.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

KEY_COLUMNS: Final = """
    id, name, user_id, roles, scopes, secret_sha256, created_at, created_by, expires_at,
    last_used_at, revoked_at, revoked_by"""

KEY = f"SELECT {KEY_COLUMNS} FROM api_keys WHERE id = ?"  # noqa: S608 - constants
KEYS = f"SELECT {KEY_COLUMNS} FROM api_keys ORDER BY created_at DESC, id DESC"  # noqa: S608 - constants
KEYS_OF_USER = f"""
    SELECT {KEY_COLUMNS} FROM api_keys WHERE user_id = ?
    ORDER BY created_at DESC, id DESC"""  # noqa: S608 - constants
ANY_KEY = "SELECT EXISTS (SELECT 1 FROM api_keys) AS made"
OPENS = """
    SELECT 1 FROM api_keys
    WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) LIMIT 1"""

INSERT_KEY = """
    INSERT INTO api_keys (id, name, user_id, roles, scopes, secret_sha256, created_at, created_by,
                          expires_at)
    VALUES (:id, :name, :user_id, :roles, :scopes, :secret_sha256, :at, :by, :expires_at)"""
REVOKE_KEY = """
    UPDATE api_keys SET revoked_at = ?, revoked_by = ? WHERE id = ? AND revoked_at IS NULL"""
NOTE_USES = """
    UPDATE api_keys SET last_used_at = value ->> 1
    FROM json_each(?)
    WHERE api_keys.id = value ->> 0 AND coalesce(last_used_at, '') < value ->> 1"""

_PAIR = """
    SELECT r.family_id, r.jti, r.created_at, r.expires_at, r.replaced_by, f.user_id, f.scopes,
           f.token_s, f.revoked_at, k.id AS key_id, k.revoked_at AS key_revoked_at,
           k.expires_at AS key_expires_at
    FROM refresh_tokens r
    JOIN token_families f ON f.id = r.family_id
    JOIN api_keys k ON k.id = f.key_id"""
PAIR_OF_JTI = f"{_PAIR} WHERE r.jti = ?"
PAIR_OF_HASH = f"{_PAIR} WHERE r.sha256 = ?"

INSERT_FAMILY = """
    INSERT INTO token_families (id, key_id, user_id, scopes, token_s, created_at, expires_at)
    VALUES (:family_id, :key_id, :user_id, :scopes, :token_s, :at, :expires_at)"""
INSERT_PAIR = """
    INSERT INTO refresh_tokens (sha256, family_id, jti, created_at, expires_at)
    VALUES (:sha256, :family_id, :jti, :at, :expires_at)"""
REPLACE_PAIR = "UPDATE refresh_tokens SET replaced_by = ?, replaced_at = ? WHERE sha256 = ?"
EXTEND_FAMILY = "UPDATE token_families SET expires_at = max(expires_at, ?) WHERE id = ?"
REVOKE_FAMILY = """
    UPDATE token_families SET revoked_at = ?, revoked_by = ?, reason = ?
    WHERE id = ? AND revoked_at IS NULL"""
REVOKE_FAMILIES_OF_USER = """
    UPDATE token_families SET revoked_at = ?, revoked_by = ?, reason = ?
    WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ?"""

FORGET_PAIRS = """
    DELETE FROM refresh_tokens WHERE sha256 IN
        (SELECT sha256 FROM refresh_tokens WHERE expires_at < ? ORDER BY expires_at LIMIT ?)"""
FORGET_FAMILIES = """
    DELETE FROM token_families WHERE id IN
        (SELECT id FROM token_families WHERE expires_at < ?
            AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE family_id = token_families.id)
         ORDER BY expires_at LIMIT ?)"""


def key(connection: sqlite3.Connection, key_id: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(KEY, (key_id,)).fetchone()
    return row


def insert_key(connection: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    connection.execute(INSERT_KEY, values)


def revoke_key(connection: sqlite3.Connection, key_id: str, *, by: str, at: str) -> bool:
    """Answers False when it was revoked before, or is not there."""
    return connection.execute(REVOKE_KEY, (at, by, key_id)).rowcount == 1


def note_uses(connection: sqlite3.Connection, uses: Sequence[tuple[str, str]]) -> None:
    """When keys were used last: (id, moment) of each."""
    connection.execute(NOTE_USES, (json.dumps(list(uses)),))


def token(connection: sqlite3.Connection, sha256: str) -> sqlite3.Row | None:
    """A refresh token by its hash, with its family and its key."""
    row: sqlite3.Row | None = connection.execute(PAIR_OF_HASH, (sha256,)).fetchone()
    return row


def family_of(connection: sqlite3.Connection, jti: str) -> str | None:
    row = connection.execute(PAIR_OF_JTI, (jti,)).fetchone()
    return None if row is None else row["family_id"]


def insert_family(connection: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    connection.execute(INSERT_FAMILY, values)


def insert_token(connection: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    connection.execute(INSERT_PAIR, values)


def replace_token(
    connection: sqlite3.Connection,
    sha256: str,
    *,
    successor: str,
    family_id: str,
    at: str,
    end: str,
) -> None:
    """A refresh token was used; its family lives until `end` now."""
    connection.execute(REPLACE_PAIR, (successor, at, sha256))
    connection.execute(EXTEND_FAMILY, (end, family_id))


def revoke_family(
    connection: sqlite3.Connection, family_id: str, *, by: str, reason: str, at: str
) -> bool:
    """Answers False when it was revoked before, or is not there."""
    return connection.execute(REVOKE_FAMILY, (at, by, reason, family_id)).rowcount == 1


def revoke_families(
    connection: sqlite3.Connection, user_id: str, *, by: str, reason: str, at: str
) -> int:
    """All families of a user that live; answers how many."""
    return connection.execute(REVOKE_FAMILIES_OF_USER, (at, by, reason, user_id, at)).rowcount


def forget(connection: sqlite3.Connection, before: str, limit: int) -> None:
    """Delete the tokens that ended first, so many at most, and the families they leave empty."""
    connection.execute(FORGET_PAIRS, (before, limit))
    connection.execute(FORGET_FAMILIES, (before, limit))
