"""Intents: a start that three databases have to make, and no transaction spans.

The first commit decides everything; from then on the start only rolls forward. Whoever finds the
intent makes it, and making it twice is making it once: each part has its natural key.
"""

from dataclasses import asdict
from typing import Any

import structlog
import trio

from actors.coordination.messages import CloseIntent, StartPlan
from actors.errors import WorkflowError
from actors.issues.messages import CreateIssue
from actors.workflows.messages import CreateInstance
from actors.writer import Command, write
from storage import payload
from storage.coordination import queries
from storage.pool import ReadPool
from supervision import Actor, Named

log = structlog.get_logger("beadflow.intents")


def plan_to_text(plan: StartPlan) -> str:
    """The stored form of a plan."""
    return payload.encode(asdict(plan))


def plan_from_text(text: str) -> StartPlan:
    return StartPlan(**payload.decode(text))


async def make(plan: StartPlan, *, beads: Named, tempolite: Named) -> None:
    """Make a decided start: the issue and the instance, at once. Idempotent.

    Raises:
        DatabaseError: a writer could not be reached before its deadline; the intent stays open.
        StorageFull: the disk is full; the intent stays open.
    """
    failures: list[WorkflowError] = []

    async def part(writer: Named, command: Command[Any]) -> None:
        try:
            await write(writer, command)
        except WorkflowError as error:
            failures.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(part, beads, CreateIssue(row=plan.issue, key=plan.workflow_id))
        nursery.start_soon(part, tempolite, _instance(plan))
    if failures:
        raise failures[0]


def _instance(plan: StartPlan) -> CreateInstance:
    return CreateInstance(
        workflow_id=plan.workflow_id,
        issue_id=plan.issue_id,
        name=plan.workflow_type,
        version=plan.version,
        variables=plan.variables,
        agent_type=plan.agent_type,
        agent_id=plan.agent_id,
        queued=plan.agent_type is not None and plan.agent_id is None,
        at=plan.at,
    )


class Intents(Actor):
    """Finishes at start what a crash left open, and ends before anybody else begins."""

    def __init__(
        self, *, coordination: Named, beads: Named, tempolite: Named, pool: ReadPool
    ) -> None:
        super().__init__()
        self._coordination = coordination
        self._beads = beads
        self._tempolite = tempolite
        self._pool = pool

    async def on_start(self) -> None:
        for row in await self._pool.fetch("intents", queries.INTENTS, ()):
            plan = plan_from_text(row["payload"])
            log.info("intent finished", workflow_id=plan.workflow_id, issue_id=plan.issue_id)
            await make(plan, beads=self._beads, tempolite=self._tempolite)
            await write(self._coordination, CloseIntent(workflow_id=plan.workflow_id))
        self.stop()
