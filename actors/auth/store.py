"""How keys, tokens and acts are written. Run by the coordination database's writer.

What is done and the line of the audit log that says so are one transaction, and writing it twice is
once.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from actors.auth.audit import append
from actors.auth.commands import (
    RecordFamily,
    RecordKey,
    RecordKeyRevoked,
    RecordLines,
    RecordRefresh,
    RecordRevoked,
    RecordUses,
    Refreshed,
)
from actors.auth.records import scopes_text
from actors.writer import Handler
from storage import payload
from storage.coordination import audit, auth

FORGOTTEN: Final = 10
"""Ended tokens that go for each new one: there are never many more than live."""


def record_key(connection: sqlite3.Connection, command: RecordKey) -> None:
    if auth.key(connection, command.record.id) is None:
        record = command.record
        auth.insert_key(
            connection,
            {
                "id": record.id,
                "name": record.name,
                "user_id": record.user_id,
                "roles": payload.encode(list(record.roles)),
                "scopes": scopes_text(record.scopes),
                "secret_sha256": command.sha256,
                "at": record.created_at,
                "by": record.created_by,
                "expires_at": record.expires_at,
            },
        )
    append(connection, command.line)


def record_key_revoked(connection: sqlite3.Connection, command: RecordKeyRevoked) -> bool:
    if auth.key(connection, command.key_id) is None:
        return False
    if auth.revoke_key(connection, command.key_id, by=command.by, at=command.at):
        append(connection, command.line)
    return True


def record_uses(connection: sqlite3.Connection, command: RecordUses) -> None:
    auth.note_uses(connection, command.uses)


def record_family(connection: sqlite3.Connection, command: RecordFamily) -> None:
    if auth.token(connection, command.sha256) is None:
        auth.forget(connection, command.at, FORGOTTEN)
        auth.insert_family(
            connection,
            {
                "family_id": command.family_id,
                "key_id": command.key_id,
                "user_id": command.user_id,
                "scopes": command.scopes,
                "token_s": command.token_s,
                "at": command.at,
                "expires_at": command.expires_at,
            },
        )
        _insert_token(connection, command, command.family_id, command.sha256)
    append(connection, command.line)


def record_refresh(connection: sqlite3.Connection, command: RecordRefresh) -> Refreshed:
    row = auth.token(connection, command.sha256)
    if row is None:
        return "unknown"
    if row["replaced_by"] == command.successor:
        return "done"  # this very command, which came twice
    if row["revoked_at"] is not None or row["key_revoked_at"] is not None:
        return "ended"
    ends = (row["expires_at"], row["key_expires_at"])
    if any(end is not None and end <= command.at for end in ends):
        return "ended"
    if row["replaced_by"] is not None:
        why = "a refresh token was used twice"
        auth.revoke_family(connection, row["family_id"], by="beadflow", reason=why, at=command.at)
        append(connection, command.line)
        return "reused"
    auth.forget(connection, command.at, FORGOTTEN)
    auth.replace_token(
        connection,
        command.sha256,
        successor=command.successor,
        family_id=row["family_id"],
        at=command.at,
        end=command.expires_at,
    )
    _insert_token(connection, command, row["family_id"], command.successor)
    return "done"


def _insert_token(
    connection: sqlite3.Connection,
    command: RecordFamily | RecordRefresh,
    family_id: str,
    sha256: str,
) -> None:
    auth.insert_token(
        connection,
        {
            "sha256": sha256,
            "family_id": family_id,
            "jti": command.jti,
            "at": command.at,
            "expires_at": command.expires_at,
        },
    )


def record_revoked(connection: sqlite3.Connection, command: RecordRevoked) -> int:
    told = audit.detail_of(connection, command.line.id)
    if told is not None:
        return int(payload.decode(told)["ended"])
    ended = _end(connection, command)
    detail = {**command.line.detail, "ended": ended}
    append(connection, replace(command.line, detail=detail))
    return ended


def _end(connection: sqlite3.Connection, command: RecordRevoked) -> int:
    by, at, reason = command.by, command.at, "revoked"
    if command.user_id is not None:
        return auth.revoke_families(connection, command.user_id, by=by, reason=reason, at=at)
    family_id = auth.family_of(connection, command.jti or "")
    if family_id is None:
        return 0
    return int(auth.revoke_family(connection, family_id, by=by, reason=reason, at=at))


def record_lines(connection: sqlite3.Connection, command: RecordLines) -> tuple[int, ...]:
    return tuple(append(connection, line) for line in command.lines)


HANDLERS: Mapping[type, Handler] = {
    RecordKey: record_key,
    RecordKeyRevoked: record_key_revoked,
    RecordUses: record_uses,
    RecordFamily: record_family,
    RecordRefresh: record_refresh,
    RecordRevoked: record_revoked,
    RecordLines: record_lines,
}
