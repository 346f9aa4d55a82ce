"""The SQL of agents' leases: until when each counts as there, and which do not any more.

What writes runs inside the writer's transaction; the rest only reads.
"""

import json
import sqlite3
from collections.abc import Sequence

STATUS = "SELECT status, agent_type, lease_expires_at FROM agents WHERE agent_id = ?"

RENEW = """
    INSERT INTO agents (agent_id, agent_type, origin, status, config, registered_at, seen_at,
                        lease_expires_at)
    SELECT value ->> 0, value ->> 1, 'settings', 'active', '[1,{}]', value ->> 2, value ->> 2, ?
    FROM json_each(?) WHERE true
    ON CONFLICT (agent_id) DO UPDATE SET seen_at = excluded.seen_at,
        lease_expires_at = excluded.lease_expires_at
    WHERE agents.status IN ('active', 'draining')"""

LOSE = """
    INSERT INTO agents (agent_id, agent_type, origin, status, config, reason, registered_at,
                        lease_expires_at)
    VALUES (:agent_id, :agent_type, 'settings', 'lost', '[1,{}]', :reason, :at, :at)
    ON CONFLICT (agent_id) DO UPDATE SET lease_expires_at = excluded.lease_expires_at,
        status = CASE WHEN agents.status = 'draining' THEN 'draining' ELSE 'lost' END,
        reason = CASE WHEN agents.status = 'draining' THEN agents.reason ELSE excluded.reason END"""
RECOVER = """
    UPDATE agents SET lease_expires_at = NULL,
        status = CASE WHEN status = 'lost' THEN 'active' ELSE status END,
        reason = CASE WHEN status = 'lost' THEN '' ELSE reason END
    WHERE agent_id = ?"""


def renew(
    connection: sqlite3.Connection, seen: Sequence[tuple[str, str, str]], *, expires_at: str
) -> None:
    """Seen are (agent id, type, when). One of the settings may have no row yet."""
    connection.execute(RENEW, (expires_at, json.dumps(list(seen))))


def find(connection: sqlite3.Connection, agent_id: str) -> sqlite3.Row | None:
    """What is written of an agent: its status, its type and its lease."""
    row: sqlite3.Row | None = connection.execute(STATUS, (agent_id,)).fetchone()
    return row


def lose(
    connection: sqlite3.Connection, agent_id: str, *, agent_type: str, reason: str, at: str
) -> None:
    """Its lease ended then. One that is drained stays so, for when it comes back."""
    values = {"agent_id": agent_id, "agent_type": agent_type, "reason": reason, "at": at}
    connection.execute(LOSE, values)


def recover(connection: sqlite3.Connection, agent_id: str) -> None:
    connection.execute(RECOVER, (agent_id,))
