"""The roster: who there is, who is reserved for which workflow, and who does which task. Pure.

A workflow reserves one agent of its type while it runs, and that agent does its steps of that type.
Any other step goes to the least loaded agent that can do it.

An agent's workload is the sum over the workflows it has to do with: the number of tasks it does for
one, and at least 1 for one that it is reserved for. A task is given to the agent that its workflow
is reserved for when that one does none of its tasks, and else to one that has room: so a workload
never passes `max_workload`, and no reservation waits for room.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TaskKey = tuple[str, str]
"""(workflow id, operation id)"""

Standing = Literal["active", "draining", "lost", "unregistered"]
"""Who is draining does what it is reserved for, and gets nothing new; the last two do nothing."""


@dataclass(slots=True, kw_only=True)
class Member:
    """One agent instance.

    Args:
        up: it is there to take tasks.
        incarnation: which of its lives it is in; 0 before the first.
        reserved: workflows that it has.
        expected: workflows that are on their way to it: it has room for them, and not them yet.
        running: the fence of each attempt in progress.
    """

    agent_id: str
    agent_type: str
    capabilities: tuple[str, ...]
    max_workload: int
    up: bool = False
    incarnation: int = 0
    standing: Standing = "active"
    reserved: set[str] = field(default_factory=set)
    expected: set[str] = field(default_factory=set)
    running: dict[TaskKey, int] = field(default_factory=dict)

    @property
    def workload(self) -> int:
        # Counted without a copy of what is reserved: that may be many thousands.
        coming = sum(workflow_id not in self.reserved for workflow_id in self.expected)
        busy_with = {workflow_id for workflow_id, _ in self.running}
        doing = sum(w in self.reserved or w in self.expected for w in busy_with)
        return len(self.running) + len(self.reserved) + coming - doing

    @property
    def has_room(self) -> bool:
        return self.workload < self.max_workload

    @property
    def free(self) -> bool:
        """Whether it may be given something new."""
        return self.standing == "active" and self.has_room

    @property
    def works(self) -> bool:
        """Whether it does what it is reserved for."""
        return self.up and self.standing in ("active", "draining")

    def does_any_of(self, workflow_id: str) -> bool:
        return any(running == workflow_id for running, _ in self.running)

    def can_do(self, activity: str) -> bool:
        return activity in self.capabilities


@dataclass(slots=True)
class Roster:
    """All agent instances, and what they are busy with."""

    members: dict[str, Member]

    def of_type(self, agent_type: str) -> list[Member]:
        return [m for m in self.members.values() if m.agent_type == agent_type]

    def types(self) -> list[str]:
        return sorted({m.agent_type for m in self.members.values()})

    def least_loaded(self, agent_type: str, *, but: str | None = None) -> Member | None:
        """Who of a type, but for one, may be given something new; it may still be starting."""
        free = [m for m in self.of_type(agent_type) if m.free and m.agent_id != but]
        return min(free, key=lambda m: (m.workload, m.agent_id), default=None)

    def reserve(self, workflow_id: str, agent_type: str) -> str | None:
        """The agent reserved for a workflow, None when all of that type are busy."""
        holder = self.holder(workflow_id)
        if holder is not None:
            return holder.agent_id
        chosen = self.least_loaded(agent_type)
        if chosen is None:
            return None
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

    def settle(self, workflow_id: str, agent_id: str | None) -> None:
        """The workflow is this agent's and nobody else's; None makes it nobody's."""
        for member in self.members.values():
            if member.agent_id == agent_id and member.standing != "lost":
                member.reserved.add(workflow_id)
            else:
                member.reserved.discard(workflow_id)

    def choose(self, workflow_id: str, agent_type: str, activity: str) -> Member | None:
        """Who does a task now: the workflow's own agent, else the least loaded that can.

        Where no class of the type has the activity, whoever gets it says so, as its failure.
        """
        among = self.of_type(agent_type)
        capable = [m for m in among if m.can_do(activity)] or among
        holder = self.holder(workflow_id)
        if holder in capable:
            idle = not holder.does_any_of(workflow_id)
            return holder if holder.works and (idle or holder.has_room) else None
        ready = [m for m in capable if m.up and m.free]
        return min(ready, key=lambda m: (m.workload, m.agent_id), default=None)

    def begin(self, agent_id: str, key: TaskKey, fence: int) -> None:
        self.members[agent_id].running[key] = fence

    def end(self, agent_id: str, key: TaskKey, fence: int) -> bool:
        """Whether this attempt was the one in progress."""
        member = self.members.get(agent_id)
        if member is None or member.running.get(key) != fence:
            return False
        del member.running[key]
        return True

    def running_of(self, workflow_id: str) -> int:
        """How many tasks of a workflow are being done, by whomever."""
        return sum(
            running == workflow_id for m in self.members.values() for running, _ in m.running
        )

    def lose(self, agent_id: str) -> list[TaskKey]:
        """The agent is gone or new: what it did is nobody's now."""
        lost = list(self.members[agent_id].running)
        self.members[agent_id].running.clear()
        return lost

    def retire(self, agent_id: str) -> list[TaskKey]:
        """The agent is lost: what it did, and was reserved for, is for others now."""
        member = self.members[agent_id]
        member.up, member.standing = False, "lost"
        member.reserved.clear()
        return self.lose(agent_id)

    def take_reservations(self, assigned: Mapping[str, str]) -> None:
        """Replace what is reserved by {workflow id: agent id}; a lost agent gets none."""
        for member in self.members.values():
            mine = (w for w, agent_id in assigned.items() if agent_id == member.agent_id)
            member.reserved = set[str]() if member.standing == "lost" else set(mine)
