"""The issue itself: how one is made, and what may happen to it.

Functions take a row and return a new one; the row given is never changed. They hold the rules of
the format that apply to whoever writes: the length of a title, the range of a priority, and that
an issue is closed exactly when it has a closing time. Rows that others wrote may break them and
are left as they are.

As in bd, labels and comments do not touch `updated_at`; everything else moves it on.

Pure. Refusals are `ValidationError` and `Conflict`.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from actors.errors import Conflict, ValidationError
from actors.issues.merging.comment_ids import comment_id
from actors.issues.messages import (
    AddComment,
    Assign,
    Change,
    ChangeLabels,
    Describe,
    Issue,
    IssueId,
    SetStatus,
    SetWork,
)
from actors.issues.writing.fields import PRIORITIES, STATUSES, TITLE_BYTES
from storage.issues import instants
from storage.issues.jsonl import Row

WORK_KEY: Final = "beadflow"
DEFAULT_REASON: Final = "Closed"


def new_issue(
    *,
    issue_id: str,
    title: str,
    created_at: str,
    created_by: str,
    description: str = "",
    status: str = "open",
    priority: int = 2,
    issue_type: str = "task",
    assignee: str = "",
    labels: Iterable[str] = (),
    work: Mapping[str, str | None] | None = None,
) -> Row:
    """Return the row of a new issue.

    `created_at` is RFC 3339, the text the id was minted with. `work` is what `metadata.beadflow`
    says: home, workflow_id, workflow_type, agent_id, step.
    """
    created_at = instants.trim(created_at)
    row: Row = {
        "id": issue_id,
        "title": title,
        "description": description,
        "status": status,
        "priority": priority,
        "issue_type": issue_type,
        "assignee": assignee,
        "created_at": created_at,
        "created_by": created_by,
        "updated_at": created_at,
    }
    row = set_labels(row, labels)
    row = _with_work(row, work or {})
    check(row)
    return row


def check(row: Row, statuses: Collection[str] = STATUSES) -> None:
    """Refuse a row that may not be written. `statuses` are those it may have.

    Raises:
        ValidationError: with the field that is wrong.
    """
    title = row.get("title")
    if not isinstance(title, str) or not title.strip():
        raise ValidationError("an issue needs a title", field="title", value=title)
    if len(title.encode(errors="replace")) > TITLE_BYTES:
        raise ValidationError(
            f"a title has at most {TITLE_BYTES} bytes of UTF-8", field="title", value=title
        )
    if type(row.get("priority")) is not int or row["priority"] not in PRIORITIES:
        raise ValidationError(
            "a priority is a whole number from 0 (critical) to 4",
            field="priority",
            value=row.get("priority"),
        )
    _check_status(row.get("status"), statuses)
    if (row["status"] == "closed") != bool(row.get("closed_at")):
        raise ValidationError(
            "an issue has a closing time exactly when it is closed",
            field="closed_at",
            value=row.get("closed_at"),
        )
    for name in ("created_at", "updated_at"):
        _check_time(name, row.get(name))


def _check_status(status: object, statuses: Collection[str] = STATUSES) -> None:
    if status not in statuses:
        known = ", ".join(sorted(statuses))
        raise ValidationError(f"a status is one of {known}", field="status", value=status)


def _check_time(name: str, text: object) -> None:
    try:
        instants.to_ns(str(text))
    except ValueError as err:
        raise ValidationError(f"{name}: {err}", field=name, value=text) from err


def apply(row: Row, change: Change, at: str) -> Row:
    """Return the row after a change; equal to the row when the change changes nothing."""
    if is_deleted(row):
        raise Conflict(f"issue {row['id']} is deleted: restore it before it is changed")
    _check_time("at", at)
    at = instants.trim(at)
    match change:
        case SetStatus():
            return set_status(row, change.status, at, change.reason)
        case AddComment():
            return add_comment(row, change.author, change.text, at)
        case SetWork():
            return set_work(row, change.fields, at)
        case Assign():
            return assign(row, change.assignee, at)
        case Describe():
            return describe(row, change.title, change.priority, at)
        case ChangeLabels():
            kept = set(row.get("labels") or ()) - set(change.remove)
            return set_labels(row, kept | set(change.add))


def is_deleted(row: Row) -> bool:
    return row.get("status") in ("tombstone", "deleted")


def set_status(row: Row, status: str, at: str, reason: str = "") -> Row:
    """Move the issue to a status; closing notes time and reason, reopening takes both away."""
    _check_status(status)
    if row.get("status") == status and (status != "closed" or reason in ("", _reason(row))):
        return row
    return touched(moved(row, status, at, reason), at)


def moved(row: Row, status: str, at: str, reason: str = "") -> Row:
    """Return the row with a status and what belongs to it; nothing else is touched."""
    after = without(row, "closed_at", "close_reason", "closed_by_session") | {"status": status}
    if status == "closed":
        closed_at = row.get("closed_at") or at
        after |= {"closed_at": closed_at, "close_reason": reason or DEFAULT_REASON}
    return after


def _reason(row: Row) -> str:
    return row.get("close_reason") or ""


def assign(row: Row, assignee: str, at: str) -> Row:
    if (row.get("assignee") or "") == assignee:
        return row
    return touched(without(row, "assignee") | ({"assignee": assignee} if assignee else {}), at)


def describe(row: Row, title: str | None, priority: int | None, at: str) -> Row:
    given = {"title": title, "priority": priority}
    changed = {name: value for name, value in given.items() if value not in (None, row.get(name))}
    return touched(row | changed, at) if changed else row


def set_work(row: Row, fields: Mapping[str, str | None], at: str) -> Row:
    """Set what beadflow notes about the work behind the issue; other tools' metadata stays."""
    after = _with_work(row, fields)
    return row if after is row else touched(after, at)


def _with_work(row: Row, fields: Mapping[str, str | None]) -> Row:
    metadata = row.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise Conflict(f"the metadata of issue {row['id']} is not an object; nothing can be added")
    before = work_of(row)
    after = {k: v for k, v in {**before, **fields}.items() if v is not None}
    return row if after == before else row | {"metadata": {**metadata, WORK_KEY: after}}


def work_of(row: Row) -> dict[str, Any]:
    """Return what beadflow noted about the work behind an issue; {} where it noted nothing."""
    metadata = row.get("metadata")
    work = metadata.get(WORK_KEY) if isinstance(metadata, dict) else None
    return work if isinstance(work, dict) else {}


def add_comment(row: Row, author: str, text: str, at: str) -> Row:
    """Add a comment; the same author saying the same at the same instant says it once."""
    if not text.strip():
        raise ValidationError("a comment needs a text", field="text", value=text)
    comments = row.get("comments") or []
    moment = instants.to_ns(at)
    if any(_says(comment, author, text, moment) for comment in comments):
        return row
    number = comment_id(row["id"], author, at, text)
    comment = {"id": number, "issue_id": row["id"], "author": author, "text": text}
    return row | {"comments": [*comments, comment | {"created_at": at}]}


def _says(comment: Row, author: str, text: str, moment: int) -> bool:
    if (comment.get("author"), comment.get("text")) != (author, text):
        return False
    return instants.to_ns(comment["created_at"]) == moment


def set_labels(row: Row, labels: Iterable[str]) -> Row:
    """Replace the labels; they are kept sorted, each once."""
    after, before = sorted(set(labels)), set(row.get("labels") or ())
    if after == sorted(before):
        return row
    if any(not label.strip() for label in after if label not in before):
        raise ValidationError("a label needs a text", field="labels", value=after)
    return without(row, "labels") | ({"labels": after} if after else {})


def view(row: Row) -> Issue:
    """Return the row as readers want it; what a row of others lacks reads as its default."""
    return Issue(
        id=IssueId(row["id"]),
        title=row.get("title") or "",
        description=row.get("description") or "",
        status=row.get("status") or "open",
        priority=row.get("priority") or 0,
        issue_type=row.get("issue_type") or "task",
        assignee=row.get("assignee") or "",
        labels=tuple(row.get("labels") or ()),
        created_at=row.get("created_at") or instants.ZERO,
        updated_at=row.get("updated_at") or instants.ZERO,
        closed_at=row.get("closed_at"),
        close_reason=row.get("close_reason") or "",
        work=work_of(row),
        row=row,
    )


def touched(row: Row, at: str) -> Row:
    # Always later than what it changes: a clone whose clock runs ahead may have written the row, or
    # what is told now happened before. Else the edit would lose against what it edits in the next
    # merge, and a file from before it would not be known for an older one.
    before = row.get("updated_at") or instants.ZERO
    ahead = instants.to_ns(before) >= instants.to_ns(at)
    return row | {"updated_at": instants.just_after(before) if ahead else at}


def without(row: Row, *names: str) -> Row:
    return {name: value for name, value in row.items() if name not in names}
