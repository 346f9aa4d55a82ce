"""What agents say while they work, as notes on the bus: progress, log lines, begun attempts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors import facts
from actors.agents.messages import TaskNote, TaskOrder, TaskUsed
from actors.bus import log_line, tell_bus
from actors.clock import Clock, rfc3339
from actors.facts import Fact
from supervision import Named


@dataclass(frozen=True, slots=True)
class Notes:
    """Puts notes on the bus. Never blocks and never raises."""

    bus: Named
    clock: Clock

    def pass_on(self, note: TaskNote) -> None:
        """A note an agent made about what it is doing."""
        if note.progress:
            self.step(
                facts.STEP_PROGRESS,
                note.agent_id,
                note.order,
                message=note.message,
                fraction=note.fraction,
            )
            return
        line = log_line(
            workflow_id=note.order.workflow_id,
            source=note.agent_id,
            level=note.level,
            message=note.message,
            at=rfc3339(self.clock()),
        )
        tell_bus(self.bus, line)

    def used(self, message: TaskUsed) -> None:
        """What a model's work for a step has come to."""
        self.step(
            facts.USAGE_RECORDED,
            message.agent_id,
            message.order,
            agent_type=message.agent_type,
            **message.usage,
        )

    def step(self, kind: str, agent_id: str, order: TaskOrder, **more: Any) -> None:
        """A note about one attempt of a step."""
        data: Mapping[str, Any] = {
            "step": order.op,
            "activity": order.activity,
            "agent_id": agent_id,
            "attempt": order.attempt,
            **more,
        }
        at = rfc3339(self.clock())
        tell_bus(self.bus, Fact(type=kind, workflow_id=order.workflow_id, at=at, data=data))
