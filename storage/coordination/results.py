"""The SQL of results and artifacts: stored ones in versions, and finding them."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

_VERSION = """(SELECT count(*) FROM workflow_results o
     WHERE o.workflow_id = r.workflow_id AND o.step = r.step AND o.id <= r.id)"""

_FIELDS = f"""r.id, r.workflow_id, r.step, r.result_type, r.agent_type, r.agent_id, r.result_data,
    r.confidence_score, r.created_at, {_VERSION} AS version"""

_SIZES = (
    "SELECT r.id, r.created_at, length(CAST(r.result_data AS BLOB)) AS size FROM workflow_results r"
)

# What is not asked for is true; the first condition of each statement is what its index is for.
_WHERE = f"""
      AND (:step IS NULL OR r.step = :step)
      AND (:result_type IS NULL OR r.result_type = :result_type)
      AND (:agent_id IS NULL OR r.agent_id = :agent_id)
      AND (:agent_type IS NULL OR r.agent_type = :agent_type)
      AND (:confidence IS NULL OR r.confidence_score >= :confidence)
      AND (:version IS NULL OR {_VERSION} = :version)
      AND (NOT :latest OR NOT EXISTS
           (SELECT 1 FROM workflow_results o
            WHERE o.workflow_id = r.workflow_id AND o.step = r.step AND o.id > r.id))"""  # noqa: S608 - constants

_IN_ORDER = f"""{_WHERE}
      AND (:since IS NULL OR r.created_at >= :since)
      AND (:until IS NULL OR r.created_at < :until)
      AND r.id > :after_id
    ORDER BY r.id LIMIT :limit"""

_NEWEST_FIRST = f"""{_WHERE}
      AND r.created_at >= :since
      AND (r.created_at, r.id) < (:before_at, :before_id)
    ORDER BY r.created_at DESC, r.id DESC LIMIT :limit"""

# One statement for each question, and each has its index; only sizes and places are read, so that
# a page can end before it is too large.
OF_WORKFLOW = f"{_SIZES} WHERE r.workflow_id = :workflow_id {_IN_ORDER}"
OF_STEP = f"{_SIZES} WHERE r.workflow_id = :workflow_id AND r.step = :step {_IN_ORDER}"
OF_TYPE = f"{_SIZES} WHERE r.result_type = :result_type {_NEWEST_FIRST}"
OF_AGENT = f"{_SIZES} WHERE r.agent_id = :agent_id {_NEWEST_FIRST}"
OF_AGENT_TYPE = f"{_SIZES} WHERE r.agent_type = :agent_type {_NEWEST_FIRST}"
NEWEST = f"{_SIZES} WHERE true {_NEWEST_FIRST}"

BY_IDS = f"""SELECT {_FIELDS} FROM json_each(:ids) CROSS JOIN workflow_results r ON r.id = value"""  # noqa: S608 - constants

_ARTIFACT = """a.id, a.workflow_id, a.name, a.version, a.step, a.agent_type, a.agent_id,
    a.media_type, a.size, a.sha256, a.created_at"""

ARTIFACTS_OF_STEPS = f"""SELECT {_ARTIFACT} FROM json_each(:workflow_ids)
    CROSS JOIN artifacts a ON a.workflow_id = value WHERE a.step IS NOT NULL"""  # noqa: S608 - constants
ARTIFACTS = f"""SELECT {_ARTIFACT} FROM artifacts a
    WHERE a.workflow_id = :workflow_id AND (a.name, a.version) > (:after_name, :after_version)
      AND (:step IS NULL OR a.step = :step)
      AND (NOT :latest OR NOT EXISTS
           (SELECT 1 FROM artifacts o
            WHERE o.workflow_id = a.workflow_id AND o.name = a.name AND o.version > a.version))
    ORDER BY a.name, a.version LIMIT :limit"""  # noqa: S608 - constants
ARTIFACT = f"""SELECT {_ARTIFACT} FROM artifacts a
    WHERE a.workflow_id = :workflow_id AND a.name = :name
      AND (:version IS NULL OR a.version = :version)
    ORDER BY a.version DESC LIMIT 1"""  # noqa: S608 - constants
TOTAL = "SELECT coalesce(sum(size), 0) AS total FROM artifacts WHERE workflow_id = ?"
CONTENTS = "SELECT sha256, size, workflow_id, name, version FROM artifacts ORDER BY sha256"

# An agent of the settings has a row only once something was said of it.
TYPES_OF_AGENT = """
    SELECT agent_type FROM agents WHERE agent_id = :agent_id
    UNION ALL
    SELECT agent_type FROM agent_assignments
    WHERE workflow_id = :workflow_id AND agent_id = :agent_id"""

FIRST = ""
"""A time before the first, and a name."""


def same_result(connection: sqlite3.Connection, values: Mapping[str, Any]) -> sqlite3.Row | None:
    """The result that this very command has stored already."""
    row: sqlite3.Row | None = connection.execute(
        f"SELECT {_FIELDS} FROM workflow_results r WHERE r.workflow_id = :workflow_id"  # noqa: S608 - constants
        " AND r.step = :step AND r.created_at = :at AND r.result_type = :result_type"
        " AND r.result_data = :data",
        values,
    ).fetchone()
    return row


def last_result(connection: sqlite3.Connection, workflow_id: str, step: str) -> sqlite3.Row:
    """The newest version of a step's result, which is there."""
    row: sqlite3.Row = connection.execute(
        f"SELECT {_FIELDS} FROM workflow_results r WHERE r.workflow_id = ? AND r.step = ?"  # noqa: S608 - constants
        " ORDER BY r.id DESC LIMIT 1",
        (workflow_id, step),
    ).fetchone()
    return row


def count_results(connection: sqlite3.Connection, workflow_id: str, step: str) -> int:
    row = connection.execute(
        "SELECT count(*) FROM workflow_results WHERE workflow_id = ? AND step = ?",
        (workflow_id, step),
    ).fetchone()
    return int(row[0])


def newest_artifact(
    connection: sqlite3.Connection, workflow_id: str, name: str
) -> sqlite3.Row | None:
    asked = {"workflow_id": workflow_id, "name": name, "version": None}
    row: sqlite3.Row | None = connection.execute(ARTIFACT, asked).fetchone()
    return row


def same_artifact(connection: sqlite3.Connection, values: Mapping[str, Any]) -> sqlite3.Row | None:
    """The version that this very command, or an earlier attempt of its step, has stored already."""
    row: sqlite3.Row | None = connection.execute(
        f"SELECT {_ARTIFACT} FROM artifacts a WHERE a.workflow_id = :workflow_id"  # noqa: S608 - constants
        " AND a.name = :name AND a.sha256 = :sha256 AND (a.created_at = :at OR a.step = :step)"
        " ORDER BY a.version DESC LIMIT 1",
        values,
    ).fetchone()
    return row


def total_size(connection: sqlite3.Connection, workflow_id: str) -> int:
    return int(connection.execute(TOTAL, (workflow_id,)).fetchone()[0])


def insert_artifact(connection: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    connection.execute(
        "INSERT INTO artifacts (workflow_id, name, version, step, agent_type, agent_id, media_type,"
        " size, sha256, created_at) VALUES (:workflow_id, :name, :version, :step, :agent_type,"
        " :agent_id, :media_type, :size, :sha256, :at)",
        values,
    )


def is_content(connection: sqlite3.Connection, sha256: str) -> bool:
    """Whether a row names this content."""
    sql = "SELECT 1 FROM artifacts WHERE sha256 = ? LIMIT 1"
    return connection.execute(sql, (sha256,)).fetchone() is not None


def ids(rows: Sequence[sqlite3.Row]) -> str:
    """The argument of `BY_IDS`: a page of sizes, in its order."""
    return json.dumps([row["id"] for row in rows])
