"""Opens issues for what an agent found and does not do itself.

Each is linked `discovered-from` to the issue of the workflow that found it. An attempt that is made
again finds the issues of the one before, and a thing for which such an issue is open already gets
no second one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from actors.agents.kit.outcome import Model
from actors.agents.protocol import Task
from actors.errors import NotFound
from actors.issues.messages import Issue
from actors.issues.questions import IssueFilter, QueryIssues
from actors.issues.verbs import NewIssue
from supervision import Target, ask

LABEL: Final = "follow-up"
MOST: Final = 20
"""Issues that one activity opens at most: nobody reads a hundred."""
DISCOVERED_FROM: Final = "discovered-from"

_KEY: Final = "follow_up"
_DEADLINE_S: Final = 20.0
_KNOWN: Final = 1000
_TITLE_BYTES: Final = 300


class FollowUp(Model):
    """An issue that is wanted. Its title says what is wrong and where, the same each time."""

    title: str = Field(min_length=1)
    description: str = ""
    issue_type: str = "bug"
    priority: int = Field(default=2, ge=0, le=4)


class Opened(Model):
    """The issue that a follow-up has.

    Attributes:
        is_new: False where another workflow had opened it before.
    """

    issue_id: str
    title: str
    is_new: bool


async def open_followups(
    tracker: Target,
    task: Task,
    wanted: Sequence[FollowUp],
    *,
    actor: str,
    origin: str = "",
    labels: Sequence[str] = (),
) -> tuple[Opened, ...]:
    """Open the first `MOST` of them, in order; durable when this returns.

    Args:
        tracker: the actor that knows the issues.
        task: whose attempts are the same follow-ups again.
        wanted: what is to have an issue.
        actor: who is recorded as their creator.
        origin: the issue they were discovered from; empty for none, and one that is not there is
            left out.
        labels: which they get beside `LABEL`.

    Raises:
        Refused: the tracker takes no writes now, e.g. `StorageFull`.
    """
    if not wanted:
        return ()
    opener = _Opener(
        tracker=tracker,
        actor=actor,
        origin=origin,
        labels=(LABEL, *labels),
        known=await _known(tracker),
    )
    return tuple([await opener.open(one, _key(task, n)) for n, one in enumerate(wanted[:MOST], 1)])


@dataclass(slots=True, kw_only=True)
class _Opener:
    """Opens what is not among the known ones."""

    tracker: Target
    actor: str
    origin: str
    labels: tuple[str, ...]
    known: dict[str, Issue]

    async def open(self, wanted: FollowUp, key: str) -> Opened:
        title = _cut(wanted.title)
        there = self.known.get(title)
        if there is None:
            fields = {
                "title": title,
                "description": wanted.description,
                "issue_type": wanted.issue_type,
                "priority": wanted.priority,
                "labels": list(self.labels),
                "metadata": {_KEY: key},
            }
            there = self.known[title] = await self._create(fields, key, self.origin)
        return Opened(issue_id=there.id, title=title, is_new=_made_by(there) == key)

    async def _create(self, fields: dict[str, Any], key: str, origin: str) -> Issue:
        edges = ((DISCOVERED_FROM, origin),) if origin else ()
        message = NewIssue(fields=fields, actor=self.actor, depends_on=edges, key=key)
        try:
            return await ask(self.tracker, message, deadline_s=_DEADLINE_S)
        except NotFound:
            if not origin:
                raise
            return await self._create(fields, key, "")


async def _known(tracker: Target) -> dict[str, Issue]:
    """Open issues of this kind, by title."""
    question = QueryIssues(filter=IssueFilter(labels=(LABEL,)), sort="created", limit=_KNOWN)
    page = await ask(tracker, question, deadline_s=_DEADLINE_S)
    return {issue.title: issue for issue in page.issues}


def _made_by(issue: Issue) -> str:
    metadata = issue.row.get("metadata")
    return str(metadata.get(_KEY, "")) if isinstance(metadata, dict) else ""


def _key(task: Task, number: int) -> str:
    """Of one follow-up of one step; short, whatever the workflow is called."""
    digest = hashlib.sha256(task.idempotency_key.encode()).hexdigest()[:32]
    return f"{_KEY}/{digest}/{number}"


def _cut(title: str) -> str:
    line = " ".join(title.split())
    return line.encode()[:_TITLE_BYTES].decode(errors="ignore")
