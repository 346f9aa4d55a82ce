"""Passing on: a workflow whose next step is for agents of another type goes to one of them.

A part of the coordinator. It is asked before a step is given to anybody. A workflow keeps its agent
as long as it wants anything of that type of agent; when it wants only others, it does not hold one
back that it has no use for: it is handed to the least loaded agent of the step's type, or waits for
the next free one without having any. That is a handoff like those that are asked for.

So no two workflows wait for ever for each other's agents.

Steps of branches, which are done at once, hand nothing on: with different types among them the
workflow would go back and forth, and which one is scheduled first is chance.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
import trio

from actors.agents.moving import Moving
from actors.agents.roster import Roster, TaskKey
from actors.coordination import handing
from actors.coordination.assignment_messages import HANDOFF, MoveWorkflow
from actors.coordination.messages import MakeIntent
from actors.errors import Conflict, NotFound, Overloaded
from actors.hints import hint
from actors.workflows.definition import Definitions
from storage.coordination import assignments, queries
from storage.workflows import queries as workflows
from storage.workflows.records import TaskRow
from supervision import Named

AGAIN_S: Final = 0.1
"""After how long to try again what could not be decided: the bus is away."""

log = structlog.get_logger("beadflow.passing")


@dataclass(slots=True, kw_only=True)
class Passing:
    """See the module.

    Args:
        reader: of the coordination database.
        engine: of the engine's.
        spawn: runs a background task of the coordinator.
        look_again: has the step offered again.
        on_its_way: workflows that are being handed on.
        refused: steps whose workflow could not be handed on, and that are done without.
    """

    roster: Roster
    moving: Moving
    definitions: Definitions
    reader: sqlite3.Connection
    engine: sqlite3.Connection
    named: Callable[[str], Named]
    spawn: Callable[..., None]
    look_again: Callable[[], None]
    on_its_way: set[str] = field(default_factory=set)
    refused: set[TaskKey] = field(default_factory=set)

    def goes_first(self, row: TaskRow) -> bool:
        """Whether the step has to wait until its workflow is handed on."""
        if row.workflow_id in self.on_its_way:
            return True
        holder = self.roster.holder(row.workflow_id)
        if holder is None or holder.agent_type == row.agent_type or not _is_alone(row.op):
            return False
        if (row.workflow_id, row.op) in self.refused:
            self.refused.discard((row.workflow_id, row.op))
            return False
        if not self._wants_others_only(row, holder.agent_type):
            return False
        self.on_its_way.add(row.workflow_id)
        self.spawn(self._pass_on, row, holder.agent_id)
        return True

    def _wants_others_only(self, row: TaskRow, holding: str) -> bool:
        if not any(m.standing == "active" for m in self.roster.of_type(row.agent_type)):
            return False  # it would wait there as it does here
        if holding in workflows.open_types(self.engine, row.workflow_id):
            return False
        mapping = queries.mapping(self.reader, row.workflow_id)
        if mapping is None:
            return False
        try:
            found = self.definitions.get(mapping["workflow_type"], mapping["workflow_version"])
        except NotFound:
            return False
        return not found.agents or row.agent_type in found.agents

    async def _pass_on(self, row: TaskRow, holder: str) -> None:
        try:
            await self._move(row, holder)
        except (Conflict, NotFound) as error:  # somebody else has moved it, or it has ended
            log.info("not passed on", workflow_id=row.workflow_id, why=error.message)
            self.refused.add((row.workflow_id, row.op))
        except Overloaded:
            await trio.sleep(AGAIN_S)
        finally:
            self.on_its_way.discard(row.workflow_id)
        self.look_again()

    async def _move(self, row: TaskRow, holder: str) -> None:
        before = assignments.open_of(self.reader, row.workflow_id)
        if before is None:
            return
        move = MoveWorkflow(
            # the same again after a crash of the coordinator, and another one after each handoff
            move_id=f"{handing.PASSED_ON}{row.workflow_id}-{row.op}-{before['id']}",
            workflow_id=row.workflow_id,
            kind=HANDOFF,
            from_agent=holder,
            to_type=row.agent_type,
            reason=f"the next step is {row.activity}",
            assignment_id=before["id"],
        )
        await self.moving.move(move)
        hint(self.named("intents"), MakeIntent(intent_id=move.move_id))


def _is_alone(op: str) -> bool:
    """Whether nothing else of the workflow goes on beside it: branches have ids with dots."""
    return "." not in op
