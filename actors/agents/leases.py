"""Leases: which agents give signs of life, and what becomes of those that do not.

A part of the coordinator, in its actor and on its messages. An agent that has given no sign for
`LEASE_S`, or whose restarts are used up, is lost: from then on it gets nothing and nothing that it
hands in is taken; then that is written; then what it did is taken back and what it had is given to
others, which are found by the rows, so that a coordinator that dies in between changes nothing. One
that hangs is ended, and started again. It is active again as soon as it comes up.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
import trio

from actors import bus
from actors.agents.handout import Handout
from actors.agents.messages import AgentBeat, AgentUp
from actors.agents.roster import Member, Roster
from actors.clock import Clock, rfc3339
from actors.coordination.lease_messages import RecordLost, RecordRecovered, RenewLeases
from actors.writer import persist
from supervision import (
    ActorDeadError,
    ActorRestarting,
    AskTimeout,
    ChildUnknown,
    Named,
    TerminateChild,
    ask,
)

LEASE_S = 30.0
"""How long an agent that gives no sign of life counts as there."""

WATCH_S = 5.0
"""How often the leases are looked at."""

RENEW_S = 10.0
"""How often they are written down."""

START_S = 60.0
"""How long an agent may take to start before its first sign of life."""

STOP_S = 60.0

log = structlog.get_logger("beadflow.leases")


@dataclass(slots=True, kw_only=True)
class Leases:
    """See the module.

    Args:
        writer: of the coordination database.
        instances: the dynamic supervisor of the agents' actors.
        spawn: runs a background task of the coordinator.
        start: starts the actor of an agent, and ends it first when it is lost.
        gave_up: called when what an agent had is for others.
        ends: when each agent's lease ends, on trio's clock.
        seen: when each agent was seen that is not written down yet.
    """

    roster: Roster
    writer: Named
    bus: Named
    instances: Named
    clock: Clock
    handout: Handout
    spawn: Callable[..., None]
    start: Callable[[str], object]
    gave_up: Callable[[], None]
    ends: dict[str, float] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    _renewing: bool = False
    _renewed_at: float = 0.0

    async def watch(self) -> None:
        """Look at the leases for ever."""
        while True:
            began = trio.current_time()
            await trio.sleep(WATCH_S)
            slept_s = trio.current_time() - began
            if slept_s > 2 * WATCH_S:  # nobody ran meanwhile, so nobody could say that it lives
                self._extend(slept_s)
            self._look()

    def _extend(self, by_s: float) -> None:
        for agent_id in self.ends:
            self.ends[agent_id] += by_s

    def _look(self) -> None:
        now = trio.current_time()
        for member in list(self.roster.members.values()):
            if member.standing in ("active", "draining"):
                end = self.ends.setdefault(member.agent_id, now + START_S)
                if end <= now:
                    why = f"no sign of life for {LEASE_S:g} s"
                    self.lose(member, why, hangs=True)
        if self.seen and not self._renewing and now >= self._renewed_at + RENEW_S:
            self._renewed_at = now
            self._renewing = True
            self.spawn(self._renew)

    async def _renew(self) -> None:
        seen, self.seen = self.seen, {}
        found = tuple(
            (agent_id, self.roster.members[agent_id].agent_type, at)
            for agent_id, at in sorted(seen.items())
            if agent_id in self.roster.members
        )
        expires_at = rfc3339(self.clock() + timedelta(seconds=LEASE_S))
        try:
            await persist(self.writer, RenewLeases(seen=found, expires_at=expires_at))
        finally:
            self._renewing = False

    # Signs of life.

    def beat(self, beat: AgentBeat) -> None:
        """An agent says that it lives. Nobody believes one that is lost until it starts again."""
        member = self.roster.members.get(beat.agent_id)
        if member is None or member.incarnation != beat.incarnation:
            return
        if member.standing in ("active", "draining"):
            self.renew(beat.agent_id)

    def renew(self, agent_id: str, for_s: float = LEASE_S) -> None:
        self.ends[agent_id] = trio.current_time() + for_s
        self.seen[agent_id] = rfc3339(self.clock())

    async def came_up(self, agent: AgentUp) -> None:
        """An agent that was lost is there again."""
        member = self.roster.members[agent.agent_id]
        command = RecordRecovered(agent_id=agent.agent_id, at=rfc3339(self.clock()))
        status = await persist(self.writer, command)
        bus.ring(self.bus)
        if member.incarnation != agent.incarnation or member.standing == "unregistered":
            return
        if member.standing == "lost":  # else somebody activated or drained it meanwhile
            member.standing = "draining" if status == "draining" else "active"
        member.up = True
        self.renew(agent.agent_id)
        log.info("agent recovered", agent_id=agent.agent_id)
        self.gave_up()

    # No sign of life.

    def lose(self, member: Member, reason: str, *, hangs: bool) -> None:
        """An agent is lost: what it had is for others from now on."""
        if member.standing not in ("active", "draining"):
            return
        log.error("agent lost", agent_id=member.agent_id, reason=reason)
        running = dict(member.running)
        self.roster.retire(member.agent_id)
        self.ends.pop(member.agent_id, None)
        self.seen.pop(member.agent_id, None)
        for key, fence in running.items():
            self.handout.crashes[key] += 1
            self.handout.take_back(member.agent_id, key, fence)
        self.spawn(self._write_off, member, reason, hangs)

    async def _write_off(self, member: Member, reason: str, hangs: bool) -> None:
        command = RecordLost(
            agent_id=member.agent_id,
            agent_type=member.agent_type,
            reason=reason,
            at=rfc3339(self.clock()),
        )
        await persist(self.writer, command)
        bus.ring(self.bus)
        self.gave_up()
        if hangs and member.standing == "lost":
            self.spawn(self.start, member.agent_id)

    async def end(self, agent_id: str) -> None:
        """End the actor of an agent, whatever it does."""
        try:
            await ask(self.instances, TerminateChild(id=agent_id), deadline_s=STOP_S)
        except ChildUnknown:
            pass
        except (ActorDeadError, ActorRestarting, AskTimeout) as error:
            log.warning("agent not ended yet", agent_id=agent_id, why=str(error))

    def expect(self, agent_id: str) -> None:
        """An agent is being started: it may take its time until its first sign of life."""
        self.ends[agent_id] = trio.current_time() + START_S
