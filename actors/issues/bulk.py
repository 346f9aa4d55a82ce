"""Creations of issues, many at once.

They do what `create_issue` does one by one, with a fixed number of statements for all of them. An
issue that is there already, and a row that may not be written, are left to that.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from actors.batch import LEFT, Group
from actors.errors import ValidationError
from actors.issues import issue
from actors.issues.messages import Created, CreateIssue, IssueId
from actors.issues.writing import entries
from storage.issues import bulk, jsonl
from storage.issues.bulk import Edit


def create_issues(conn: sqlite3.Connection, commands: Sequence[CreateIssue]) -> Sequence[object]:
    """The answers of creations of issues with different ids; `LEFT` for those that are not new."""
    there = bulk.lines_of(conn, [command.row["id"] for command in commands])
    new = {
        command.row["id"]: made
        for command in commands
        if command.row["id"] not in there and (made := _edit(command)) is not None
    }
    seq = bulk.insert(conn, list(new.values())) - len(new)
    seqs = {issue_id: seq + number for number, issue_id in enumerate(new, start=1)}
    return [
        Created(issue_id=IssueId(issue_id), seq=seqs[issue_id]) if issue_id in seqs else LEFT
        for issue_id in (command.row["id"] for command in commands)
    ]


def _edit(command: CreateIssue) -> Edit | None:
    """What is written of a new issue; None when it is refused, which `create_issue` does."""
    row = command.row
    try:
        issue.check(row)
        line = jsonl.encode_text(row)
        line.encode()
    except (ValidationError, UnicodeEncodeError):
        return None
    detail = entries.detail({}, row)
    return Edit(row=row, line=line, detail=detail, base=None, at=row["created_at"])


def _issue_id(command: CreateIssue) -> str:
    return str(command.row["id"])


GROUPS: Mapping[type, Group] = {CreateIssue: Group(create_issues, _issue_id)}
