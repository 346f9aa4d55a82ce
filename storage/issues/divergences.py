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
STRETCH = """
    WITH stretch AS MATERIALIZED (
        SELECT id, status, json_extract(line, '$.metadata.beadflow.home') AS home,
            json_extract(line, '$.metadata.beadflow.workflow_id') AS workflow_id
        FROM issues WHERE id > ? ORDER BY id LIMIT ?)
    SELECT max(id) AS last,
        json_group_array(json_array(id, CAST(workflow_id AS TEXT))) FILTER (
            WHERE status <> 'closed' AND home = ? AND workflow_id IS NOT NULL
            AND workflow_id <> '') AS claims
    FROM stretch"""
AGREED = """
    SELECT json_group_array(json_extract(one.value, '$[0]')) AS agreed
    FROM json_each(?) AS one LEFT JOIN issues i ON i.id = json_extract(one.value, '$[1]')
    WHERE i.id IS NULL OR (
        i.status = 'closed' AND i.title = json_extract(one.value, '$[3]')
        AND i.priority = json_extract(one.value, '$[4]')
        AND (json_extract(i.line, '$.metadata.beadflow.workflow_id')
                IS NOT json_extract(one.value, '$[0]')
            OR json_extract(i.line, '$.metadata.beadflow.home') <> ?
            OR NOT (
                EXISTS (SELECT 1 FROM json_each(i.line, '$.labels') WHERE value = 'paused')
                OR EXISTS (SELECT 1 FROM leases WHERE issue_id = i.id))))"""
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
