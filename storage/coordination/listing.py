"""Lists of workflows, newest or oldest first: whole rows, or what a filter without an index sees.

One statement for each question: with "or the filter is null" no index would help.

Whole rows come packed, as one text. sqlite3 lets go of the interpreter for every row, and gets it
back from a busy event loop a tenth of a millisecond later: a page of 100 rows waited 10 ms.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from storage.coordination.queries import AGENT_ID, AGENT_TYPE, MAPPING_COLUMNS

_SEEN = f"m.tempolite_workflow_id, m.created_at, m.title, m.priority, {AGENT_TYPE}, {AGENT_ID}"
_STRETCH = """
      AND (m.created_at, m.tempolite_workflow_id) < (:before_at, :before_id)
      AND m.created_at >= :since
    ORDER BY m.created_at DESC, m.tempolite_workflow_id DESC LIMIT :limit"""

_RISING = """
      AND (m.created_at, m.tempolite_workflow_id) > (:after_at, :after_id)
      AND m.created_at < :until
    ORDER BY m.created_at, m.tempolite_workflow_id LIMIT :limit"""

_OF_ALL = "FROM workflow_mappings m WHERE true"
_STATED = "FROM workflow_mappings m WHERE m.status = :status"
_TYPED = "FROM workflow_mappings m WHERE m.workflow_type = :type"
_BOTH = "FROM workflow_mappings m WHERE m.workflow_type = :type AND m.status = :status"

_ALL = f"{_OF_ALL} {_STRETCH}"
_OF_STATUS = f"{_STATED} {_STRETCH}"
_OF_TYPE = f"{_TYPED} {_STRETCH}"
_OF_TYPE_AND_STATUS = f"{_BOTH} {_STRETCH}"

_NAMES: Final = (
    "beads_issue_id",
    "tempolite_workflow_id",
    "workflow_type",
    "workflow_version",
    "title",
    "status",
    "priority",
    "metadata",
    "error_code",
    "error_message",
    "created_at",
    "started_at",
    "completed_at",
    "updated_at",
    "agent_id",
    "agent_type",
    "waits_for_agent",
)
_PACKED = f"""
    SELECT json_group_array(json_array({", ".join(_NAMES)})) AS rows
    FROM (SELECT {MAPPING_COLUMNS}"""  # noqa: S608 - constants

MAPPINGS = f"{_PACKED} {_ALL})"
MAPPINGS_OF_STATUS = f"{_PACKED} {_OF_STATUS})"
MAPPINGS_OF_TYPE = f"{_PACKED} {_OF_TYPE})"
MAPPINGS_OF_TYPE_AND_STATUS = f"{_PACKED} {_OF_TYPE_AND_STATUS})"

SEEN = f"SELECT {_SEEN} {_ALL}"
SEEN_OF_STATUS = f"SELECT {_SEEN} {_OF_STATUS}"
SEEN_OF_TYPE = f"SELECT {_SEEN} {_OF_TYPE}"
SEEN_OF_TYPE_AND_STATUS = f"SELECT {_SEEN} {_OF_TYPE_AND_STATUS}"

OLDEST = f"{_PACKED} {_OF_ALL} {_RISING})"
OLDEST_OF_STATUS = f"{_PACKED} {_STATED} {_RISING})"
OLDEST_OF_TYPE = f"{_PACKED} {_TYPED} {_RISING})"
OLDEST_OF_TYPE_AND_STATUS = f"{_PACKED} {_BOTH} {_RISING})"

OLDEST_SEEN = f"SELECT {_SEEN} {_OF_ALL} {_RISING}"
OLDEST_SEEN_OF_STATUS = f"SELECT {_SEEN} {_STATED} {_RISING}"
OLDEST_SEEN_OF_TYPE = f"SELECT {_SEEN} {_TYPED} {_RISING}"
OLDEST_SEEN_OF_TYPE_AND_STATUS = f"SELECT {_SEEN} {_BOTH} {_RISING}"

MAPPINGS_BY_ID = f"""{_PACKED}
    FROM json_each(?) CROSS JOIN workflow_mappings m ON m.tempolite_workflow_id = value)"""
MAPPING_OF_ISSUE = f"SELECT {MAPPING_COLUMNS} FROM workflow_mappings m WHERE m.beads_issue_id = ?"  # noqa: S608 - constants

BEFORE_ALL = ("~", "~")
"""A place before the newest: every time and every id sorts below it."""

AFTER_ALL = ("", "")
"""A place before the oldest."""


def unpacked(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows of a packed answer, by name. Nothing says in which order they are packed."""
    ((text,),) = rows
    return [dict(zip(_NAMES, values, strict=True)) for values in json.loads(text)]
