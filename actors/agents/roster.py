"""The roster: who there is, who is reserved for which workflow, and who does which task. Pure.

A workflow reserves one agent of its type while it runs, and that agent does its steps. A step for
another type of agent goes to the least loaded one of that type. An agent's workload is what is
reserved plus what it does for workflows reserved elsewhere, and it never passes `max_workload`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

TaskKey = tuple[str, str]
"""(workflow id, operation id)"""


@dataclass(slots=True, kw_only=True)
class Member:
    """One agent instance.

    Args:
        up: it is there to take tasks.
        incarnation: which of its lives it is in; 0 before the first.
    """

    agent_id: str
    agent_type: str
    capabilities: tuple[str, ...]
    max_workload: int
    up: bool = False
    incarnation: int = 0
    reserved: set[str] = field(default_factory=set)
    running: dict[TaskKey, int] = field(default_factory=dict)

    @property
    def workload(self) -> int:
        visitors = {workflow_id for workflow_id, _ in self.running} - self.reserved
        return len(self.reserved) + len(visitors)

    @property
    def free(self) -> bool:
        return self.workload < self.max_workload


@dataclass(slots=True)
class Roster:
    """All agent instances, and what they are busy with."""

    members: dict[str, Member]

    def of_type(self, agent_type: str) -> list[Member]:
        return [m for m in self.members.values() if m.agent_type == agent_type]

    def types(self) -> list[str]:
        return sorted({m.agent_type for m in self.members.values()})

    def reserve(self, workflow_id: str, agent_type: str) -> str | None:
        """The agent reserved for a workflow, None when all of that type are busy."""
        holder = self.holder(workflow_id)
        if holder is not None:
            return holder.agent_id
        free = [m for m in self.of_type(agent_type) if m.free]
        if not free:
            return None
        chosen = min(free, key=lambda m: (m.workload, m.agent_id))
        chosen.reserved.add(workflow_id)
        return chosen.agent_id

    def holder(self, workflow_id: str) -> Member | None:
        return next((m for m in self.members.values() if workflow_id in m.reserved), None)

    def release(self, workflow_id: str) -> str | None:
        """Free what a workflow reserved; answers the type that has room now."""
        holder = self.holder(workflow_id)
        if holder is None:
            return None
        holder.reserved.discard(workflow_id)
        return holder.agent_type

    def choose(self, workflow_id: str, agent_type: str) -> Member | None:
        """Who does a task now: the workflow's own agent, else the least loaded of the type."""
        holder = self.holder(workflow_id)
        if holder is not None and holder.agent_type == agent_type:
            return holder if holder.up else None
        ready = [m for m in self.of_type(agent_type) if m.up and m.free]
        return min(ready, key=lambda m: (m.workload, m.agent_id), default=None)

    def begin(self, agent_id: str, key: TaskKey, fence: int) -> None:
        self.members[agent_id].running[key] = fence

    def end(self, agent_id: str, key: TaskKey, fence: int) -> bool:
        """Whether this attempt was the one in progress."""
        running = self.members[agent_id].running
        if running.get(key) != fence:
            return False
        del running[key]
        return True

    def lose(self, agent_id: str) -> list[TaskKey]:
        """The agent is gone or new: what it did is nobody's now."""
        lost = list(self.members[agent_id].running)
        self.members[agent_id].running.clear()
        return lost

    def retire(self, agent_id: str) -> list[TaskKey]:
        """The agent does not come back: what it did, and was reserved for, is for others now."""
        member = self.members[agent_id]
        member.up, member.max_workload = False, 0
        member.reserved.clear()
        return self.lose(agent_id)

    def take_reservations(self, assigned: Mapping[str, str]) -> None:
        """Replace what is reserved by {workflow id: agent id}; a retired agent gets none."""
        for member in self.members.values():
            mine = {w for w, agent_id in assigned.items() if agent_id == member.agent_id}
            member.reserved = mine if member.max_workload else set()
