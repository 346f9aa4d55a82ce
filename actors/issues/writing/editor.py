"""How the verbs change beads.db. Run by its writer, inside the writer's transaction.

Whatever depends on other issues is decided here, against what is there at that moment: whether an
id is free, an edge closes a circle, a blocker is open. Every command may come twice; the journal
says what was carried out.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from actors.errors import Conflict, KeyReused, ValidationError
from actors.issues import gates, ids, issue
from actors.issues.verbs import AlreadyClaimed, Blocked
from actors.issues.writing import blockers, dependencies, entries, fields, revision
from actors.issues.writing.edits import (
    AddEdge,
    AnswerEdit,
    BuryIssues,
    Close,
    Comment,
    Defer,
    Edited,
    EditIssue,
    InsertIssue,
    RemoveEdge,
    Reopen,
    Restore,
    SetFields,
)
from actors.issues.writing.fence import require_token
from actors.writer import Handler
from storage.issues import instants, jsonl, leases, queries
from storage.issues.jsonl import Row

SHOWN: Final = 5
"""How many issues a refusal names."""
CLAIMED: Final = ("status", "assignee")
"""What of an issue is its holder's to change, as long as it is claimed."""


# --- new issues


def insert_issue(conn: sqlite3.Connection, command: InsertIssue) -> Edited:
    issue_id, there = _place(conn, command)
    if there:
        _require_same_request(conn, issue_id, command)
        return Edited(row=entries.need(conn, issue_id), seq=queries.last_seq_of(conn, issue_id))
    parent = None if command.parent is None else _parent(conn, command.parent)
    row = revision.born(command.fields, issue_id=issue_id, actor=command.actor, at=command.at)
    _check_words(conn, command.fields, command.types, command.statuses)
    _check_reference(conn, row)
    # Nothing can lead to an id that was made just now.
    follow = _follower(conn) if command.explicit else _nowhere
    edges = [] if parent is None else [(dependencies.PARENT_CHILD, parent["id"])]
    if _is_below_wisp(conn, issue_id, (*edges, *command.depends_on)):
        row = row | {"ephemeral": True}
    for place, (kind, target) in enumerate((*edges, *command.depends_on), -len(edges)):
        with _placed(place):
            made = dependencies.edge(
                issue_id=issue_id, target=target, kind=kind, at=command.at, actor=command.actor
            )
            row = dependencies.added(row, made, entries.find(conn, target), follow)
    if not row.get("ephemeral"):
        _refuse_wisps(conn, issue_id, dependencies.edges_of(row))
    said = {"actor": command.actor, "key": command.key}
    said |= {"asked": command.asked} if command.asked else {}
    stored, seq = entries.record(conn, None, row, at=command.at, **said)
    return Edited(row=stored, seq=seq)


@contextmanager
def _placed(place: int) -> Iterator[None]:
    """Name the field of a new issue's edge by its place in the list; -1 is the parent's."""
    try:
        yield
    except ValidationError as err:
        part = {"depends_on_id": "id"}.get(err.field, err.field)
        err.field = f"depends_on.{place}.{part}" if place >= 0 else "parent"
        raise


def _require_same_request(conn: sqlite3.Connection, issue_id: str, command: InsertIssue) -> None:
    before = queries.creation_request(conn, issue_id)
    if before is not None and before != command.asked:
        raise KeyReused(f"this idempotency key created issue {issue_id} with another request")


def _is_below_wisp(
    conn: sqlite3.Connection, issue_id: str, edges: Iterable[tuple[str, str]]
) -> bool:
    """Whether a new issue is a child of one that is not published, and so is not either."""
    above = [target for kind, target in edges if kind == dependencies.PARENT_CHILD]
    return any(queries.is_local(conn, one) for one in (*above, ids.parent_of(issue_id) or ""))


def _refuse_wisps(conn: sqlite3.Connection, issue_id: str, edges: Iterable[Row]) -> None:
    """Refuse a published issue what only this database knows: other clones would miss it.

    Raises:
        ValidationError: it would depend on a wisp.
    """
    for one in edges:
        target = one["depends_on_id"]
        if queries.is_local(conn, target):
            raise ValidationError(
                f"issue {issue_id} is published and cannot depend on {target}, a wisp, which is"
                " in no other clone",
                field="depends_on_id",
                value=target,
                hint=f"keep {target} first: set its `ephemeral` to false",
            )


def _parent(conn: sqlite3.Connection, issue_id: str) -> Row:
    parent = entries.need(conn, issue_id)
    _refuse_deleted(parent)
    if parent.get("status") == "closed":
        raise Conflict(
            f"issue {issue_id} is closed and gets no more children", hint="reopen it first"
        )
    return parent


def _place(conn: sqlite3.Connection, command: InsertIssue) -> tuple[str, bool]:
    """Return the id of the new issue, and whether this very request has created it before."""
    known = queries.lately_created(conn, command.key) if command.keyed else None
    if known is not None and queries.get_line(conn, known) is not None:
        return known, True
    if command.explicit:
        return _chosen(conn, command)
    if command.parent is not None:
        return _child(conn, command.parent, command.key)
    return _minted(conn, command)


def _chosen(conn: sqlite3.Connection, command: InsertIssue) -> tuple[str, bool]:
    issue_id = command.issue_id
    there = entries.find(conn, issue_id)
    if there is None:
        above = ids.parent_of(issue_id)
        if above is not None:
            _check_depth(issue_id)
            entries.need(conn, above)
        return issue_id, False
    if queries.creation_key(conn, issue_id) == command.key:
        return issue_id, True
    hint = "restore it" if issue.is_deleted(there) else "choose another id"
    raise Conflict(f"there is an issue {issue_id} already", hint=hint)


def _child(conn: sqlite3.Connection, parent: str, key: str) -> tuple[str, bool]:
    there = queries.created_below(conn, parent, key)
    if there is not None:
        return there, True
    issue_id = ids.next_child(parent, queries.ids_below(conn, parent))
    _check_depth(issue_id)
    return issue_id, False


def _check_depth(issue_id: str) -> None:
    if ids.depth(issue_id) > ids.MAX_DEPTH:
        raise ValidationError(
            f"issue {ids.parent_of(issue_id)} can have no children: ids have at most"
            f" {ids.MAX_DEPTH} numbers",
            field="parent",
            value=issue_id,
            hint="create it without a parent, and let it depend on one by parent-child",
        )


def _minted(conn: sqlite3.Connection, command: InsertIssue) -> tuple[str, bool]:
    minted = command.issue_id
    if not command.keyed and queries.get_line(conn, minted) is None:
        return minted, False
    if queries.creation_key(conn, minted) == command.key:
        return minted, True
    # Asked for by a key, or a file taken in meanwhile brought the minted id.
    prefix, _, suffix = minted.rpartition("-")
    free = ""
    for candidate in ids.keyed(prefix, command.key):
        if queries.get_line(conn, candidate) is None:
            free = free or (candidate if len(candidate) >= len(prefix) + 1 + len(suffix) else "")
        elif queries.creation_key(conn, candidate) == command.key:
            return candidate, True
    if not free:
        raise Conflict("no free id could be made for the issue")
    return free, False


def _check_words(
    conn: sqlite3.Connection,
    given: Mapping[str, Any],
    types: frozenset[str],
    statuses: frozenset[str],
) -> None:
    """Refuse a type or a status that nobody uses: it would be a slip of the pen."""
    kind, status = given.get("issue_type"), given.get("status")
    if kind and kind not in fields.TYPES | types and not queries.has_type(conn, kind):
        known = ", ".join(sorted(fields.TYPES | types))
        raise ValidationError(
            f"there is no issue type {kind!r}; there are {known}", field="issue_type", value=kind
        )
    if status and status not in fields.STATUSES | statuses and not queries.has_status(conn, status):
        known = ", ".join(sorted(fields.STATUSES | statuses))
        raise ValidationError(
            f"there is no status {status!r}; there are {known}", field="status", value=status
        )


def _check_reference(conn: sqlite3.Connection, row: Row) -> None:
    reference = row.get("external_ref")
    if not reference:
        return
    for line in queries.lines_with_reference(conn, reference):
        other = jsonl.parse(line)
        if other["id"] != row["id"] and other.get("external_ref") == reference:
            raise Conflict(f"issue {other['id']} has the external_ref {reference!r} already")


# --- changes of one issue


def edit_issue(conn: sqlite3.Connection, command: EditIssue) -> Edited:
    before = entries.need(conn, command.issue_id)
    done = queries.carried_out(conn, command.issue_id, command.request)
    if done is not None:
        return Edited(row=before, seq=done)
    if command.token is not None:
        require_token(conn, command.issue_id, command.token)
    if not isinstance(command.edit, Restore):
        _refuse_deleted(before)
    edited = _edited(conn, before, command)
    after = gates.followed(before, edited, command.actor, command.at)
    if command.token is None and any(after.get(name) != before.get(name) for name in CLAIMED):
        _refuse_claimed(conn, command)
    if after is before:
        return Edited(row=before, seq=queries.last_seq_of(conn, command.issue_id))
    said = {"actor": command.actor, "request": command.request}
    if command.token is not None:
        said["holder"] = str(before.get("assignee") or "")  # whose claim the token is
    stored, seq = entries.record(conn, before, after, at=command.at, **said)
    return Edited(row=stored, seq=seq)


def _refuse_claimed(conn: sqlite3.Connection, command: EditIssue) -> None:
    """Refuse to end the work that somebody else is at, or to give it away."""
    if not isinstance(command.edit, Close | SetFields) or command.edit.force:
        return
    lease = leases.get(conn, command.issue_id)
    if lease is None or lease.holder == command.actor:
        return
    if instants.to_ns(lease.expires_at) > instants.to_ns(command.at):
        raise AlreadyClaimed(
            f"issue {command.issue_id} is claimed by {lease.holder} until {lease.expires_at}",
            hint=f"leave it to {lease.holder}, or do it all the same with --force",
        )


def _edited(conn: sqlite3.Connection, row: Row, command: EditIssue) -> Row:
    edit, actor, at = command.edit, command.actor, command.at
    match edit:
        case SetFields():
            return _with_fields(conn, row, edit, command)
        case Close():
            return _closed(conn, row, edit, at)
        case AnswerEdit():
            return gates.answered(row, _answer(edit, actor, at))
        case Reopen():
            opened = revision.reopen(row, at)
            return issue.add_comment(opened, actor, edit.reason, at) if edit.reason else opened
        case Defer():
            return revision.defer(row, edit.until, at)
        case Restore():
            return revision.restore(row, at)
        case AddEdge():
            made = dependencies.edge(
                issue_id=row["id"],
                target=edit.depends_on_id,
                kind=edit.type,
                at=at,
                actor=actor,
                metadata=edit.metadata,
            )
            return _linked(conn, row, made, at)
        case RemoveEdge():
            return issue.touched(dependencies.removed(row, edit.depends_on_id), at)
        case Comment():
            return issue.add_comment(row, actor, edit.text, at)


def _answer(edit: AnswerEdit, actor: str, at: str) -> gates.Answer:
    return gates.Answer(
        approved=edit.approved and not (edit.timed_out or edit.withdrawn),
        by=actor,
        why=edit.why.strip(),
        at=at,
        timed_out=edit.timed_out,
        withdrawn=edit.withdrawn,
    )


def _with_fields(conn: sqlite3.Connection, row: Row, edit: SetFields, command: EditIssue) -> Row:
    revision.require_update(row, edit.expected)
    _check_words(conn, edit.fields, command.types, command.statuses)
    after = revision.set_fields(row, edit, command.at)
    if "external_ref" in edit.fields:
        _check_reference(conn, after)
    if after.get("status") == "closed" != row.get("status"):
        _guard(conn, row, force=edit.force)
    if after.get("issue_type") != row.get("issue_type"):
        _check_family(conn, after, row)
    if edit.parent is not None:
        after = _moved(conn, after, edit.parent, command)
    if not (after.get("ephemeral") and queries.is_local(conn, row["id"])):
        _refuse_wisps(conn, row["id"], _new_edges(conn, row, after))
    return after


def _new_edges(conn: sqlite3.Connection, row: Row, after: Row) -> list[Row]:
    """Return the edges of a row that others have not seen yet: all those of a wisp that is kept."""
    known = [] if queries.is_local(conn, row["id"]) else dependencies.edges_of(row)
    return [one for one in dependencies.edges_of(after) if one not in known]


def _check_family(conn: sqlite3.Connection, after: Row, before: Row) -> None:
    """Refuse a change of type that would leave an epic below what is no epic."""
    if after.get("issue_type") == "epic":
        for parent in filter(
            None, (entries.find(conn, one) for one in dependencies.parents(after))
        ):
            dependencies.check_parent(dependencies.without_parents(after, parent["id"]), parent)
    if before.get("issue_type") == "epic":
        for child in _children(conn, after["id"]):
            dependencies.check_parent(dependencies.without_parents(child, after["id"]), after)


def _moved(conn: sqlite3.Connection, row: Row, parent: str, command: EditIssue) -> Row:
    """Give it another parent, or none; its id stays."""
    bare = dependencies.without_parents(row, parent)
    after = bare if bare is row else issue.touched(bare, command.at)
    if not parent:
        return after
    _parent(conn, parent)
    made = dependencies.edge(
        issue_id=row["id"],
        target=parent,
        kind=dependencies.PARENT_CHILD,
        at=command.at,
        actor=command.actor,
    )
    return _linked(conn, after, made, command.at)


def _linked(conn: sqlite3.Connection, row: Row, made: Row, at: str) -> Row:
    target = entries.find(conn, made["depends_on_id"])
    after = dependencies.added(row, made, target, _follower(conn, row))
    if after is not row and not queries.is_local(conn, row["id"]):
        _refuse_wisps(conn, row["id"], [made])
    return row if after is row else issue.touched(after, at)


def _follower(conn: sqlite3.Connection, *rows: Row) -> dependencies.Follow:
    """Return how to follow edges in the database, with these rows in the place of what is there."""
    instead = {row["id"]: row for row in rows}

    def follow(issue_id: str) -> list[Row]:
        row = instead.get(issue_id) or entries.find(conn, issue_id)
        return [] if row is None or issue.is_deleted(row) else dependencies.edges_of(row)

    return follow


def _nowhere(_issue_id: str) -> list[Row]:
    return []


def _closed(conn: sqlite3.Connection, row: Row, edit: Close, at: str) -> Row:
    if row.get("status") != "closed":
        _guard(conn, row, force=edit.force)
    return revision.close(row, edit.reason, at)


def _guard(conn: sqlite3.Connection, row: Row, *, force: bool) -> None:
    """Refuse to close what is not finished.

    Raises:
        Conflict: a template.
        Blocked: it is pinned, others block it, or children of the epic are open.
    """
    issue_id = row["id"]
    if row.get("is_template"):
        raise Conflict(f"issue {issue_id} is a template, which is never closed")
    if force:
        return
    if blockers.is_pinned(row):
        hint = "unpin it first, or close it with --force"
        raise Blocked(f"issue {issue_id} is pinned", hint=hint)
    held = blockers.blocking(
        row, lambda other: entries.find(conn, other), lambda other: _children(conn, other)
    )
    if held:
        raise Blocked(f"issue {issue_id} cannot be closed before {_some(held)}")


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _children(conn: sqlite3.Connection, parent: str) -> Iterator[Row]:
    return (row for row in _dependents(conn, parent) if parent in dependencies.parents(row))


def _dependents(conn: sqlite3.Connection, issue_id: str) -> Iterator[Row]:
    """Yield the living issues with an edge to this one."""
    for line in queries.lines_naming(conn, issue_id):
        row = jsonl.parse(line)
        targets = (edge["depends_on_id"] for edge in dependencies.edges_of(row))
        if issue_id in targets and not issue.is_deleted(row):
            yield row


def _refuse_deleted(row: Row) -> None:
    if issue.is_deleted(row):
        raise Conflict(f"issue {row['id']} is deleted", hint="restore it before it is changed")


# --- deletion


def bury_issues(conn: sqlite3.Connection, command: BuryIssues) -> tuple[Row, ...]:
    """Bury an issue, and what depends on it where that is asked for."""
    row = entries.need(conn, command.issue_id)
    if issue.is_deleted(row):
        return tuple(_buried_with(conn, row, command.request))
    dependents = list(_dependents(conn, command.issue_id))
    if command.cascade:
        doomed = _all_dependents(conn, row)
    elif dependents and not command.force:
        named = _some([one["id"] for one in dependents])
        raise Conflict(
            f"issue {command.issue_id} cannot be deleted: {named} depend on it",
            hint="delete these too (--cascade), or take away their dependencies on it (--force)",
        )
    else:
        doomed = [row]
        for after in revision.without_edges_to(dependents, command.issue_id, command.at):
            _record(conn, after, command)
    buried = [
        revision.bury(one, reason=command.reason, actor=command.actor, at=command.at)
        for one in doomed
    ]
    return tuple(_record(conn, after, command) for after in buried)


def _record(conn: sqlite3.Connection, after: Row, command: BuryIssues) -> Row:
    before = entries.need(conn, after["id"])
    said = {"actor": command.actor, "request": command.request}
    return entries.record(conn, before, after, at=command.at, **said)[0]


def _buried_with(conn: sqlite3.Connection, row: Row, request: str) -> Iterator[Row]:
    """Yield what one request has deleted, when it comes again; else the tombstone alone."""
    yield row
    for issue_id in queries.changed_with(conn, row["id"], request):
        other = entries.find(conn, issue_id)
        if issue_id != row["id"] and other is not None and issue.is_deleted(other):
            yield other


def _all_dependents(conn: sqlite3.Connection, row: Row) -> list[Row]:
    named_by: dict[str, list[str]] = {}
    for source, target in queries.all_edges(conn):
        named_by.setdefault(target, []).append(source)
    found = {row["id"]: row}
    ahead = [row["id"]]
    while ahead:
        for source in named_by.get(ahead.pop(), ()):
            other = entries.find(conn, source) if source not in found else None
            if other is not None and not issue.is_deleted(other):
                found[source] = other
                ahead.append(source)
    return list(found.values())


HANDLERS: Final[Mapping[type, Handler]] = {
    InsertIssue: insert_issue,
    EditIssue: edit_issue,
    BuryIssues: bury_issues,
}
