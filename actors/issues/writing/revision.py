"""What the verbs do to a row: set fields, close, reopen, defer, bury, restore.

Like `issue.py`, whose rules they keep: a row is given and a new one returned, the same one where
nothing changes. What other issues have to say is asked before (`editor.py`).

Pure. Refusals are `ValidationError` and `Conflict`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from actors.errors import Conflict, ValidationError
from actors.issues import issue
from actors.issues.verbs import IssueChanged
from actors.issues.writing.edits import SetFields
from storage.issues import instants, jsonl
from storage.issues.jsonl import Row

DELETE_REASON: Final = "delete"
_CLOSING: Final = ("close_reason", "closed_by_session")
_DELETION: Final = ("deleted_at", "deleted_by", "delete_reason", "original_type")


def born(fields: Mapping[str, Any], *, issue_id: str, actor: str, at: str) -> Row:
    """Return the row of a new issue; `fields` are checked, None is not given.

    Raises:
        ValidationError: it would be closed, or has no title.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if not given.get("title"):
        raise ValidationError("an issue needs a title", field="title")
    refuse_misplaced(given, given.get("status", "open"))
    if given.get("status") == "closed":
        raise ValidationError(
            "a new issue cannot be closed", field="status", hint="create it, then close it"
        )
    return {
        "status": "open",
        "priority": 2,
        "issue_type": "task",
        **given,
        "id": issue_id,
        "created_at": at,
        "created_by": actor,
        "updated_at": at,
    }


def refuse_misplaced(fields: Mapping[str, Any], status: object) -> None:
    """Refuse what only a closed issue has.

    Raises:
        ValidationError: with the field.
    """
    for name in _CLOSING:
        if fields.get(name) and status != "closed":
            raise ValidationError(
                f"{name} belongs to a closed issue", field=name, value=fields[name]
            )


def set_fields(row: Row, edit: SetFields, at: str) -> Row:
    """Set fields, labels and notes together. Labels alone do not move the time of the update."""
    fields = dict(edit.fields)
    labels = set(fields.pop("labels", row.get("labels")) or ())
    labels = (labels | set(edit.add_labels)) - set(edit.remove_labels)
    after = _with_status(row, fields, at)
    refuse_misplaced(fields, after.get("status"))
    if "metadata" in fields:
        fields["metadata"] = _metadata(row, fields["metadata"])
    if edit.append_notes:
        notes = fields.get("notes", row.get("notes"))
        fields["notes"] = f"{notes}\n\n{edit.append_notes}" if notes else edit.append_notes
    after = {name: value for name, value in {**after, **fields}.items() if value is not None}
    changed = issue.touched(after, at) if _differ(row, after) else row
    return issue.set_labels(changed, labels)


def _with_status(row: Row, fields: dict[str, Any], at: str) -> Row:
    status = fields.pop("status", row.get("status"))
    if status == row.get("status"):
        return row
    if row.get("status") == "deferred":
        # Else it would be open and yet hidden, until a day that nobody looks at any more.
        fields.setdefault("defer_until", None)
    return issue.moved(row, status, at, fields.get("close_reason") or "")


def _metadata(row: Row, given: Any) -> Any:
    """Replace the metadata, but not what beadflow notes there."""
    work = issue.work_of(row)
    if isinstance(given, dict) and given.get(issue.WORK_KEY, work) != work:
        raise ValidationError(
            f"metadata.{issue.WORK_KEY} is beadflow's own", field="metadata", value=given
        )
    if not work:
        return given
    if given is not None and not isinstance(given, dict):
        raise ValidationError(
            f"the metadata of issue {row['id']} stays an object: beadflow notes its work there",
            field="metadata",
            value=given,
        )
    return {**(given or {}), issue.WORK_KEY: work}


def _differ(one: Row, other: Row) -> bool:
    # As written, since 1 and True are equal in Python and are not in a file.
    return jsonl.encode_text(one) != jsonl.encode_text(other)


def require_update(row: Row, expected: str | None) -> None:
    """Refuse when the row is not the one the caller saw.

    Raises:
        IssueChanged: its `updated_at` is another one.
    """
    there = row.get("updated_at") or instants.ZERO
    if expected is not None and instants.to_ns(there) != instants.to_ns(expected):
        raise IssueChanged(f"issue {row['id']} was updated at {there}, not at {expected}")


def close(row: Row, reason: str, at: str) -> Row:
    """Close it; one that is closed stays as it was closed."""
    if row.get("status") == "closed":
        return row
    return issue.set_status(row, "closed", at, reason)


def reopen(row: Row, at: str) -> Row:
    """Open what was closed or deferred."""
    if row.get("status") not in ("closed", "deferred") and not row.get("defer_until"):
        raise Conflict(
            f"issue {row['id']} is neither closed nor deferred, it is {row.get('status')}"
        )
    return issue.touched(issue.without(issue.moved(row, "open", at), "defer_until"), at)


def defer(row: Row, until: str | None, at: str) -> Row:
    """Hide it from ready work: until a time while it is open, else with a status that says so.

    The status `deferred` has no end of its own, also in bd; an open issue comes back by itself.
    """
    if row.get("status") == "closed":
        raise Conflict(f"issue {row['id']} is closed: reopen it before it is deferred")
    after = issue.without(row, "defer_until") | {"status": "open" if until else "deferred"}
    if until:
        after["defer_until"] = until
    return issue.touched(after, at) if _differ(row, after) else row


def bury(row: Row, *, reason: str, actor: str, at: str) -> Row:
    """Make it a tombstone. Labels, comments and its own edges stay, for the day it is restored."""
    if issue.is_deleted(row):
        return row
    after = issue.without(row, "closed_at") | {
        "status": "tombstone",
        "deleted_at": at,
        "deleted_by": actor,
        "delete_reason": reason or DELETE_REASON,
        "original_type": row.get("issue_type") or "task",
    }
    return issue.touched(after, at)


def restore(row: Row, at: str) -> Row:
    """Make a tombstone an open issue again."""
    if not issue.is_deleted(row):
        raise Conflict(f"issue {row['id']} is not deleted")
    kind = row.get("original_type") or row.get("issue_type") or "task"
    after = issue.without(row, *_DELETION, *_CLOSING, "closed_at", "defer_until")
    return issue.touched(after | {"status": "open", "issue_type": kind}, at)


def without_edges_to(rows: Iterable[Row], issue_id: str, at: str) -> list[Row]:
    """Return the rows that name an issue, without those edges."""
    return [
        issue.touched(
            row | {"dependencies": [e for e in edges if e["depends_on_id"] != issue_id]}, at
        )
        for row in rows
        for edges in [row.get("dependencies") or ()]
    ]
