"""Carrying out what the rules say, through the writers and the actors whose matter it is.

Everything here may come twice: each command knows what it has done, or changes nothing where what
it was decided on is not so any more.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import structlog

from actors.agents.messages import TaskWithdrawn
from actors.clock import Clock, rfc3339
from actors.coordination.reconciling import answers
from actors.coordination.reconciling.messages import CompleteTask
from actors.coordination.reconciling.reading import Pools
from actors.coordination.reconciling.rules import AUTHOR, STATUS, Act, Answer, Found
from actors.coordination.reconciling.view import View
from actors.errors import WorkflowError
from actors.hints import hint
from actors.issues.messages import AddComment, ApplyChange, Change, SetStatus
from actors.workflows.definition import ActivityDefinition
from actors.workflows.dispatcher import workflow_name
from actors.workflows.messages import Launch, RequestCancel, TaskEnded
from actors.writer import Command, persist, write
from storage.issues import instants
from storage.workflows import divergences as engine
from supervision import ActorDeadError, ActorRestarting, Ask, AskTimeout, Named, Refused, ask

PATIENCE_S = 30.0

T = TypeVar("T")

Activities = Callable[[str, str], ActivityDefinition | None]
"""What an agent type's activity of that name is; None where it is not known."""

log = structlog.get_logger("beadflow.reconciler")


class Repairs:
    """See the module.

    Args:
        actors: by name: the writers ("coordination", "tempolite", "beads"), "dispatcher",
            "coordinator", "intents", "bus".
        named: finds the actor of a workflow.
    """

    def __init__(
        self,
        *,
        actors: Mapping[str, Named],
        named: Callable[[str], Named],
        pools: Pools,
        activities: Activities,
        clock: Clock,
    ) -> None:
        self._actors = actors
        self._named = named
        self._pools = pools
        self._activities = activities
        self._clock = clock

    async def carry_out(self, view: View | None, found: Found, *, patient: bool = False) -> str:
        """Do what a rule says; answers why not, "" when it is done.

        If `patient`, wait for a full disk and for a writer that is away, as long as it takes.
        """
        try:
            for act in (*found.says, *found.acts):
                await self._do(view, act, patient=patient)
        except (Refused, WorkflowError, ActorDeadError, ActorRestarting, AskTimeout) as error:
            log.warning("not repaired", code=found.code, what=found.what, why=str(error))
            return str(error)
        return ""

    async def _do(self, view: View | None, act: Act, *, patient: bool) -> None:
        match act.message:
            case Answer() as answer:
                if view is not None:
                    await self._take(view, answer)
            case RequestCancel() as cancel:
                woken = await self._write(act.target, cancel, patient=patient)
                for told in dict.fromkeys((cancel.workflow_id, *woken)):
                    hint(self._actors["dispatcher"], Launch(workflow_id=told))
            case Command() as command:
                await self._write(act.target, command, patient=patient)
            case Ask() as question:
                await ask(self._actors[act.target], question, deadline_s=PATIENCE_S)
            case message:
                hint(self._actors[act.target], message)

    async def _write(self, target: str, command: Command[T], *, patient: bool) -> T:
        if patient:
            return await persist(self._actors[target], command)
        return await write(self._actors[target], command, deadline_s=PATIENCE_S)

    # An agent has closed the issue.

    async def _take(self, view: View, answer: Answer) -> None:
        """Complete the agent's step; then the issue is in progress again, with what was said.

        In this order: the step that follows is younger than the close, and is not taken for it.
        """
        why = await self._complete(view, answer)
        text = answers.said(view)
        changes: list[Change] = []
        if text:
            changes.append(AddComment(author=answer.agent_id, text=text))
        if why:
            changes.append(AddComment(author=AUTHOR, text=why))
        status = STATUS.get(view.mapped.status if view.mapped else "", "in_progress")
        changes.append(SetStatus(status=status))
        back = ApplyChange(
            issue_id=view.issue_id or "",
            changes=tuple(changes),
            at=self._now(),
            key=view.workflow_id,
            takes_back=True,
        )
        await persist(self._actors["beads"], back)

    async def _complete(self, view: View, answer: Answer) -> str:
        """Answers why no step was completed, "" when one was."""
        agent_id = answer.agent_id
        task = answers.step_of(view, agent_id, answer.closed_at)
        if task is None:
            if await self._has_answered(view.workflow_id, answer):
                return ""
            return f"No step of {view.workflow_id} waits for {agent_id}: the workflow goes on."
        definition = self._activities(task.agent_type, task.activity)
        outcome = answers.result_of(view, agent_id, task, definition, answer.closed_at)
        if outcome is None:
            return (
                f"What {agent_id} said is not what {task.activity} answers: close the issue with"
                " its result, as JSON, for the reason."
            )
        command = CompleteTask(
            workflow_id=view.workflow_id,
            op=task.op,
            fence=task.fence,
            agent_id=agent_id,
            outcome=outcome,
            at=self._now(),
        )
        if await persist(self._actors["tempolite"], command):
            withdrawn = TaskWithdrawn(workflow_id=view.workflow_id, op=task.op)
            hint(self._actors["coordinator"], withdrawn)
            ended = TaskEnded(workflow_id=view.workflow_id, op=task.op)
            hint(self._named(workflow_name(view.workflow_id)), ended)
            hint(self._actors["dispatcher"], Launch(workflow_id=view.workflow_id))
        return ""

    async def _has_answered(self, workflow_id: str, answer: Answer) -> bool:
        """Whether a step of the agent has ended since: by its own answer, or by this close."""
        rows = await self._pools.tempolite.fetch(
            "reconcile", engine.ANSWERED, (workflow_id, answer.agent_id)
        )
        at = rows[0]["at"] if rows else None
        return at is not None and instants.to_ns(at) >= instants.to_ns(answer.closed_at)

    def _now(self) -> str:
        return rfc3339(self._clock())
