"""The SQL of retention: which workflows and events nothing needs any more, and taking them out.

What `due` and `loose_events` give is chosen so that nobody misses it:

- a live or recoverable workflow keeps all it has. Only completed, failed, cancelled and terminated
  ones are final; all others are never touched, however old;
- children have no mapping: they go with the workflow above them, the lowest first, once all of them
  have ended. Until then they keep all they have, their events too;
- an open intent rolls its start forward, so its workflow stays;
- the bus has copied the whole history (its cursor is past it), and every event that says anything
  of the issue has been applied to it (the reconciler's cursor is past it), so neither ever misses
  these rows. The other events do not count: the cursor moves only with what is applied, and after
  a rebuild of beads.db the news of its issues stand behind it;
- the last row of the history and the last event stay, whosever they are: both numbers are
  `max() + 1`, and a number given out a second time would lie behind the cursors. With the last row
  of the history its workflow stays, and so its mapping: `open_stores` takes a history without any
  mapping for a lost database;
- a workflow whose instance is missing while the event of its start is there was not archived but
  has lost its history: that is for `db check` to report;
- a task that runs may still end, so its workflow waits for it;
- an idempotency key answers with its workflow for at least `KEY_DAYS` after the start.

The issue itself is Git's and is left alone; so is the issues' journal. Deleting goes from the
events and results, over tasks, signals and history, to the mapping: by the mapping, a workflow
whose removal was cut off is found again, and what is left of it is archived and deleted once more.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from storage.coordination.queries import cursor as copied_to
from storage.issues.queries import cursor as applied_to

FOLLOWED: Final = (
    "workflow_updated",
    "workflow_started",
    "workflow_stalled",
    "workflow_resumed",
    "workflow_paused",
    "workflow_cancel_requested",
    "workflow_cancelled",
    "workflow_terminated",
    "workflow_completed",
    "workflow_failed",
    "workflow_dead_lettered",
    "workflow_retried",
    "agent_assigned",
    "agent_handoff",
)
"""The types of events that the reconciler applies to issues."""

KEY_DAYS: Final = 7
BATCH: Final = 500
"""Rows deleted in one transaction, and workflows looked at with one query."""

_FINAL: Final = "('completed', 'failed', 'cancelled', 'terminated')"

_DUE = f"""
    SELECT tempolite_workflow_id, created_at, completed_at,
           EXISTS (SELECT 1 FROM events e WHERE e.workflow_id = m.tempolite_workflow_id
                   AND e.type IN ('workflow_queued', 'workflow_started')) AS is_whole
    FROM workflow_mappings m
    WHERE status IN {_FINAL} AND completed_at < :before AND created_at < :before
      AND (created_at, tempolite_workflow_id) > (:after_at, :after_id)
      AND (idempotency_key IS NULL OR created_at < :keyed_before)
      AND NOT EXISTS (SELECT 1 FROM intents i WHERE i.workflow_id = m.tempolite_workflow_id)
      AND NOT EXISTS (SELECT 1 FROM events e
                      WHERE e.workflow_id = m.tempolite_workflow_id
                        AND (e.seq = :last
                             OR (e.seq > :applied
                                 AND e.type IN (SELECT value FROM json_each(:followed)))))
    ORDER BY created_at, tempolite_workflow_id LIMIT :limit"""  # noqa: S608 - constants
_TREE = """
    WITH RECURSIVE tree(id) AS
        (VALUES (:id) UNION
         SELECT i.workflow_id FROM instances i JOIN tree ON i.parent_id = tree.id)"""
_ENDED_INSTANCE = f"""{_TREE}
    SELECT coalesce((SELECT status IN {_FINAL} FROM instances WHERE workflow_id = :id),
                    NOT :is_whole)
       AND NOT EXISTS (SELECT 1 FROM instances
                       WHERE workflow_id IN tree AND status NOT IN {_FINAL})
       AND coalesce((SELECT max(position) FROM history WHERE workflow_id IN tree), 0) <= :copied
       AND coalesce((SELECT max(position) FROM history WHERE workflow_id IN tree), 0)
               < coalesce((SELECT max(position) FROM history), 1)
       AND NOT EXISTS (SELECT 1 FROM tasks WHERE workflow_id IN tree AND state = 'running')"""  # noqa: S608 - constants
_BELOW = f"{_TREE} SELECT id FROM tree WHERE id <> :id"  # noqa: S608 - constants
_LINE = f"""
    WITH RECURSIVE line(id, parent_id, status) AS
        (SELECT workflow_id, parent_id, status FROM instances WHERE workflow_id = :id
         UNION SELECT i.workflow_id, i.parent_id, i.status
               FROM instances i JOIN line ON i.workflow_id = line.parent_id)
    SELECT coalesce(min(status IN {_FINAL}), 1)
       AND NOT EXISTS (SELECT 1 FROM instances WHERE parent_id = :id) FROM line"""  # noqa: S608 - constants
_AWAITED = """
    SELECT EXISTS (SELECT 1 FROM events WHERE workflow_id = :id
                   AND (seq = :last
                        OR (seq > :applied
                            AND type IN (SELECT value FROM json_each(:followed)))))"""
_OWNERS = """
    SELECT DISTINCT workflow_id FROM artifacts
    WHERE workflow_id > :id || '.' AND workflow_id < :id || '/'"""
_LATE = f"""
    SELECT EXISTS (SELECT 1 FROM workflow_results WHERE workflow_id = :id)
        OR EXISTS (SELECT 1 FROM artifacts WHERE workflow_id = :id)
        OR EXISTS ({_OWNERS})"""  # noqa: S608 - constants
_LOOSE = """
    SELECT * FROM events WHERE seq > :after AND seq < :last AND at < :before
      AND (seq <= :applied OR type NOT IN (SELECT value FROM json_each(:followed)))
      AND (workflow_id IS NULL OR workflow_id NOT IN
           (SELECT tempolite_workflow_id FROM workflow_mappings))
    ORDER BY seq LIMIT :limit"""

_ROWS: Final = (
    (
        "coordination",
        "workflow_mappings",
        "SELECT * FROM workflow_mappings WHERE tempolite_workflow_id = ?",
    ),
    (
        "coordination",
        "agent_assignments",
        "SELECT * FROM agent_assignments WHERE workflow_id = ? ORDER BY id",
    ),
    (
        "coordination",
        "workflow_results",
        "SELECT * FROM workflow_results WHERE workflow_id = ? ORDER BY id",
    ),
    (
        "coordination",
        "artifacts",
        "SELECT * FROM artifacts WHERE workflow_id = ? ORDER BY id",
    ),
    ("coordination", "events", "SELECT * FROM events WHERE workflow_id = ? ORDER BY seq"),
    ("tempolite", "instances", "SELECT * FROM instances WHERE workflow_id = ?"),
    ("tempolite", "tasks", "SELECT * FROM tasks WHERE workflow_id = ? ORDER BY op"),
    ("tempolite", "inbox", "SELECT * FROM inbox WHERE workflow_id = ? ORDER BY position"),
    ("tempolite", "history", "SELECT * FROM history WHERE workflow_id = ? ORDER BY seq"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Read-only connections to the three databases."""

    coordination: sqlite3.Connection
    tempolite: sqlite3.Connection
    beads: sqlite3.Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A workflow that nothing needs any more.

    Args:
        children: those that it and its children have started, the lowest first.
    """

    workflow_id: str
    completed_at: str
    children: tuple[str, ...] = ()


def due(readers: Readers, *, before: str, keyed_before: str) -> Iterator[Due]:
    """The workflows that ended before a moment and may go, oldest first.

    Args:
        readers: outside of any transaction.
        before: RFC 3339 as stored, UTC with "Z"; ended later, a workflow stays.
        keyed_before: the same, for the start of one with an idempotency key.
    """
    after = ("", "")
    while True:
        copied, known = copied_to(readers.coordination, "tempolite"), _known(readers)
        rows = readers.coordination.execute(
            _DUE,
            {
                "before": before,
                "keyed_before": keyed_before,
                "after_at": after[0],
                "after_id": after[1],
                **known,
                "limit": BATCH,
            },
        ).fetchall()
        for row in rows:
            found = {
                "id": row["tempolite_workflow_id"],
                "copied": copied,
                "is_whole": row["is_whole"],
            }
            if not readers.tempolite.execute(_ENDED_INSTANCE, found).fetchone()[0]:
                continue
            below = [found[0] for found in readers.tempolite.execute(_BELOW, {"id": found["id"]})]
            if not any(_is_awaited(readers, child, known) for child in below):
                owners = [each[0] for each in readers.coordination.execute(_OWNERS, found)]
                yield Due(
                    workflow_id=found["id"],
                    completed_at=row["completed_at"],
                    children=tuple(dict.fromkeys((*reversed(below), *owners))),
                )
        if len(rows) < BATCH:
            return
        after = (rows[-1]["created_at"], rows[-1]["tempolite_workflow_id"])


def rows_of(readers: Readers, workflow_id: str) -> Iterator[tuple[str, str, sqlite3.Row]]:
    """Every row that is stored of a workflow, as (database, table, row)."""
    for database, table, sql in _ROWS:
        connection: sqlite3.Connection = getattr(readers, database)
        for row in connection.execute(sql, (workflow_id,)):
            yield database, table, row


def loose_events(readers: Readers, *, before: str, after: int) -> list[sqlite3.Row]:
    """A stretch of events that belong to no workflow, or to one that was archived."""
    asked = {"before": before, "after": after, **_known(readers), "limit": BATCH}
    while rows := readers.coordination.execute(_LOOSE, asked).fetchall():
        if found := [row for row in rows if not _is_child(readers, row["workflow_id"])]:
            return found
        asked["after"] = rows[-1]["seq"]
    return []


def has_ended(connection: sqlite3.Connection, workflow_id: str) -> bool:
    """In tempolite.db: whether an instance is final and whoever is above it, or is gone already.

    One whose children are still there counts as live: they go first.
    """
    return bool(connection.execute(_LINE, {"id": workflow_id}).fetchone()[0])


def is_settled(connection: sqlite3.Connection, workflow_id: str) -> bool:
    """In coordination.db: whether a workflow is final and no intent is open, or it is gone."""
    sql = f"""SELECT status IN {_FINAL}
            AND NOT EXISTS (SELECT 1 FROM intents WHERE workflow_id = tempolite_workflow_id)
        FROM workflow_mappings WHERE tempolite_workflow_id = ?"""  # noqa: S608 - constants
    row = connection.execute(sql, (workflow_id,)).fetchone()
    return row is None or bool(row[0])


def delete_events(connection: sqlite3.Connection, seqs: Sequence[int]) -> None:
    connection.executemany(
        "DELETE FROM events WHERE seq = ? AND seq < (SELECT max(seq) FROM events)",
        [(seq,) for seq in seqs],
    )


def delete_results(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    connection.executemany("DELETE FROM workflow_results WHERE id = ?", [(n,) for n in ids])


def delete_artifacts(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Delete the rows; the contents that none names any more are swept."""
    connection.executemany("DELETE FROM artifacts WHERE id = ?", [(n,) for n in ids])


def delete_tasks(connection: sqlite3.Connection, workflow_id: str, ops: Sequence[str]) -> None:
    connection.executemany(
        "DELETE FROM tasks WHERE workflow_id = ? AND op = ?", [(workflow_id, op) for op in ops]
    )


def delete_history(connection: sqlite3.Connection, workflow_id: str, seqs: Sequence[int]) -> None:
    connection.executemany(
        "DELETE FROM history WHERE workflow_id = ? AND seq = ?"
        " AND position < (SELECT max(position) FROM history)",
        [(workflow_id, seq) for seq in seqs],
    )


def delete_signals(connection: sqlite3.Connection, positions: Sequence[int]) -> None:
    connection.executemany("DELETE FROM inbox WHERE position = ?", [(n,) for n in positions])


def delete_instance(connection: sqlite3.Connection, workflow_id: str) -> None:
    """Delete it with what only repeats its history, once nothing of that is left."""
    done = connection.execute(
        "DELETE FROM instances WHERE workflow_id = ?"
        " AND NOT EXISTS (SELECT 1 FROM history h WHERE h.workflow_id = instances.workflow_id)",
        (workflow_id,),
    )
    if done.rowcount:
        connection.execute("DELETE FROM segments WHERE workflow_id = ?", (workflow_id,))


def delete_mapping(connection: sqlite3.Connection, workflow_id: str) -> None:
    """Delete it, unless something was stored meanwhile: then the next round takes that along."""
    if connection.execute(_LATE, {"id": workflow_id}).fetchone()[0]:
        return
    connection.execute("DELETE FROM agent_assignments WHERE workflow_id = ?", (workflow_id,))
    connection.execute(
        "DELETE FROM workflow_mappings WHERE tempolite_workflow_id = ?", (workflow_id,)
    )


def _is_child(readers: Readers, workflow_id: str | None) -> bool:
    """Whether an event that has no mapping is that of a child, and not of what was archived."""
    sql = "SELECT 1 FROM instances WHERE workflow_id = ?"
    return readers.tempolite.execute(sql, (workflow_id,)).fetchone() is not None


def _is_awaited(readers: Readers, workflow_id: str, known: Mapping[str, object]) -> bool:
    """Whether a child has an event that has to stay yet."""
    return bool(readers.coordination.execute(_AWAITED, {"id": workflow_id, **known}).fetchone()[0])


def _known(readers: Readers) -> dict[str, object]:
    """Up to where events were applied to the issues, which count, and the last, which stays."""
    row = readers.coordination.execute("SELECT max(seq) FROM events").fetchone()
    applied = applied_to(readers.beads, "reconciler")
    return {"applied": applied, "followed": json.dumps(FOLLOWED), "last": int(row[0] or 0)}
