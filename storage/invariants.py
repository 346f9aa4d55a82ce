"""What the rows of the three databases owe each other, as queries that find whoever breaks it.

Each rule is one SELECT of places, empty while all is well. They are asked of one moment of the
databases (`storage.snapshot`), so that what is on its way from one to the other is not taken for a
fault. Two states look broken and are not:

- a start with an open intent, which may lack its issue or its instance: it rolls forward;
- a workflow that is being archived (`storage.retention`): its history goes first, from its
  beginning, its mapping last.

That an ended workflow's issue is gone is no fault either: whoever deletes it in the published file
may do so.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from storage.integrity import MOST, Finding
from storage.issues.queries import IS_FEED
from storage.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of one database.

    Args:
        find: gives one column, the places where the rule is broken.
        what: what is wrong there.
        since: the version of that database's schema that has what it asks about.
        is_mended: whether a start puts it right.
    """

    database: str
    table: str
    find: str
    what: str
    since: int = 1
    is_mended: bool = False


ENGINE: Final = 2
"""The schema of tempolite.db from which on there are children, signals and waits as rows."""

BRIDGE: Final = 3
"""The schema of coordination.db from which on assignments follow one another, and there are
artifacts."""

AUTH: Final = 4
"""The schema of coordination.db from which on there are keys, tokens and the audit log."""

CLAIMS: Final = 2
"""The schema of beads.db from which on there are leases and wisps."""

_BREAKS: Final = (
    Rule(
        database="tempolite",
        table="history",
        what="the history has a gap",
        find="""SELECT h.workflow_id FROM history h
            LEFT JOIN instances i ON i.workflow_id = h.workflow_id
            GROUP BY h.workflow_id
            HAVING max(seq) - min(seq) + 1 <> count(*)
                OR (min(seq) <> 1 AND coalesce(i.status, '') NOT IN
                    ('completed', 'failed', 'cancelled', 'terminated'))""",
    ),
    Rule(
        database="tempolite",
        table="history",
        what="the history belongs to no instance",
        find="""SELECT DISTINCT workflow_id FROM history
            WHERE workflow_id NOT IN (SELECT workflow_id FROM instances)""",
    ),
    Rule(
        database="tempolite",
        table="instances",
        what="the instance has no history",
        find="""SELECT workflow_id FROM instances
            WHERE workflow_id NOT IN (SELECT workflow_id FROM history)""",
    ),
    Rule(
        database="tempolite",
        table="instances",
        what="the status is not the one that the history ends with",
        find="""SELECT i.workflow_id FROM instances i
            JOIN history h ON h.workflow_id = i.workflow_id
                AND h.seq = (SELECT max(seq) FROM history WHERE workflow_id = i.workflow_id
                    AND kind IN ('workflow_started', 'workflow_activated', 'workflow_paused',
                        'workflow_resumed', 'workflow_recovered', 'workflow_cancel_requested',
                        'workflow_stalled', 'workflow_completed', 'workflow_failed',
                        'workflow_cancelled', 'workflow_terminated', 'workflow_dead_lettered',
                        'workflow_completed_by_hand', 'workflow_retried'))
            WHERE json_valid(h.payload) AND i.status <> CASE h.kind
                    WHEN 'workflow_activated' THEN CASE
                        WHEN json_extract(h.payload, '$[1].paused') THEN 'paused'
                        ELSE 'running' END
                    WHEN 'workflow_paused' THEN 'paused'
                    WHEN 'workflow_recovered' THEN 'running'
                    WHEN 'workflow_cancel_requested' THEN 'running'
                    WHEN 'workflow_stalled' THEN 'stalled'
                    WHEN 'workflow_completed' THEN 'completed'
                    WHEN 'workflow_completed_by_hand' THEN 'completed'
                    WHEN 'workflow_failed' THEN 'failed'
                    WHEN 'workflow_cancelled' THEN 'cancelled'
                    WHEN 'workflow_terminated' THEN 'terminated'
                    WHEN 'workflow_dead_lettered' THEN 'dead_letter'
                    ELSE CASE WHEN json_extract(h.payload, '$[1].queued') THEN 'queued'
                        ELSE 'running' END
                END""",
    ),
    Rule(
        database="tempolite",
        table="instances",
        what="the parent is not there",
        since=ENGINE,
        find="""SELECT workflow_id FROM instances WHERE parent_id IS NOT NULL
            AND parent_id NOT IN (SELECT workflow_id FROM instances)""",
    ),
    Rule(
        database="tempolite",
        table="instances",
        what="an instance that waits as its row does not run",
        since=ENGINE,
        find="SELECT workflow_id FROM instances WHERE parked = 1 AND status <> 'running'",
    ),
    Rule(
        database="tempolite",
        table="inbox",
        what="the signal belongs to no instance",
        since=ENGINE,
        find="""SELECT workflow_id || '/' || message_id FROM inbox
            WHERE workflow_id NOT IN (SELECT workflow_id FROM instances)""",
    ),
    Rule(
        database="tempolite",
        table="heartbeats",
        what="the heartbeat belongs to no instance that goes on",
        since=ENGINE,
        find="""SELECT workflow_id || '/' || op FROM heartbeats WHERE workflow_id NOT IN
            (SELECT workflow_id FROM instances
             WHERE status NOT IN ('completed', 'failed', 'cancelled', 'terminated'))""",
    ),
    Rule(
        database="tempolite",
        table="segments",
        what="the segment belongs to no instance",
        since=ENGINE,
        find="""SELECT workflow_id || '/' || first_seq FROM segments
            WHERE workflow_id NOT IN (SELECT workflow_id FROM instances)""",
    ),
    Rule(
        database="tempolite",
        table="tasks",
        what="the task belongs to no instance",
        find="""SELECT workflow_id || '/' || op FROM tasks
            WHERE workflow_id NOT IN (SELECT workflow_id FROM instances)""",
    ),
    Rule(
        database="tempolite",
        table="history",
        what="the payload cannot be read",
        find="SELECT workflow_id || '/' || seq FROM history WHERE NOT json_valid(payload)",
    ),
    Rule(
        database="coordination",
        table="intents",
        what="the intent has no mapping",
        find="""SELECT workflow_id FROM intents WHERE workflow_id NOT IN
            (SELECT tempolite_workflow_id FROM workflow_mappings)""",
    ),
    Rule(
        database="coordination",
        table="agent_assignments",
        what="the assignment belongs to no workflow",
        find="""SELECT DISTINCT workflow_id FROM agent_assignments WHERE workflow_id NOT IN
            (SELECT tempolite_workflow_id FROM workflow_mappings)""",
    ),
    Rule(
        database="coordination",
        table="agent_assignments",
        what="the workflow has several assignments in force",
        find="""SELECT workflow_id FROM agent_assignments WHERE status IN ('queued', 'assigned')
            GROUP BY workflow_id HAVING count(*) > 1""",
    ),
    Rule(
        database="coordination",
        table="agent_assignments",
        what="the assignment is in force, and the workflow has ended",
        is_mended=True,
        find="""SELECT a.workflow_id FROM agent_assignments a
            JOIN workflow_mappings m ON m.tempolite_workflow_id = a.workflow_id
            WHERE a.status IN ('queued', 'assigned') AND m.status IN
                ('completed', 'failed', 'cancelled', 'terminated', 'dead_letter')""",
    ),
    Rule(
        database="coordination",
        table="workflow_mappings",
        what="the workflow goes on with agents, and has no assignment in force",
        is_mended=True,
        find="""SELECT tempolite_workflow_id FROM workflow_mappings
            WHERE agent_type IS NOT NULL AND status NOT IN
                ('completed', 'failed', 'cancelled', 'terminated', 'dead_letter')
            AND tempolite_workflow_id NOT IN (SELECT workflow_id FROM agent_assignments
                WHERE status IN ('queued', 'assigned'))""",
    ),
    Rule(
        database="coordination",
        table="agent_assignments",
        what="the assignment does not follow the one before",
        since=BRIDGE,
        find="""SELECT workflow_id FROM (SELECT workflow_id, step_number, handoff_from,
                lag(step_number) OVER before AS last_step, lag(status) OVER before AS ended,
                lag(agent_id) OVER before AS giver
                FROM agent_assignments WINDOW before AS (PARTITION BY workflow_id ORDER BY id))
            WHERE CASE WHEN last_step IS NULL THEN step_number <> 1 OR handoff_from IS NOT NULL
                WHEN step_number = last_step THEN ended NOT IN ('reassigned', 'completed')
                WHEN step_number = last_step + 1 THEN ended <> 'completed'
                    OR handoff_from IS NOT giver
                ELSE true END""",
    ),
    Rule(
        database="coordination",
        table="workflow_results",
        what="the result belongs to no workflow",
        find="""SELECT DISTINCT workflow_id FROM workflow_results WHERE workflow_id NOT IN
            (SELECT tempolite_workflow_id FROM workflow_mappings)""",
    ),
    Rule(
        database="coordination",
        table="events",
        what="the event cannot be read",
        find="SELECT seq FROM events WHERE NOT json_valid(data)",
    ),
    Rule(
        database="coordination",
        table="token_families",
        what="the tokens go back to no API key",
        since=AUTH,
        find="SELECT id FROM token_families WHERE key_id NOT IN (SELECT id FROM api_keys)",
    ),
    Rule(
        database="coordination",
        table="refresh_tokens",
        what="the token goes back to no exchange",
        since=AUTH,
        find="""SELECT jti FROM refresh_tokens
            WHERE family_id NOT IN (SELECT id FROM token_families)""",
    ),
    Rule(
        database="coordination",
        table="audit",
        what="the record does not follow the one before it",
        since=AUTH,
        find="""SELECT this.seq FROM audit this LEFT JOIN audit last ON last.seq = this.seq - 1
            WHERE this.previous <> CASE this.seq WHEN 1 THEN '' ELSE coalesce(last.hash, '-') END
            ORDER BY this.seq""",
    ),
    Rule(
        database="coordination",
        table="audit_head",
        what="the audit log does not end where it should",
        since=AUTH,
        find="""SELECT head.seq
            FROM (SELECT max(seq) AS seq, max(hash) AS hash FROM audit_head) head
            LEFT JOIN (SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1) last
            WHERE (head.seq, head.hash) IS NOT (coalesce(last.seq, 0), coalesce(last.hash, ''))""",
    ),
    Rule(
        database="beads",
        table="issues",
        what="the columns do not repeat what the line says",
        find="""SELECT id FROM issues WHERE CASE WHEN json_valid(line)
            THEN json_extract(line, '$.id') IS NOT id
                OR coalesce(nullif(json_extract(line, '$.status'), ''), 'open') IS NOT status
            ELSE 1 END""",
    ),
    Rule(
        database="beads",
        table="journal",
        what="the change is of an issue that is not there",
        find="""SELECT DISTINCT issue_id FROM journal j
            WHERE issue_id NOT IN (SELECT id FROM issues) AND NOT EXISTS
                (SELECT 1 FROM journal r WHERE r.issue_id = j.issue_id AND r.kind = 'removed')""",
    ),
    Rule(
        database="beads",
        table="publication",
        what="the file is said to hold more changes than there are",
        find="""SELECT flushed_seq FROM publication WHERE flushed_seq >
            coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0)""",
    ),
    Rule(
        database="beads",
        table="leases",
        what="the lease is on an issue that its holder does not work on",
        since=CLAIMS,
        find="""SELECT issue_id FROM leases WHERE NOT EXISTS
            (SELECT 1 FROM issues WHERE id = issue_id AND assignee = holder
                AND status NOT IN ('open', 'deferred', 'closed', 'tombstone', 'deleted'))""",
    ),
    Rule(
        database="beads",
        table="leases",
        what="the token is one that the fence has yet to give out",
        since=CLAIMS,
        find="SELECT issue_id FROM leases WHERE token > (SELECT last FROM fence)",
    ),
    Rule(
        database="beads",
        table="issues",
        what="the issue stays on this machine and is no wisp",
        since=CLAIMS,
        find="""SELECT id FROM issues WHERE local = 1 AND json_valid(line)
            AND coalesce(json_extract(line, '$.ephemeral'), 0) <> 1""",
    ),
)


def broken(held: Snapshot) -> list[Finding]:
    """Everything in which the rows of the three databases contradict each other."""
    return [*_within(held), *_between(held)]


def stranded(held: Snapshot) -> list[Finding]:
    """Issues that wait for a workflow of this installation which coordination.db does not know.

    A restore of an older backup leaves them: the published file has issues that came later. No row
    contradicts another, and a backup that holds such an issue is as good as any.
    """
    row = held["coordination"].execute("SELECT value FROM meta WHERE key = 'home'").fetchone()
    mapped = _pairs(held["coordination"], "SELECT tempolite_workflow_id, 1 FROM workflow_mappings")
    waiting = """SELECT id, status, json_extract(line, '$.metadata.beadflow.workflow_id')
        FROM issues WHERE status IN ('in_progress', 'blocked') AND json_valid(line)
        AND json_extract(line, '$.metadata.beadflow.home') = ? ORDER BY id"""
    found = held["beads"].execute(waiting, (row[0] if row else "",))
    return [
        Finding(
            database="beads",
            table="issues",
            place=issue_id,
            what=f"is {status} for {workflow_id}, a workflow that is not in coordination.db",
        )
        for issue_id, status, workflow_id in found
        if workflow_id is not None and workflow_id not in mapped
    ]


def _within(held: Snapshot) -> Iterator[Finding]:
    versions = {name: _version(connection) for name, connection in held.items()}
    for rule in _BREAKS:
        if rule.since > versions[rule.database]:
            continue
        for row in held[rule.database].execute(rule.find).fetchmany(MOST):
            yield Finding(
                database=rule.database,
                table=rule.table,
                place=str(row[0]),
                what=rule.what,
                is_mended=rule.is_mended,
            )


def _between(held: Snapshot) -> Iterator[Finding]:
    yield from _cursors(held)
    coordination, tempolite, beads = (held[n] for n in ("coordination", "tempolite", "beads"))
    mapped = _pairs(coordination, "SELECT tempolite_workflow_id, status FROM workflow_mappings")
    instances = _pairs(tempolite, "SELECT workflow_id, status FROM instances")
    decided = _pairs(coordination, "SELECT workflow_id, kind FROM intents WHERE kind = 'start'")
    children = _children(tempolite)
    for workflow_id in sorted(instances.keys() - children.keys() - mapped.keys()):
        yield _of_instance(workflow_id, "the instance is no workflow in coordination.db")
    for workflow_id in sorted(children.keys() & mapped.keys()):
        yield _of_instance(workflow_id, "the child is a workflow of its own in coordination.db")
    missing = mapped.keys() - instances.keys() - decided.keys()
    for workflow_id in sorted(missing - _emptied(coordination, missing)):
        yield _of_mapping(workflow_id, "the workflow has no instance in tempolite.db")
    yield from _statuses(held, mapped, instances)
    yield from _artifacts(coordination, mapped.keys() | instances.keys())
    yield from _issues(coordination, beads, mapped.keys() - decided.keys())


def _artifacts(coordination: sqlite3.Connection, known: set[str]) -> Iterator[Finding]:
    """An artifact is of a workflow or a child; one that is archived goes after its children."""
    if _version(coordination) < BRIDGE:
        return
    for owner in _pairs(coordination, "SELECT DISTINCT workflow_id, 1 FROM artifacts"):
        above = owner.split(".")
        if not any(".".join(above[:end]) in known for end in range(1, len(above) + 1)):
            what = "the artifact belongs to no workflow"
            yield Finding(database="coordination", table="artifacts", place=owner, what=what)


def _issues(
    coordination: sqlite3.Connection, beads: sqlite3.Connection, made: set[str]
) -> Iterator[Finding]:
    """Every workflow that goes on has its issue, or had it."""
    there = _pairs(beads, "SELECT issue_id, 1 FROM journal") | _pairs(
        beads, "SELECT id, 1 FROM issues"
    )
    live = """SELECT tempolite_workflow_id, beads_issue_id FROM workflow_mappings
        WHERE status NOT IN ('completed', 'failed', 'cancelled', 'terminated')"""
    for workflow_id, issue_id in sorted(_pairs(coordination, live).items()):
        if workflow_id in made and issue_id not in there:
            what = f"its issue {issue_id} is not in beads.db"
            yield _of_mapping(workflow_id, what, is_mended=True)


_FEEDS: Final = f"SELECT consumer, position FROM cursors WHERE {IS_FEED}"  # noqa: S608 - constant


def _cursors(held: Snapshot) -> Iterator[Finding]:
    """Nobody has read further than there is: what comes next would be taken for known."""
    coordination, tempolite, beads = (held[n] for n in ("coordination", "tempolite", "beads"))
    read = _pairs(coordination, "SELECT source, position FROM outbox_cursors")
    ends = {
        "tempolite": _number(tempolite, "SELECT max(position) FROM history"),
        "beads": _number(beads, "SELECT max(seq) FROM journal"),
    }
    for source, end in ends.items():
        if int(read.get(source, 0)) > end:
            what = f"has read {source}.db up to {read[source]}, which ends at {end}"
            yield Finding(
                database="coordination",
                table="outbox_cursors",
                place=source,
                what=what,
                is_mended=True,
            )
    end = _number(coordination, "SELECT max(seq) FROM events")
    for consumer, position in _pairs(beads, _FEEDS).items():
        if int(position) > end:
            what = f"has read the event log up to {position}, which ends at {end}"
            yield Finding(
                database="beads", table="cursors", place=consumer, what=what, is_mended=True
            )


def _statuses(
    held: Snapshot, mapped: Mapping[str, str], instances: Mapping[str, str]
) -> Iterator[Finding]:
    """Where the bus has copied a whole history, the mapping says what the instance says."""
    read = _number(
        held["coordination"], "SELECT position FROM outbox_cursors WHERE source = 'tempolite'"
    )
    behind = {
        row[0]
        for row in held["tempolite"].execute(
            "SELECT DISTINCT workflow_id FROM history WHERE position > ?", (read,)
        )
    }
    for workflow_id in sorted(mapped.keys() & instances.keys() - behind):
        said = {"running": "active"}.get(instances[workflow_id], instances[workflow_id])
        if mapped[workflow_id] != said:
            what = f"is {mapped[workflow_id]}, its instance in tempolite.db is {said}"
            yield _of_mapping(workflow_id, what, is_mended=True)


def _emptied(coordination: sqlite3.Connection, workflow_ids: set[str]) -> set[str]:
    """Those whose archiving was cut off: the event of the start is gone, and it goes first."""
    query = """SELECT status IN ('completed', 'failed', 'cancelled', 'terminated')
            AND NOT EXISTS (SELECT 1 FROM events WHERE workflow_id = tempolite_workflow_id
                            AND type IN ('workflow_queued', 'workflow_started'))
        FROM workflow_mappings WHERE tempolite_workflow_id = ?"""
    return {w for w in workflow_ids if coordination.execute(query, (w,)).fetchone()[0]}


def _children(tempolite: sqlite3.Connection) -> dict[str, str]:
    """Instances with their parents."""
    if _version(tempolite) < ENGINE:
        return {}
    return _pairs(
        tempolite, "SELECT workflow_id, parent_id FROM instances WHERE parent_id IS NOT NULL"
    )


def _version(connection: sqlite3.Connection) -> int:
    return _number(connection, "SELECT max(version) FROM schema_migrations")


def _of_instance(workflow_id: str, what: str) -> Finding:
    return Finding(database="tempolite", table="instances", place=workflow_id, what=what)


def _of_mapping(workflow_id: str, what: str, *, is_mended: bool = False) -> Finding:
    return Finding(
        database="coordination",
        table="workflow_mappings",
        place=workflow_id,
        what=what,
        is_mended=is_mended,
    )


def _pairs(connection: sqlite3.Connection, sql: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(sql)}


def _number(connection: sqlite3.Connection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return int(row[0] or 0) if row else 0
