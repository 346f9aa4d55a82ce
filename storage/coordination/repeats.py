"""The SQL of requests that came with an idempotency key.

The keys of starts stand beside their workflows; a key belongs to one request all the same.
"""

import sqlite3

ANSWER = "SELECT request_sha256, answer FROM idempotency_keys WHERE key = ?"

STARTED = "SELECT tempolite_workflow_id FROM workflow_mappings WHERE idempotency_key = ?"

FORGET = """
    DELETE FROM idempotency_keys WHERE key IN
        (SELECT key FROM idempotency_keys WHERE at < ? ORDER BY at LIMIT ?)"""


def get(connection: sqlite3.Connection, key: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(ANSWER, (key,)).fetchone()
    return row


def started(connection: sqlite3.Connection, key: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(STARTED, (key,)).fetchone()
    return row


def put(
    connection: sqlite3.Connection, key: str, *, request_sha256: str, answer: str, at: str
) -> None:
    connection.execute(
        "INSERT INTO idempotency_keys (key, request_sha256, answer, at) VALUES (?, ?, ?, ?)",
        (key, request_sha256, answer, at),
    )


def forget(connection: sqlite3.Connection, before: str, limit: int) -> int:
    """Delete the oldest keys that came before a moment; answers how many those were."""
    return connection.execute(FORGET, (before, limit)).rowcount
