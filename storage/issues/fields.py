"""The keys of a published record, in the order bd v0.49.6 writes them.

The order, the kinds and what is left out when empty are facts of that format; nothing else in the
project repeats them. A key that is not here is unknown: it is kept, after the known ones, in the
order it was read.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    TEXT = "text"
    TIME = "time"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    WORDS = "list of texts"
    RECORDS = "list of objects"
    RECORD = "object"
    RAW = "any value"


class Keep(Enum):
    """When a key is written."""

    ALWAYS = "always"
    SET = "unless null"  # a pointer in the original: an explicit zero survives
    FILLED = "unless empty"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: Kind
    keep: Keep = Keep.FILLED


def _table(*rows: tuple[str, Kind, Keep]) -> dict[str, Field]:
    return {name: Field(name, kind, keep) for names, kind, keep in rows for name in names.split()}


ISSUE: Final = _table(
    ("id title", Kind.TEXT, Keep.ALWAYS),
    ("description design acceptance_criteria notes spec_id status", Kind.TEXT, Keep.FILLED),
    ("priority", Kind.INTEGER, Keep.ALWAYS),
    ("issue_type assignee owner", Kind.TEXT, Keep.FILLED),
    ("estimated_minutes", Kind.INTEGER, Keep.SET),
    ("created_at", Kind.TIME, Keep.ALWAYS),
    ("created_by", Kind.TEXT, Keep.FILLED),
    ("updated_at", Kind.TIME, Keep.ALWAYS),
    ("closed_at", Kind.TIME, Keep.SET),
    ("close_reason closed_by_session", Kind.TEXT, Keep.FILLED),
    ("due_at defer_until", Kind.TIME, Keep.SET),
    ("external_ref", Kind.TEXT, Keep.SET),
    ("source_system", Kind.TEXT, Keep.FILLED),
    ("metadata", Kind.RAW, Keep.FILLED),
    ("compaction_level", Kind.INTEGER, Keep.FILLED),
    ("compacted_at", Kind.TIME, Keep.SET),
    ("compacted_at_commit", Kind.TEXT, Keep.SET),
    ("original_size", Kind.INTEGER, Keep.FILLED),
    ("labels", Kind.WORDS, Keep.FILLED),
    ("dependencies comments", Kind.RECORDS, Keep.FILLED),
    ("deleted_at", Kind.TIME, Keep.SET),
    ("deleted_by delete_reason original_type sender", Kind.TEXT, Keep.FILLED),
    ("ephemeral", Kind.FLAG, Keep.FILLED),
    ("wisp_type", Kind.TEXT, Keep.FILLED),
    ("pinned is_template", Kind.FLAG, Keep.FILLED),
    ("bonded_from", Kind.RECORDS, Keep.FILLED),
    ("creator", Kind.RECORD, Keep.SET),
    ("validations", Kind.RECORDS, Keep.FILLED),
    ("quality_score", Kind.NUMBER, Keep.SET),
    ("crystallizes", Kind.FLAG, Keep.FILLED),
    ("await_type await_id", Kind.TEXT, Keep.FILLED),
    ("timeout", Kind.INTEGER, Keep.FILLED),
    ("waiters", Kind.WORDS, Keep.FILLED),
    ("holder source_formula source_location", Kind.TEXT, Keep.FILLED),
    ("hook_bead role_bead agent_state", Kind.TEXT, Keep.FILLED),
    ("last_activity", Kind.TIME, Keep.SET),
    ("role_type rig mol_type work_type", Kind.TEXT, Keep.FILLED),
    ("event_kind actor target payload", Kind.TEXT, Keep.FILLED),
)

DEPENDENCY: Final = _table(
    ("issue_id depends_on_id type", Kind.TEXT, Keep.ALWAYS),
    ("created_at", Kind.TIME, Keep.ALWAYS),
    ("created_by metadata thread_id", Kind.TEXT, Keep.FILLED),
)

COMMENT: Final = _table(
    ("id", Kind.INTEGER, Keep.ALWAYS),
    ("issue_id author text", Kind.TEXT, Keep.ALWAYS),
    ("created_at", Kind.TIME, Keep.ALWAYS),
)

PARTS: Final = {"dependencies": DEPENDENCY, "comments": COMMENT}
"""Sub-records whose own keys have an order; the others are kept as they were read."""
