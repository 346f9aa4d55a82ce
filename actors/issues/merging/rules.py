"""The rule of every field of an issue: how two changes of it become one.

`docs/merge.md` prints this table, and a test holds the two together. A key that is not here is
unknown to the format and is a value.
"""

from enum import Enum
from typing import Final


class Rule(Enum):
    """What happens to a field that both sides changed, in the words of the documentation."""

    FIXED = "never differs"
    VALUE = "the value of the row written later"
    TEXT = "the text of the row written later; the other is kept as a comment"
    STATE = "with the other fields of its state, from the row written later"
    COMPACTION = "with the other facts of the compaction, from the row written later"
    LATEST = "the later of the two"
    WORDS = "a set of words"
    EDGES = "a set, one for each issue that is depended on"
    COMMENTS = "a set, one for each author, time and text"
    RECORDS = "a set of whole records"
    KEYS = "each key of the object by itself, as a value"


_FIELDS: Final = {
    Rule.FIXED: "id",
    Rule.VALUE: """title spec_id priority issue_type assignee owner estimated_minutes created_at
        created_by due_at defer_until external_ref source_system sender ephemeral wisp_type pinned
        is_template creator quality_score crystallizes await_type await_id timeout holder
        source_formula source_location hook_bead role_bead agent_state last_activity role_type rig
        mol_type work_type event_kind actor target payload""",
    Rule.TEXT: "description design acceptance_criteria notes",
    Rule.STATE: """status closed_at close_reason closed_by_session deleted_at deleted_by
        delete_reason original_type""",
    Rule.COMPACTION: "compaction_level compacted_at compacted_at_commit original_size",
    Rule.LATEST: "updated_at",
    Rule.WORDS: "labels waiters",
    Rule.EDGES: "dependencies",
    Rule.COMMENTS: "comments",
    Rule.RECORDS: "bonded_from validations",
    Rule.KEYS: "metadata",
}

RULES: Final = {name: rule for rule, names in _FIELDS.items() for name in names.split()}


def rule_of(field: str) -> Rule:
    return RULES.get(field, Rule.VALUE)


def fields_of(rule: Rule) -> tuple[str, ...]:
    return tuple(_FIELDS[rule].split())
