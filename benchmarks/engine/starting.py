"""Starting a workflow in the engine alone: its instance is written, then its actor launched."""

import random
from collections.abc import Mapping

from actors.clock import rfc3339, system_clock
from actors.hints import hint
from actors.ids import workflow_id as new_workflow_id
from actors.workflows.messages import CreateInstance, Launch
from actors.writer import write
from benchmarks.served import Served
from storage import payload

__all__ = ["Starter"]

DEADLINE_S = 300.0


class Starter:
    """Starts workflows of one name.

    Args:
        running: the system they run in.
        name: the workflow's.
        variables: given to each.
    """

    def __init__(
        self, running: Served, name: str, variables: Mapping[str, object] | None = None
    ) -> None:
        self._running = running
        self._name = name
        self._variables = payload.encode(variables or {})
        self._chance = random.Random(2)
        self._writer = running.named("tempolite_writer")
        self._dispatcher = running.named("dispatcher")
        self.ids: list[str] = []

    async def to_its_end(self, _number: int = 0) -> None:
        """Start one and wait until its actor has ended; its history is durable then."""
        at = system_clock()
        workflow_id = new_workflow_id(self._name, at, self._chance)
        ended = self._running.exits.expect(workflow_id)
        await self._launch(workflow_id, rfc3339(at))
        await ended.wait()

    async def and_leave(self, _number: int = 0) -> None:
        """Start one; it is durable, and its actor is about to run."""
        at = system_clock()
        await self._launch(new_workflow_id(self._name, at, self._chance), rfc3339(at))

    async def _launch(self, workflow_id: str, at: str) -> None:
        instance = CreateInstance(
            workflow_id=workflow_id,
            issue_id="bench-none",
            name=self._name,
            version=1,
            variables=self._variables,
            agent_type=None,
            agent_id=None,
            queued=False,
            at=at,
        )
        self.ids.append(workflow_id)
        await write(self._writer, instance, deadline_s=DEADLINE_S)
        hint(self._dispatcher, Launch(workflow_id=workflow_id, created=instance))
