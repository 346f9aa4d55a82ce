"""Gates: issues that hold something up until a person has answered them.

The answer is the issue's end, by whichever road it comes: a gate that is closed is approved, unless
its close reason begins with "rejected"; one that is deleted is rejected. It is answered once: what
is noted here stays, whatever becomes of the issue afterwards.

Pure. Rows are given and returned, as in `issue.py`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from actors.errors import NotFound
from actors.issues import issue
from actors.issues.verbs import GateAnswered
from storage import payload
from storage.issues import instants
from storage.issues.jsonl import Row

TYPE: Final = "gate"
NOTE: Final = "gate"
"""The key of `metadata.beadflow` that says whose gate it is, and how it was answered."""

APPROVED: Final = "approved"
REJECTED: Final = "rejected"
WITHDRAWN: Final = f"{REJECTED}: withdrawn"
TIMED_OUT: Final = f"{REJECTED}: timed out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a gate was answered.

    Args:
        by: who it was; "" where the issue was closed elsewhere and nobody knows.
        at: RFC 3339.
        timed_out: nobody has answered in time.
        withdrawn: nobody has to answer any more: the workflow does not wait.
    """

    approved: bool
    by: str
    why: str
    at: str
    timed_out: bool = False
    withdrawn: bool = False

    @property
    def status(self) -> str:
        if self.withdrawn:
            return "withdrawn"
        return APPROVED if self.approved else REJECTED


def is_gate(row: Row) -> bool:
    """Whether it is one, also where somebody has changed its type since."""
    return TYPE in (row.get("issue_type"), row.get("original_type")) or bool(note_of(row))


def note_of(row: Row) -> dict[str, Any]:
    """What beadflow noted of it: workflow_id, step, signal, expires_at, answer; {} for no note."""
    note = issue.work_of(row).get(NOTE)
    return note if isinstance(note, dict) else {}


def answer_of(row: Row) -> Answer | None:
    """How it was answered; None where it is open."""
    noted = _noted(note_of(row).get("answer"))
    if noted is not None:
        return noted
    if issue.is_deleted(row):
        why = "its issue was deleted"
        by, at = row.get("deleted_by") or "", row.get("deleted_at") or _updated(row)
        return Answer(approved=False, by=by, why=why, at=at)
    if row.get("status") != "closed":
        return None
    by, at = row.get("closed_by_session") or "", row.get("closed_at") or _updated(row)
    return _by_reason(row.get("close_reason") or "", by, at)


def _updated(row: Row) -> str:
    return row.get("updated_at") or instants.ZERO


def _noted(answer: object) -> Answer | None:
    if not isinstance(answer, Mapping):
        return None
    return Answer(
        approved=answer.get("approved") is True,
        by=_text(answer.get("by")),
        why=_text(answer.get("why")),
        at=_text(answer.get("at")),
        timed_out=answer.get("timed_out") is True,
        withdrawn=answer.get("withdrawn") is True,
    )


def _text(value: object) -> str:
    """A text of metadata, which other programs may have written: anything, of any length."""
    return payload.short_text(value) if isinstance(value, str) else ""


def _by_reason(reason: str, by: str, at: str) -> Answer:
    """What a close reason means: bd's own word for an end without success is "rejected"."""
    said = reason.strip()
    approved = not said.casefold().startswith(REJECTED)
    word = APPROVED if approved else REJECTED
    if said.casefold().startswith(word):
        said = said[len(word) :].lstrip(" :.,;-")
    elif said == issue.DEFAULT_REASON:
        said = ""
    return Answer(approved=approved, by=by, why=payload.short_text(said), at=at)


def answered(row: Row, answer: Answer) -> Row:
    """Close it with an answer.

    Raises:
        NotFound: the issue is no gate.
        GateAnswered: it has an answer already.
    """
    if not is_gate(row):
        raise NotFound(f"issue {row['id']} is no gate, it is a {row.get('issue_type')}")
    refuse_answered(row)
    word = APPROVED if answer.approved else REJECTED
    reason = WITHDRAWN if answer.withdrawn else TIMED_OUT if answer.timed_out else word
    after = _noting(issue.set_status(row, "closed", answer.at, reason), answer)
    said = answer.why.strip() and not (answer.withdrawn or answer.timed_out)
    return issue.add_comment(after, answer.by, answer.why, answer.at) if said else after


def refuse_answered(row: Row) -> None:
    """Raise `GateAnswered` where it has an answer."""
    there = answer_of(row)
    if there is not None:
        by = f" by {there.by}" if there.by else ""
        raise GateAnswered(f"gate {row['id']} was {there.status}{by} at {there.at}")


def followed(before: Row, after: Row, actor: str, at: str) -> Row:
    """The row after an edit of a gate, with who has answered it where the edit did.

    Raises:
        GateAnswered: it would be open again.
    """
    if not is_gate(before):
        return after
    answer = answer_of(after)
    if answer_of(before) is not None:
        if after.get("status") != before.get("status"):
            refuse_answered(before)
        return after
    if answer is None or note_of(after).get("answer") is not None:
        return after
    return _noting(after, _by_reason(after.get("close_reason") or "", actor, at))


def _noting(row: Row, answer: Answer) -> Row:
    said = {name: value for name, value in asdict(answer).items() if value is not False}
    note = {**note_of(row), "answer": {"approved": answer.approved, **said}}
    metadata = row.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    work = {**issue.work_of(row), NOTE: note}
    return row | {"metadata": {**metadata, issue.WORK_KEY: work}}


def told(before: Row, after: Row) -> dict[str, Any]:
    """What a change means for the gate, for whoever waits behind it; {} where it means nothing."""
    row = after or before
    if not is_gate(row):
        return {}
    answer, was = answer_of(after) if after else None, answer_of(before) if before else None
    if answer is not None and was is None:
        said = asdict(answer)
    elif before and not after and was is None:
        said = {"approved": False, "why": "its issue is gone"}
    elif not before:
        said = {}
    else:
        return {}
    note = note_of(row)
    names = ("workflow_id", "step", "expires_at")
    known: dict[str, Any] = {name: text for name in names if (text := _text(note.get(name)))}
    return {**known, "title": row.get("title") or "", **({"answer": said} if said else {})}
