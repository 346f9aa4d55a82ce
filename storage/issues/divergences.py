"""What a look at everything reads of the issues: stretches of them, and whole lines."""

import sqlite3

LINES = """
    SELECT i.id, i.line FROM json_each(?) CROSS JOIN issues i ON i.id = value"""
ENDS = """
    SELECT wanted.value AS id, j.kind, j.at
    FROM json_each(?) AS wanted CROSS JOIN journal j ON j.seq =
        (SELECT max(seq) FROM journal WHERE issue_id = wanted.value)"""
LEASED = """
    SELECT l.issue_id FROM json_each(?) CROSS JOIN leases l ON l.issue_id = value"""
CLAIMS = """
    SELECT id, status, json_extract(line, '$.metadata.beadflow.home') AS home,
        json_extract(line, '$.metadata.beadflow.workflow_id') AS workflow_id
    FROM issues WHERE id > ? ORDER BY id LIMIT ?"""
CLAIMS_OF = """
    SELECT i.id, i.status, json_extract(i.line, '$.metadata.beadflow.home') AS home,
        json_extract(i.line, '$.metadata.beadflow.workflow_id') AS workflow_id
    FROM json_each(?) CROSS JOIN issues i ON i.id = value"""
CHANGED = "SELECT seq, issue_id FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"
END_OF_JOURNAL = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0)"
APPLIED = "SELECT position FROM cursors WHERE consumer = ?"


def set_back(conn: sqlite3.Connection, consumer: str, position: int) -> None:
    """Move a feed's cursor that is beyond a position back to it."""
    sql = "UPDATE cursors SET position = ? WHERE consumer = ? AND position > ?"
    conn.execute(sql, (position, consumer, position))
