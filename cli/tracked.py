"""Issues as a server says them, parsed at the edge, and how they are shown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from cli import printable, records, table, when
from cli.output import Output

COLUMNS = (
    table.Column("id"),
    table.Column("p"),
    table.Column("status", toned=True),
    table.Column("type"),
    table.Column("assignee"),
    table.Column("title", elastic=True),
)
_COLUMNS_OF_CSV = (
    *COLUMNS,
    table.Column("labels"),
    table.Column("created"),
    table.Column("updated"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    author: str
    text: str
    at: str

    @classmethod
    def parse(cls, raw: object) -> Self:
        fields = records.mapping(raw, "a comment")
        return cls(
            author=records.text(fields, "author"),
            text=records.text(fields, "text"),
            at=records.text(fields, "created_at"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One issue; `raw` is all that was said of it."""

    id: str
    title: str
    status: str
    priority: int | None
    type: str
    assignee: str
    labels: tuple[str, ...]
    comments: tuple[Comment, ...]
    raw: Mapping[str, Any]

    @classmethod
    def parse(cls, raw: object) -> Self:
        fields = records.mapping(raw, "an issue")
        return cls(
            id=records.required(fields, "id", "an issue"),
            title=records.text(fields, "title"),
            status=records.text(fields, "status"),
            priority=records.whole(fields, "priority"),
            type=records.text(fields, "issue_type"),
            assignee=records.text(fields, "assignee"),
            labels=tuple(map(str, _list(fields, "labels"))),
            comments=tuple(map(Comment.parse, _list(fields, "comments"))),
            raw=fields,
        )

    def text(self, key: str) -> str:
        return records.text(self.raw, key)

    @property
    def urgency(self) -> str:
        return "" if self.priority is None else f"P{self.priority}"

    @property
    def row(self) -> tuple[str, ...]:
        return (self.id, self.urgency, self.status, self.type, self.assignee, self.title)

    @property
    def line(self) -> str:
        """It in one line, among others."""
        return "  ".join(part for part in (self.id, self.status, self.urgency, self.title) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An issue, and why it is ready or waits."""

    issue: Issue
    ready: bool
    causes: tuple[str, ...]

    @classmethod
    def parse(cls, raw: object) -> Self:
        fields = records.mapping(raw, "a reason")
        causes = [records.mapping(cause, "a cause") for cause in _list(fields, "causes")]
        return cls(
            issue=Issue.parse(fields.get("issue")),
            ready=fields.get("ready") is True,
            causes=tuple(_sentence(cause) for cause in causes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim: whoever holds it works on the issue until it expires."""

    issue: Issue
    holder: str
    token: int | None
    expires_at: str

    @classmethod
    def parse(cls, raw: object) -> Self:
        fields = records.mapping(raw, "a claim")
        return cls(
            issue=Issue.parse(fields.get("issue")),
            holder=records.text(fields, "holder"),
            token=records.whole(fields, "token"),
            expires_at=records.text(fields, "expires_at"),
        )


def listed(out: Output, found: Iterable[Issue]) -> None:
    """A table of issues, with more columns for a spreadsheet."""
    if out.form != "csv":
        out.table(COLUMNS, [issue.row for issue in found])
        return
    rows = [
        (*each.row, ",".join(each.labels), each.text("created_at"), each.text("updated_at"))
        for each in found
    ]
    out.table(_COLUMNS_OF_CSV, rows)


def facts(issue: Issue) -> dict[str, str]:
    """What is to be said of an issue in a line each."""
    created = when.moment(issue.text("created_at"))
    by = issue.text("created_by")
    return {
        "id": issue.id,
        "title": issue.title,
        "status": issue.status,
        "priority": issue.urgency,
        "type": issue.type,
        "assignee": issue.assignee,
        "labels": ", ".join(issue.labels),
        "created": f"{created} by {by}" if by else created,
        "updated": when.moment(issue.text("updated_at")),
        "closed": when.moment(issue.text("closed_at")),
        "reason": issue.text("close_reason"),
        "due": when.moment(issue.text("due_at")),
        "deferred": when.moment(issue.text("defer_until")),
        "estimate": f"{minutes} min" if (minutes := issue.text("estimated_minutes")) else "",
        "external": issue.text("external_ref"),
        "spec": issue.text("spec_id"),
        "deleted": issue.text("delete_reason"),
    }


def shown(out: Output, raw: Mapping[str, Any]) -> None:
    """An issue with its texts and what surrounds it."""
    issue = Issue.parse(raw.get("issue"))
    out.fields({**facts(issue), "claimed": _claimed(raw.get("claim"))})
    for title, key in _TEXTS:
        if text := issue.text(key):
            _headed(out, title, text.splitlines())
    _headed(out, "Depends on", map(_edge, _list(raw, "depends_on")))
    _headed(out, "Needed by", map(_edge, _list(raw, "dependents")))
    _headed(out, "Children", (Issue.parse(child).line for child in _list(raw, "children")))
    for comment in issue.comments:
        _headed(out, f"{when.moment(comment.at)} {comment.author}", comment.text.splitlines())


_TEXTS = (
    ("Description", "description"),
    ("Design", "design"),
    ("Acceptance criteria", "acceptance_criteria"),
    ("Notes", "notes"),
)


def _headed(out: Output, title: str, lines: Iterable[str]) -> None:
    """A heading and what stands under it; nothing of both where that is nothing."""
    under = list(lines)
    if under:
        out.text("\n".join(("", printable.line(title), *(f"  {line}" for line in under))))


def _edge(raw: object) -> str:
    fields = records.mapping(raw, "a dependency")
    there = fields.get("issue")
    what = records.text(fields, "id") if there is None else Issue.parse(there).line
    return f"{records.text(fields, 'type')}  {what}"


def _claimed(raw: object) -> str:
    if not isinstance(raw, dict):
        return ""
    until = when.moment(records.text(raw, "expires_at"))
    return f"by {records.text(raw, 'holder')} until {until}, token {records.text(raw, 'token')}"


def _sentence(cause: Mapping[str, Any]) -> str:
    path = " → ".join(map(str, _list(cause, "path")))
    said = records.text(cause, "text") or records.text(cause, "kind")
    return f"{said} ({path})" if path and len(_list(cause, "path")) > 1 else said


def _list(fields: Mapping[str, Any], key: str) -> list[Any]:
    found = fields.get(key)
    return found if isinstance(found, list) else []


def explained(out: Output, found: Sequence[Explained]) -> None:
    """A table of issues with why each waits."""
    columns = (*COLUMNS[:3], table.Column("title", elastic=True), table.Column("why", elastic=True))
    out.table(
        columns, [(*each.issue.row[:3], each.issue.title, "; ".join(each.causes)) for each in found]
    )
