"""The rules: what is wrong with a workflow, seen from all stores at once, and what is done then.

Pure. docs/reconcile.md is their table; each code here has its row there. A rule repairs what has
one right answer: the engine's history is the truth of what a workflow does, the mapping follows the
engine, the issue follows the mapping, and what a person did to an issue stands above all that
follows. What has none is reported.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from actors.agents.messages import GrantQueued, TaskForgotten, TaskReady
from actors.coordination.assignment_messages import LOST, MoveWorkflow
from actors.coordination.reconciling import reasons
from actors.coordination.reconciling.messages import (
    CompleteAssignment,
    DropLease,
    FollowEngine,
    FollowIssue,
    QueueAssignment,
)
from actors.coordination.reconciling.view import House, Mapped, OpenTask, Ran, Told, View
from actors.issues import issue
from actors.issues.messages import (
    AddComment,
    ApplyChange,
    Change,
    ChangeLabels,
    CreateIssue,
    SetStatus,
    SetWork,
)
from actors.workflows.messages import (
    ActivateInstance,
    EndAttempt,
    Launch,
    RequestCancel,
    SetPriority,
)

AUTHOR: Final = "beadflow"
PAUSED: Final = "paused"
CLOSED: Final = "its issue was closed"
DELETED: Final = "its issue was deleted"

STATUS: Final = {
    "queued": "open",
    "active": "in_progress",
    "paused": "in_progress",
    "stalled": "blocked",
    "dead_letter": "blocked",
}
_REASON: Final = {
    "completed": "Completed",
    "cancelled": "Cancelled: requested",
    "terminated": "Cancelled: terminated",
}


@dataclass(frozen=True, slots=True)
class Act:
    """A message that repairs something, and the name of the actor it is for."""

    target: str
    message: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An agent has closed the issue: the step that it is at is done. See `hands.Hands`."""

    agent_id: str
    closed_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one rule found.

    Args:
        how: what the acts do, or why there are none.
        says: comments; they explain and repair nothing.
    """

    code: str
    what: str
    how: str
    acts: tuple[Act, ...] = ()
    says: tuple[Act, ...] = ()


def examine(view: View, house: House) -> list[Found]:
    """All that is wrong with one workflow and can be dealt with at once."""
    first = list(_identity(view, house))
    if first:
        return first
    if view.mapped is None or view.ran is None or view.told is None or view.mapped.intent_at:
        return []
    behind = list(_mapping(view.workflow_id, view.mapped, view.ran, house))
    if behind:
        return behind  # the rest follows from it
    return [
        *by_hand(view, house),
        *_renamed(view.workflow_id, view.mapped, view.told, house),
        *_issue(view.workflow_id, view.mapped, view.told, house),
        *_agents(view, view.mapped, view.ran, house),
        *_running(view, view.ran, house),
    ]


# --- what belongs to what


def _identity(view: View, house: House) -> Iterator[Found]:
    mapped, ran, told = view.mapped, view.ran, view.told
    if mapped is not None and mapped.intent_at is not None:
        return  # half made; the intent finishes it
    if mapped is not None and ran is None:
        what = f"the workflow is {mapped.status} and has no instance"
        yield Found(code="instance_missing", what=what, how=_RESTORE)
    elif mapped is None and ran is not None and ran.parent_id is None:
        what = f"the instance is {ran.status} and no workflow of the bridge"
        yield Found(code="mapping_missing", what=what, how=_RESTORE)
    elif mapped is not None and ran is not None and ran.parent_id is not None:
        what = f"it is a child of {ran.parent_id} and a workflow of its own"
        yield Found(code="child_mapped", what=what, how=_RESTORE)
    if mapped is None and ran is None and view.workflow_id in house.results:
        what = "there are results of a workflow that is not there"
        yield Found(code="result_orphaned", what=what, how="only retention deletes results")
    if mapped is None and told is not None and ran is None:
        yield from _unknown(view.workflow_id, told, house)


_RESTORE: Final = "a store was lost or is an older one: restore a backup"


def _unknown(workflow_id: str, told: Told, house: House) -> Iterator[Found]:
    if told.status in ("", "closed") or told.is_deleted or told.work("home") != house.home:
        return
    text = f"There is no workflow {workflow_id} here: nothing works on this issue."
    says = () if told.says(text) else (_comment(told.issue_id, text, house.at),)
    what = f"the issue is {told.status} for {workflow_id}, which is not there"
    how = "close the issue, or restore a backup"
    yield Found(code="workflow_unknown", what=what, how=how, says=says)


# --- the mapping follows the engine


def _mapping(workflow_id: str, mapped: Mapped, ran: Ran, house: House) -> Iterator[Found]:
    if mapped.status == ran.shown:
        return
    ends = ran.is_over
    fails = ran.status in ("failed", "stalled", "dead_letter")
    follow = FollowEngine(
        workflow_id=workflow_id,
        before=mapped.status,
        status=ran.shown,
        completed_at=ran.updated_at if ends else None,
        error_code=(ran.code or "unknown") if fails else None,
        error_message=(ran.message or "") if fails else None,
        at=house.at,
    )
    what = f"the bridge says {mapped.status}, the engine {ran.shown}"
    how = f"the bridge says {ran.shown}"
    yield Found(code="status_behind", what=what, how=how, acts=(Act("coordination", follow),))


# --- what somebody did to the issue


def by_hand(view: View, house: House) -> Iterator[Found]:
    """What a person, an agent or another clone did to the issue of a workflow of ours."""
    mapped, ran, told = view.mapped, view.ran, view.told
    if mapped is None or ran is None or told is None or ran.parent_id is not None:
        return
    if told.row is not None and told.work("home") not in ("", house.home):
        if not ran.is_over:
            what = f"another installation, {told.work('home')}, works on the issue"
            how = "cancel the workflow, or take the issue back: `beadflow issue claim --force`"
            yield Found(code="issue_taken", what=what, how=how)
        return
    if not ran.is_over and not ran.cancel_asked:
        yield from _ended(view.workflow_id, mapped, view, told, house)
    if ran.is_over and told.by_hand and told.row is not None and not told.is_deleted:
        yield from _reopened(view.workflow_id, ran, told, house)


def _ended(
    workflow_id: str, mapped: Mapped, view: View, told: Told, house: House
) -> Iterator[Found]:
    if told.is_deleted:
        what = "the issue of a workflow that goes on was deleted"
        cancel = RequestCancel(workflow_id=workflow_id, reason=DELETED, at=house.at)
        act = Act("tempolite", cancel)
        yield Found(code="issue_deleted", what=what, how="the workflow is cancelled", acts=(act,))
    elif told.closed_by_hand and told.stroke is not None:
        if _has_it(told.stroke.actor, mapped, view):
            what = f"{told.stroke.actor} has closed the issue of the workflow it works for"
            answer = Answer(agent_id=told.stroke.actor, closed_at=told.stroke.at)
            how = "its step is done, and the issue in progress again"
            yield Found(code="step_done", what=what, how=how, acts=(Act("hands", answer),))
            return
        what = "the issue of a workflow that goes on was closed"
        reason = f"{CLOSED}: {_reason_of(told)}" if _reason_of(told) else CLOSED
        cancel = RequestCancel(workflow_id=workflow_id, reason=reason, at=house.at)
        act = Act("tempolite", cancel)
        yield Found(code="issue_closed", what=what, how="the workflow is cancelled", acts=(act,))


def _has_it(actor: str, mapped: Mapped, view: View) -> bool:
    """Whether whoever closed it is the agent that the workflow is with, or does a step of it."""
    if not actor:
        return False
    return actor == mapped.agent_id or any(task.agent_id == actor for task in view.tasks)


def _reason_of(told: Told) -> str:
    reason = str((told.row or {}).get("close_reason") or "")
    return "" if reason == issue.DEFAULT_REASON else reason[:_REASON_CHARACTERS]


_REASON_CHARACTERS: Final = 900


def _reopened(workflow_id: str, ran: Ran, told: Told, house: House) -> Iterator[Found]:
    if told.status == "closed":
        return
    again = (
        "`beadflow workflow retry` runs it again"
        if ran.status == "failed"
        else "`beadflow workflow start` starts another"
    )
    text = (
        f"The workflow {workflow_id} is {ran.shown}, and opening its issue does not run it:"
        f" {again}."
    )
    says = () if told.says(text) else (_comment(told.issue_id, text, house.at, workflow_id),)
    what = f"the issue is {told.status}, its workflow {ran.shown}"
    yield Found(code="issue_reopened", what=what, how=again, says=says)


def _renamed(workflow_id: str, mapped: Mapped, told: Told, house: House) -> Iterator[Found]:
    if told.row is None or told.is_deleted:
        return
    seen = issue.view(told.row)
    if (seen.title, seen.priority) == (mapped.title, mapped.priority) or not seen.title:
        return
    priority = seen.priority if seen.priority in range(5) else mapped.priority
    if (seen.title, priority) == (mapped.title, mapped.priority):
        return
    follow = FollowIssue(workflow_id=workflow_id, title=seen.title, priority=priority, at=house.at)
    what = "the issue has another title or priority than its workflow"
    how = "the workflow has those of its issue"
    acts = [Act("coordination", follow)]
    if priority != mapped.priority:
        at = house.at
        urgent = SetPriority(workflow_id=workflow_id, priority=priority, at=at)
        acts.append(Act("tempolite", urgent))
    yield Found(code="issue_renamed", what=what, how=how, acts=tuple(acts))


# --- the issue follows the mapping


def _issue(workflow_id: str, mapped: Mapped, told: Told, house: House) -> Iterator[Found]:
    if told.row is None:
        if not told.was_removed and not mapped.is_over:
            what = f"the {mapped.status} workflow's issue is not there"
            act = Act("beads", _made_again(workflow_id, mapped, house))
            yield Found(code="issue_missing", what=what, how="it is made again", acts=(act,))
        return
    if told.is_deleted:
        return
    work = issue.work_of(told.row)
    if work.get("home") not in (None, house.home):
        return  # another installation's, and reported as such
    if work.get("workflow_id") != workflow_id:
        if not mapped.is_over:
            yield from _claimed(workflow_id, mapped, told, house)
        return
    yield from _followed(workflow_id, mapped, told, house)


def _claimed(workflow_id: str, mapped: Mapped, told: Told, house: House) -> Iterator[Found]:
    other = told.work("workflow_id")
    if other:
        what = f"the issue says that it is that of {other}"
        yield Found(code="issue_elsewhere", what=what, how="two workflows cannot have one issue")
        return
    if not isinstance((told.row or {}).get("metadata") or {}, dict):
        what = "the issue's metadata has no room for its workflow"
        yield Found(code="issue_elsewhere", what=what, how="make it an object")
        return
    work = _work(workflow_id, mapped, house)
    act = Act("beads", _change(told.issue_id, (SetWork(fields=work),), house.at))
    what = "the issue does not say whose it is"
    yield Found(code="issue_unmarked", what=what, how="it says so again", acts=(act,))


def _work(workflow_id: str, mapped: Mapped, house: House) -> dict[str, str | None]:
    work: dict[str, str | None] = {
        "home": house.home,
        "workflow_id": workflow_id,
        "workflow_type": mapped.workflow_type,
    }
    return work | ({"agent_id": mapped.agent_id} if mapped.agent_id else {})


def _followed(workflow_id: str, mapped: Mapped, told: Told, house: House) -> Iterator[Found]:
    changes: list[Change] = []
    wanted = STATUS.get(mapped.status, "closed")
    if told.status != wanted and not told.by_hand:
        changes.append(SetStatus(status=wanted, reason=_close_reason(mapped)))
    is_labelled = PAUSED in ((told.row or {}).get("labels") or ())
    if is_labelled is not (mapped.status == PAUSED) and not told.labelled_by_hand:
        names = (PAUSED,)
        changes.append(ChangeLabels(remove=names) if is_labelled else ChangeLabels(add=names))
    is_there = house.agents is None or mapped.agent_id in house.agents
    if mapped.agent_id and told.work("agent_id") != mapped.agent_id and is_there:
        changes.append(SetWork(fields={"agent_id": mapped.agent_id}))
    if changes:
        act = Act("beads", _change(told.issue_id, tuple(changes), house.at, workflow_id))
        what = f"the issue is {_told(told)}, its workflow {mapped.status}"
        yield Found(code="issue_behind", what=what, how="the issue says so, too", acts=(act,))
    if told.is_leased and mapped.is_over and told.status == "closed":
        drop = Act("beads", DropLease(issue_id=told.issue_id))
        what = "a claim is on the issue, and its workflow is over"
        yield Found(code="lease_left", what=what, how="the claim is ended", acts=(drop,))


def _close_reason(mapped: Mapped) -> str:
    if mapped.status == "failed":
        return reasons.failed(mapped.error_code or "")
    return _REASON.get(mapped.status, "")


def _told(told: Told) -> str:
    labels = ", ".join((told.row or {}).get("labels") or ())
    return f"{told.status} ({labels}; {told.work('agent_id') or 'no agent'})"


def _made_again(workflow_id: str, mapped: Mapped, house: House) -> CreateIssue:
    row = issue.new_issue(
        issue_id=mapped.issue_id,
        title=mapped.title,
        priority=mapped.priority,
        created_by=AUTHOR,
        created_at=mapped.created_at,
        labels=(AUTHOR,),
        work=_work(workflow_id, mapped, house),
    )
    return CreateIssue(row=row, key=workflow_id)


def _change(
    issue_id: str, changes: tuple[Change, ...], at: str, workflow_id: str = ""
) -> ApplyChange:
    return ApplyChange(issue_id=issue_id, changes=changes, at=at, key=workflow_id)


def _comment(issue_id: str, text: str, at: str, workflow_id: str = "") -> Act:
    comment = AddComment(author=AUTHOR, text=text)
    return Act("beads", _change(issue_id, (comment,), at, workflow_id))


# --- who works on it


def _agents(view: View, mapped: Mapped, ran: Ran, house: House) -> Iterator[Found]:
    workflow_id = view.workflow_id
    rests = ran.is_over or ran.status == "dead_letter"
    if rests and mapped.assignment is not None:
        done = CompleteAssignment(workflow_id=workflow_id, at=house.at)
        what = f"its assignment is {mapped.assignment}, and it is {ran.shown}"
        act = Act("coordination", done)
        yield Found(code="assignment_left", what=what, how="it is completed", acts=(act,))
    elif not rests and mapped.assignment is None and mapped.agent_type is not None:
        queue = QueueAssignment(
            workflow_id=workflow_id,
            agent_type=mapped.agent_type,
            reason="it had no assignment",
            at=house.at,
        )
        acts = (Act("coordination", queue), Act("coordinator", GrantQueued()))
        what = "it needs an agent, and has no assignment"
        yield Found(code="assignment_missing", what=what, how="it waits for one", acts=acts)
    elif mapped.assignment == "assigned" and not rests:
        yield from _assigned(workflow_id, mapped, ran, house)
    if not rests:
        for task in view.tasks:
            if task.state == "running":
                yield from _doing(workflow_id, task, ran, house)


def _doing(workflow_id: str, task: OpenTask, ran: Ran, house: House) -> Iterator[Found]:
    agent_id = task.agent_id or ""
    if house.agents is not None and agent_id not in house.agents:
        again = EndAttempt(
            workflow_id=workflow_id,
            op=task.op,
            fence=task.fence,
            state="ready",
            outcome=None,
            next_at=None,
            at=house.at,
        )
        what = f"step {task.op} runs at {task.agent_id}, which is not there"
        acts = (Act("tempolite", again), Act("coordinator", TaskReady()))
        yield Found(code="task_lost", what=what, how="it is offered anew", acts=acts)
    elif ran.status == "running" and _is_forgotten(workflow_id, task, house):
        forgotten = TaskForgotten(
            agent_id=agent_id, workflow_id=workflow_id, op=task.op, fence=task.fence
        )
        what = f"{agent_id} does not know of step {task.op}, of which it does attempt {task.fence}"
        act = Act("coordinator", forgotten)
        yield Found(code="step_forgotten", what=what, how="it is offered anew", acts=(act,))


def _is_forgotten(workflow_id: str, task: OpenTask, house: House) -> bool:
    """Whether the agent that a step is with says that it does not do it, and nobody knows that."""
    if house.awaited is None or (workflow_id, task.op) in house.awaited:
        return False
    doing = house.doing.get(task.agent_id or "")
    return doing is not None and (workflow_id, task.op, task.fence) not in doing


def _assigned(workflow_id: str, mapped: Mapped, ran: Ran, house: House) -> Iterator[Found]:
    agent_id = mapped.agent_id or ""
    if house.agents is not None and agent_id not in house.agents:
        move = MoveWorkflow(
            move_id=f"lost {mapped.assignment_id}",
            workflow_id=workflow_id,
            kind=LOST,
            to_type=mapped.assigned_type,
            reason=f"{agent_id or 'its agent'} is not there",
            assignment_id=mapped.assignment_id,
        )
        what = f"it is with {agent_id or 'nobody'}, which is not there"
        how = "another agent of the type gets it"
        yield Found(code="agent_gone", what=what, how=how, acts=(Act("coordinator", move),))
    elif ran.status == "queued":
        activate = ActivateInstance(workflow_id=workflow_id, agent_id=agent_id, at=house.at)
        launch = Launch(workflow_id=workflow_id)
        acts = (Act("tempolite", activate), Act("dispatcher", launch))
        what = f"it is with {agent_id}, and the engine has it wait for an agent"
        yield Found(code="not_activated", what=what, how="it runs", acts=acts)


# --- who runs it


def _running(view: View, ran: Ran, house: House) -> Iterator[Found]:
    if house.actors is None:
        return
    runs = view.workflow_id in house.actors
    wanted = ran.status == "running" and not ran.is_parked
    launch = (Act("dispatcher", Launch(workflow_id=view.workflow_id)),)
    if wanted and not runs:
        what = "it is to run, and nobody runs it"
        yield Found(code="actor_missing", what=what, how="it is launched", acts=launch)
    elif runs and ran.is_over:
        what = f"it is {ran.shown}, and its actor runs on"
        yield Found(code="actor_left", what=what, how="its actor is told", acts=launch)
