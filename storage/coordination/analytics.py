"""What happened in a period, counted where it is stored: the SQL of analytics, which only reads.

One statement for each question and each way to group, since with a grouping as a parameter no index
would help. All of them walk an index over the period, which begins at `:since` and ends before
`:until`. Percentiles are those of the nearest rank: each is a value that was measured.
"""

from collections.abc import Mapping
from typing import Final

from storage.coordination.queries import AGENT_ID, AGENT_TYPE


def _spread(name: str, found: str) -> str:
    """How a column of a table with keys is spread, by key.

    The nearest rank is the first value up to which lies that part of all of them. Both parts are
    quotients, which floating point rounds alike, so none is missed by a hair.
    """
    return f"""
    (SELECT key, count(*) AS {name}_count, avg({name}) AS {name}_mean, max({name}) AS {name}_max,
            min({name}) FILTER (WHERE part >= 0.5) AS {name}_p50,
            min({name}) FILTER (WHERE part >= 0.95) AS {name}_p95,
            min({name}) FILTER (WHERE part >= 0.99) AS {name}_p99
     FROM (SELECT key, {name}, cume_dist() OVER (PARTITION BY key ORDER BY {name}) AS part
           FROM {found} WHERE {name} IS NOT NULL)
     GROUP BY key)"""  # noqa: S608 - constants


def _between(earlier: str, later: str) -> str:
    """Seconds, to the millisecond: SQLite reads times no finer."""
    return f"round((julianday({later}) - julianday({earlier})) * 86400.0, 3)"


def _alone(expression: str) -> str:
    return expression.strip().rpartition(" AS ")[0]


_STARTED_IN = "m.created_at >= :since AND m.created_at < :until"
_ENDED_IN = "m.completed_at >= :since AND m.completed_at < :until"
_RUN_S = _between("m.started_at", "m.completed_at")
_QUEUE_S = _between("m.created_at", "m.started_at")

_KEYS: Final[Mapping[str, str]] = {
    "": "''",
    "type": "m.workflow_type",
    "agent": f"coalesce({_alone(AGENT_ID)}, '')",
    "agent_type": f"coalesce({_alone(AGENT_TYPE)}, '')",
    "status": "m.status",
    "priority": "CAST(m.priority AS TEXT)",
}
_STARTS: Final[Mapping[str, str]] = {
    "minute": "substr(m.created_at, 1, 16)",
    "hour": "substr(m.created_at, 1, 13)",
    "day": "substr(m.created_at, 1, 10)",
}
_ENDS: Final[Mapping[str, str]] = {
    "minute": "substr(m.completed_at, 1, 16)",
    "hour": "substr(m.completed_at, 1, 13)",
    "day": "substr(m.completed_at, 1, 10)",
}

STARTED: Final[Mapping[str, str]] = {
    **{
        name: f"""
    SELECT {key} AS key, m.status AS status, count(*) AS many FROM workflow_mappings m
    WHERE {_STARTED_IN} GROUP BY 1, 2"""  # noqa: S608 - constants
        for name, key in _KEYS.items()
    },
    **{
        name: f"""
    SELECT {key} AS key, '' AS status, count(*) AS many FROM workflow_mappings m
    WHERE {_STARTED_IN} GROUP BY 1"""  # noqa: S608 - constants
        for name, key in _STARTS.items()
    },
}
"""How many were started, by key and present status; in a time's, the status is left out."""

ENDED: Final[Mapping[str, str]] = {
    name: f"""
    WITH done AS MATERIALIZED (
        SELECT {key} AS key, m.status AS status, {_QUEUE_S} AS queue_s, {_RUN_S} AS run_s
        FROM workflow_mappings m WHERE {_ENDED_IN})
    SELECT * FROM
    (SELECT key, count(*) AS ended,
            count(*) FILTER (WHERE status = 'completed') AS completed,
            count(*) FILTER (WHERE status = 'failed') AS failed,
            count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
            count(*) FILTER (WHERE status = 'terminated') AS terminated
     FROM done GROUP BY key)
    LEFT JOIN {_spread("queue_s", "done")} USING (key)
    LEFT JOIN {_spread("run_s", "done")} USING (key)"""  # noqa: S608 - constants
    for name, key in {**_KEYS, **_ENDS}.items()
}
"""How many ended, how long they had waited for their first start, and how long they then took."""

_WORK_KEYS: Final[Mapping[str, str]] = {
    "activity": "coalesce(data ->> '$[1].activity', '')",
    "agent": "coalesce(data ->> '$[1].agent_id', '')",
    "minute": "substr(at, 1, 16)",
    "hour": "substr(at, 1, 13)",
    "day": "substr(at, 1, 10)",
}
# SQLite uses a partial index only where the query repeats its words
_IN = (
    "at >= :since AND at < :until AND type IN"
    " ('agent_handoff', 'step_completed', 'step_failed', 'step_retried', 'usage_recorded')"
)
_STEPS = "type IN ('step_completed', 'step_failed', 'step_retried')"
_STEP_S = "CAST(data ->> '$[1].seconds' AS REAL)"
_STEP_COUNTS = """
            count(*) FILTER (WHERE type = 'step_completed') AS completed,
            count(*) FILTER (WHERE type = 'step_failed') AS failed,
            count(*) FILTER (WHERE type = 'step_retried') AS retried"""

STEPS: Final = f"""
    SELECT '' AS key, {_STEP_COUNTS}
    FROM events WHERE {_STEPS} AND {_IN}"""  # noqa: S608 - constants
"""How many steps were completed and failed, and attempts retried."""

WORK: Final[Mapping[str, str]] = {
    name: f"""
    WITH done AS MATERIALIZED (
        SELECT {key} AS key, type,
               CASE type WHEN 'step_completed' THEN {_STEP_S} END AS step_s
        FROM events WHERE {_STEPS} AND {_IN})
    SELECT * FROM (SELECT key, {_STEP_COUNTS} FROM done GROUP BY key)
    LEFT JOIN {_spread("step_s", "done")} USING (key)"""  # noqa: S608 - constants
    for name, key in _WORK_KEYS.items()
}
"""The same by key, and how long agents took for their last attempts of what they completed."""

USAGE: Final[Mapping[str, str]] = {
    name: f"""
    SELECT {key} AS key, count(*) AS calls,
           sum(data ->> '$[1].input_tokens') AS input_tokens,
           sum(data ->> '$[1].output_tokens') AS output_tokens,
           sum(data ->> '$[1].cache_read_tokens') AS cache_read_tokens,
           sum(data ->> '$[1].cache_write_tokens') AS cache_write_tokens,
           sum(data ->> '$[1].cost_usd') AS cost_usd
    FROM events WHERE type = 'usage_recorded' AND {_IN} GROUP BY 1"""  # noqa: S608 - constants
    for name, key in {"": "''", **_WORK_KEYS}.items()
}
"""What models have read and written, by key; the cost is null where none was known."""

HELD: Final = f"""
    SELECT agent_id, max(agent_type) AS agent_type,
           count(*) FILTER (WHERE assigned_at >= :since) AS assignments,
           count(*) FILTER (WHERE status = 'reassigned' AND completed_at < :until) AS taken_away,
           round(total({_between("max(assigned_at, :since)", "min(coalesce(completed_at, :end), :end)")}),
                 3) AS busy_s
    FROM (SELECT agent_id, agent_type, status, assigned_at, completed_at
          FROM agent_assignments INDEXED BY agent_assignments_assigned
          WHERE status = 'assigned' AND assigned_at < :end
          UNION ALL
          SELECT agent_id, agent_type, status, assigned_at, completed_at FROM agent_assignments
          WHERE completed_at >= :since AND assigned_at < :end)
    WHERE agent_id IS NOT NULL GROUP BY agent_id"""  # noqa: E501, S608 - constants
"""By agent: what it was given, what was taken from it, and how long it had workflows in all.

`:end` is the end of the period, or now where that is earlier.
"""

AT_WORK: Final = f"""
    SELECT data ->> '$[1].agent_id' AS agent_id, max(data ->> '$[1].agent_type') AS agent_type,
           round(total({_STEP_S}), 3) AS step_s, {_STEP_COUNTS}
    FROM events WHERE {_STEPS} AND {_IN} AND data ->> '$[1].agent_id' IS NOT NULL GROUP BY 1"""  # noqa: S608 - constants
"""By agent: its steps, and the seconds of those that it completed."""

HANDED_ON: Final = f"""
    SELECT data ->> '$[1].from_agent' AS agent_id, count(*) AS many
    FROM events WHERE type = 'agent_handoff' AND {_IN} GROUP BY 1"""  # noqa: S608 - constants
"""By agent: how many workflows it has passed on."""

OPEN: Final = """
    SELECT status, count(*) AS many FROM workflow_mappings
    WHERE status IN ('queued', 'active', 'paused', 'stalled', 'dead_letter') GROUP BY 1"""
"""How many are open now, by status."""
