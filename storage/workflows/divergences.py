"""What a look at everything reads of the engine's database: stretches of ids, and whole rows."""

import sqlite3

SEEN = """
    SELECT i.workflow_id, i.name, i.version, i.status, i.parent_id, i.parked, i.run_seq,
        i.created_at, i.updated_at
    FROM json_each(?) CROSS JOIN instances i ON i.workflow_id = value"""
TASKS = """
    SELECT t.workflow_id, t.op, t.agent_type, t.activity, t.state, t.fence, t.agent_id,
        t.created_at, t.updated_at
    FROM json_each(?) CROSS JOIN tasks t ON t.workflow_id = value
    WHERE t.state IN ('ready', 'running')"""
ANSWERED = """
    SELECT max(updated_at) AS at FROM tasks
    WHERE workflow_id = ? AND agent_id = ? AND state IN ('done', 'consumed')"""
STRETCH = """
    WITH stretch AS MATERIALIZED (
        SELECT workflow_id, parent_id FROM instances
        WHERE workflow_id > ? ORDER BY workflow_id LIMIT ?)
    SELECT max(workflow_id) AS last,
        json_group_array(workflow_id) FILTER (WHERE parent_id IS NULL) AS ids
    FROM stretch"""
AGREED = """
    SELECT json_group_array(json(one.value)) AS agreed
    FROM json_each(?) AS one
    CROSS JOIN instances i ON i.workflow_id = json_extract(one.value, '$[0]')
    WHERE i.status = json_extract(one.value, '$[2]') AND i.parent_id IS NULL"""
LIVE = """
    SELECT workflow_id, parent_id FROM instances
    WHERE status IN ('queued', 'running', 'stalled') AND parked = 0"""
CANCEL_ASKED = """
    SELECT 1 FROM history h JOIN instances i ON i.workflow_id = h.workflow_id
    WHERE h.workflow_id = ? AND h.seq >= i.run_seq AND h.kind = 'workflow_cancel_requested'
    LIMIT 1"""
COMPLETE_TASK = """
    UPDATE tasks SET state = 'done', outcome = :outcome, agent_id = :agent_id,
        attempt = max(attempt, 1), next_at = NULL, updated_at = :at
    WHERE workflow_id = :workflow_id AND op = :op AND fence = :fence
        AND state IN ('ready', 'running')"""
END_OF_HISTORY = "SELECT coalesce(max(position), 0) FROM history"


def complete_task(
    connection: sqlite3.Connection,
    *,
    workflow_id: str,
    op: str,
    fence: int,
    agent_id: str,
    outcome: str,
    at: str,
) -> bool:
    """End a step, whoever is at it; False when it is over or another attempt began."""
    values = {"workflow_id": workflow_id, "op": op, "fence": fence, "agent_id": agent_id}
    values |= {"outcome": outcome, "at": at}
    return connection.execute(COMPLETE_TASK, values).rowcount == 1
