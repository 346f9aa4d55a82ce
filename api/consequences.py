"""What a change of an issue does beyond it, and who may do that.

An issue may be a gate, whose answer is its end, or that of a workflow, which is cancelled when
somebody closes or deletes it, and has the title and the priority of its issue. Whoever changes such
an issue needs what the straight way to the same needs. Routes ask here, a batch for each of its
parts; the machine's own user is not asked.

What is live is looked up just before the change, not in one transaction with it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from quart import g

from actors.auth.messages import Principal
from actors.auth.roles import Permission, Role
from actors.coordination.messages import ListWorkflows
from actors.issues.gates import is_gate
from actors.issues.questions import ShowIssue, Shown
from actors.issues.verbs import CloseIssue, DeleteIssue, NewIssue, UpdateIssue
from actors.workflows.history import CLOSED
from api import noting
from api.attribution import has
from api.authority import Missing
from api.batch_models import Verb
from api.doors import Doors
from supervision import ask

DEADLINE_S: Final = 5.0
FOLLOWED: Final = frozenset({"title", "priority"})
"""Fields of an issue that its workflow has, too."""


@asynccontextmanager
async def allowed(doors: Doors, verb: Verb) -> AsyncIterator[None]:
    """Do something to an issue that its principal may do; what it ends is noted once it is done.

    Raises:
        Missing: it answers a gate, or ends or changes a workflow, and the permission for that is
            missing.
        NotFound: there is no such issue.
    """
    who: Principal | None = g.get("principal")
    ended: list[str] = []
    if who is not None and who.via != "local":
        ended = await _ended(doors, verb, who)
    yield
    noting.ends(ended)


async def _ended(doors: Doors, verb: Verb, who: Principal) -> list[str]:
    """The workflows that this ends, all of which somebody may end."""
    if isinstance(verb, NewIssue):
        return []
    cascades = isinstance(verb, DeleteIssue) and verb.cascade
    if cascades and not who.may(Permission.WORKFLOW_WRITE):  # gates may be among what goes with it
        raise Missing(who, Permission.WORKFLOW_WRITE)
    if who.may(Permission.WORKFLOW_WRITE) and not _is_end(verb):
        return []
    shown = await _show(doors, verb.issue_id)
    if not who.may(Permission.WORKFLOW_WRITE):
        await _see_that_it_changes_none(doors, verb, shown, who)
    if not _is_end(verb):
        return []
    ids = await _with_dependents(doors, shown) if cascades else [str(shown.issue.id)]
    ended = [live for issue_id in ids for live in await _live(doors, issue_id)]
    for workflow_id in ended:
        await _see_that_it_may_end(doors, workflow_id, who)
    return ended


async def _see_that_it_changes_none(doors: Doors, verb: Verb, shown: Shown, who: Principal) -> None:
    """Raises `Missing`: it answers a gate, or is followed by a workflow that has not ended."""
    follows = isinstance(verb, UpdateIssue) and not FOLLOWED.isdisjoint(verb.fields)
    if is_gate(shown.issue.row) or (follows and await _live(doors, shown.issue.id)):
        raise Missing(who, Permission.WORKFLOW_WRITE)


def _is_end(verb: Verb) -> bool:
    match verb:
        case CloseIssue() | DeleteIssue():
            return True
        case UpdateIssue():
            return verb.fields.get("status") == "closed"
        case _:
            return False


async def _show(doors: Doors, issue_id: str) -> Shown:
    return await ask(doors.tracker, ShowIssue(issue_id=issue_id), deadline_s=DEADLINE_S)


async def _with_dependents(doors: Doors, root: Shown) -> list[str]:
    """What a deletion that cascades takes with it: dependents of any kind, and theirs."""
    found, ahead = {str(root.issue.id): None}, [root]
    while ahead:
        above = ahead.pop()
        names = [edge.id for edge in above.dependents] + [str(each.id) for each in above.children]
        for name in names:
            if name not in found:
                found[name] = None
                ahead.append(await _show(doors, name))
    return list(found)


async def _live(doors: Doors, issue_id: str) -> list[str]:
    page = await ask(doors.manager, ListWorkflows(issue_id=issue_id), deadline_s=DEADLINE_S)
    return [record.id for record in page.records if record.status not in CLOSED]


async def _see_that_it_may_end(doors: Doors, workflow_id: str, who: Principal) -> None:
    """Raises `Missing` unless it may end any, or is the agent that has this one.

    That agent closes the issue to say that its step is done.
    """
    if who.may(Permission.WORKFLOW_DELETE):
        return
    is_agent = Role.AGENT in who.roles and who.may(Permission.AGENT_WORK)
    if is_agent and await has(doors, workflow_id, who):
        return
    raise Missing(who, Permission.WORKFLOW_DELETE)
