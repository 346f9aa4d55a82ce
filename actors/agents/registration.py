"""Registration: which agents there are, what they are set up with, and which take no more work.

A part of the coordinator, in its actor and on its messages. The rows of agents are the truth: what
is asked for is written first, and then `refresh` makes what is in memory, and which actors run,
what the rows say. So it comes to the same after an answer, an answer that was lost, and a crash.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog

from actors.agents import catalogue
from actors.agents.catalogue import AgentSpec, Catalogue, Setup
from actors.agents.handout import agent_name
from actors.agents.messages import AgentUp, Configure, Examine
from actors.agents.protocol import Agent
from actors.agents.registration_messages import (
    ACTIVE,
    DRAINING,
    SETTINGS,
    UNREGISTERED,
    AboutAgents,
    ActivateAgent,
    AgentConfig,
    AgentIdentity,
    AgentRecord,
    AgentState,
    AgentTypeRecord,
    DrainAgent,
    FindAgents,
    GetAgent,
    GetAgentConfig,
    GetAgentState,
    ListAgentTypes,
    RecordAgent,
    RecordConfig,
    RecordDrained,
    RecordGone,
    RecordStatus,
    RegisterAgent,
    UnregisterAgent,
    UpdateAgentConfig,
)
from actors.agents.roster import Member, Roster
from actors.agents.site import Site
from actors.breakers import Breakers
from actors.bus import ring
from actors.clock import Clock, rfc3339
from actors.coordination import repeats
from actors.coordination.registering import busy
from actors.errors import (
    Conflict,
    DatabaseUnavailable,
    NotFound,
    Overloaded,
    StoreLost,
    ValidationError,
)
from actors.writer import Command, Settle, persist, write
from storage import payload
from storage.coordination import agents
from storage.coordination.agents import AgentRow
from supervision import (
    ActorDeadError,
    ActorInfo,
    ActorRestarting,
    AskTimeout,
    ChildSpec,
    ChildUnknown,
    MailboxFull,
    Named,
    Refused,
    TerminateChild,
    UnexpectedMessage,
    ask,
)

EXAMINE_S = 7.0
"""More than an agent's own health check may take."""

STOP_S = 60.0
WRITE_S = 10.0

REASON_CHARACTERS = 1000

T = TypeVar("T")

log = structlog.get_logger("beadflow.registration")


@dataclass(slots=True, kw_only=True)
class Registration:
    """See the module.

    Args:
        specs: the agents of the settings.
        reader: a read-only connection for short look-ups on the trio thread.
        writer: of the coordination database.
        instances: the dynamic supervisor of the agents' actors.
        site: where the agents work.
        named: finds an actor by its name.
        described: what the kernel knows of an agent's actor.
        spawn: runs a background task of the coordinator.
        start: starts the actor of an agent, or finds the one that is there.
        lost: called with an agent's id when what it does is to be given up.
        reload: called when workflows of an agent wait for another one.
        show: called with an agent's id when its workload, or its limit, has changed.
        breakers: the process's circuits, for the agents.
        setups: how each agent there is is made.
        rows: what is written of each.
        pending: agents whose actor is set up with something else than its row says.
    """

    catalogue: Catalogue
    specs: Sequence[AgentSpec]
    roster: Roster
    reader: sqlite3.Connection
    writer: Named
    bus: Named
    instances: Named
    coordinator: Named
    site: Site
    clock: Clock
    named: Callable[[str], Named]
    described: Callable[[str], ActorInfo | None]
    spawn: Callable[..., None]
    start: Callable[[str], Any]
    lost: Callable[[str], None]
    reload: Callable[[], None]
    show: Callable[[str], None]
    breakers: Breakers
    setups: dict[str, Setup] = field(default_factory=dict)
    rows: dict[str, AgentRow] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    _coming: set[str] = field(default_factory=set)
    _restarting: set[str] = field(default_factory=set)
    _settling: set[str] = field(default_factory=set)

    async def answer(self, request: AboutAgents) -> Any:
        """Answer what is asked.

        Raises:
            Refused: see the request.
        """
        match request:
            case RegisterAgent():
                return await self._register(request)
            case UpdateAgentConfig():
                return await self._update(request)
            case DrainAgent(agent_id=agent_id, reason=reason):
                return await self._set_status(agent_id, DRAINING, reason)
            case ActivateAgent(agent_id=agent_id):
                return await self._activate(agent_id)
            case UnregisterAgent():
                return await self._unregister(request)
            case FindAgents():
                return self._find(request)
            case GetAgent(agent_id=agent_id):
                return self._record(self._member(agent_id))
            case GetAgentConfig(agent_id=agent_id):
                return self._config(agent_id)
            case GetAgentState(agent_id=agent_id):
                return await self._state(agent_id)
            case ListAgentTypes():
                return self._types()
            case _:
                raise UnexpectedMessage(f"nobody answers {type(request).__name__}")

    # What the rows say.

    def refresh(self) -> None:
        """Make what is in memory, and which actors run, what the rows say."""
        before = self.rows
        self.rows = {row.agent_id: row for row in agents.every(self.reader)}
        there = {setup.agent_id: setup for setup in self._wanted()}
        for agent_id in [known for known in self.setups if known not in there]:
            self._let_go(agent_id)
        for agent_id, setup in there.items():
            known = self.setups.get(agent_id)
            self.setups[agent_id] = setup
            if known is None:
                self._take_in(setup)
            else:
                self._follow(known, setup, before.get(agent_id))
        for agent_id in list(self.roster.members):
            self.look(agent_id)

    def _wanted(self) -> list[Setup]:
        found = []
        of_settings = {spec.agent_id: spec for spec in self.specs}
        for agent_id, spec in of_settings.items():
            row = self.rows.get(agent_id)
            kept = row is not None and row.agent_type == spec.agent_class.agent_type
            setup = self.catalogue.setup(
                agent_id=agent_id,
                agent_type=spec.agent_class.agent_type,
                origin=SETTINGS,
                text=row.config if row is not None and kept else catalogue.NOTHING,
                max_workload=row.max_workload if row is not None and kept else None,
            )
            found.append(setup)
        for row in self.rows.values():
            is_there = row.status != UNREGISTERED and row.origin != SETTINGS
            if is_there and row.agent_id not in of_settings:
                setup = self.catalogue.setup(
                    agent_id=row.agent_id,
                    agent_type=row.agent_type,
                    origin=row.origin,
                    text=row.config,
                    max_workload=row.max_workload,
                )
                found.append(setup)
        return found

    def _standing(self, agent_id: str) -> Any:
        row = self.rows.get(agent_id)
        is_gone = row is None or row.status == UNREGISTERED  # and is there by the settings again
        return ACTIVE if row is None or is_gone else row.status

    def _take_in(self, setup: Setup) -> None:
        self.roster.members[setup.agent_id] = Member(
            agent_id=setup.agent_id,
            agent_type=setup.agent_type,
            capabilities=setup.capabilities,
            max_workload=setup.max_workload,
            standing=self._standing(setup.agent_id),
        )
        self.show(setup.agent_id)
        self._start(setup.agent_id)

    def _follow(self, known: Setup, setup: Setup, before: AgentRow | None) -> None:
        member = self.roster.members[setup.agent_id]
        standing = self._standing(setup.agent_id)
        if standing != (ACTIVE if before is None else before.status):
            member.standing = standing
            self.show(setup.agent_id)
        if setup.max_workload != known.max_workload:
            member.max_workload = setup.max_workload
            self.show(setup.agent_id)
        if setup.text != known.text:
            self._set_up_anew(setup)

    def _let_go(self, agent_id: str) -> None:
        """It is unregistered: whatever it did is for others."""
        member = self.roster.members[agent_id]
        member.standing, member.up = UNREGISTERED, False
        member.reserved.clear()
        del self.setups[agent_id]
        self.pending.discard(agent_id)
        self.lost(agent_id)
        self.show(agent_id)
        self.spawn(self._stop, agent_id)

    async def _stop(self, agent_id: str) -> None:
        """End an agent's actor for good, if there is one."""
        try:
            await ask(self.instances, TerminateChild(id=agent_id), deadline_s=STOP_S)
        except (ChildUnknown, ActorDeadError, ActorRestarting):
            pass  # it has ended, or whoever holds it has
        except AskTimeout as error:
            log.warning("agent still ending", agent_id=agent_id, why=str(error))

    def _start(self, agent_id: str) -> None:
        setup = self.setups[agent_id]
        if setup.why_not:
            log.error("agent cannot be started", agent_id=agent_id, why=setup.why_not)
        else:
            self.spawn(self.start, agent_id)

    # Actors and what they are set up with.

    def child(self, agent_id: str) -> ChildSpec:
        """The actor of an agent: each time one is made, it is set up as its row says by then."""
        return ChildSpec(
            id=agent_id, build=partial(self._build, agent_id), name=agent_name(agent_id)
        )

    def _build(self, agent_id: str) -> Agent:
        setup = self._setup(agent_id)
        if setup.agent_class is None or setup.config is None:
            raise NotFound(f"agent {agent_id} cannot be started: {setup.why_not}")
        agent = setup.agent_class(
            agent_id=agent_id,
            coordinator=self.coordinator,
            site=self.site,
            config=setup.config,
            config_sha256=setup.sha256,
        )
        agent.breakers = self.breakers
        return agent

    def came_up(self, up: AgentUp) -> None:
        """An agent says who it is: see that it is set up as its row says."""
        setup = self.setups.get(up.agent_id)
        if setup is None:
            self.spawn(self._stop, up.agent_id)
        elif up.config_sha256 == setup.sha256:
            self.pending.discard(up.agent_id)
        else:
            self._set_up_anew(setup)

    def _set_up_anew(self, setup: Setup) -> None:
        member = self.roster.members[setup.agent_id]
        self.pending.add(setup.agent_id)
        is_told = setup.agent_class is not None and _is_told(setup.agent_class)
        if is_told and member.up and not setup.why_not:
            self.spawn(self._tell, setup)
            return
        member.up = False  # it goes on with what it does, and gets nothing more to do
        self.look(setup.agent_id)

    async def _tell(self, setup: Setup) -> None:
        assert setup.config is not None  # noqa: S101 - looked at before
        message = Configure(config=setup.config, config_sha256=setup.sha256)
        try:
            await ask(self.named(agent_name(setup.agent_id)), message, deadline_s=STOP_S)
        except (ActorDeadError, ActorRestarting, AskTimeout, MailboxFull) as error:
            # one that died comes back with it
            log.warning("agent not told", agent_id=setup.agent_id, why=str(error))
            return
        if self.setups.get(setup.agent_id) is setup:
            self.pending.discard(setup.agent_id)

    async def _restart(self, agent_id: str) -> None:
        """Have the actor of an agent end, and one that is set up anew take its place."""
        try:
            await self._stop(agent_id)
        finally:
            self._restarting.discard(agent_id)
        if agent_id in self.setups:
            self._start(agent_id)

    # What follows when an agent has done something.

    def look(self, agent_id: str) -> None:
        """See whether an agent has nothing left that somebody waits for."""
        member = self.roster.members[agent_id]
        is_idle = not member.running and agent_id not in self._restarting
        if agent_id in self.pending and not member.up and is_idle:
            self._restarting.add(agent_id)
            self.spawn(self._restart, agent_id)
        if agent_id in self._settling:
            return
        row = self.rows.get(agent_id)
        if member.standing == DRAINING and member.workload == 0:
            if row is not None and row.drained_at is None:
                self._settle(agent_id, RecordDrained(agent_id=agent_id, at=self._now()))
        elif member.standing == UNREGISTERED and agents.open_of_agent(self.reader, agent_id):
            # a start that had reserved it before was recorded only now
            self._settle(agent_id, RecordGone(agent_id=agent_id, force=True, at=self._now()))

    def _settle(self, agent_id: str, command: RecordDrained | RecordGone) -> None:
        self._settling.add(agent_id)
        self.spawn(self._write_on, agent_id, command)

    async def _write_on(self, agent_id: str, command: Command[Any]) -> None:
        try:
            done = await persist(self.writer, command)
        finally:
            self._settling.discard(agent_id)
        ring(self.bus)
        if done:
            self.refresh()
            self.reload()

    # What is asked for.

    async def _register(self, request: RegisterAgent) -> AgentRecord:
        text, key = catalogue.encode(request.config), None
        if request.idempotency_key is not None:
            key = (request.idempotency_key, repeats.fingerprint(request))
            known = repeats.known(self.reader, *key)
            if known is not None:
                return self._record(self._member(known))
        agent_class = self.catalogue.find(request.agent_type)
        config = catalogue.parse(agent_class, request.config)
        catalogue.permit(agent_class, config, self.site)
        catalogue.check_workload(request.max_workload)
        agent_id = self._choose_id(request)
        self._coming.add(agent_id)
        try:
            command = RecordAgent(
                agent_id=agent_id,
                agent_type=request.agent_type,
                config=text,
                max_workload=request.max_workload,
                key=key,
                at=self._now(),
            )
            made = await self._write(command)
        finally:
            self._coming.discard(agent_id)
        return self._record(self._member(made))

    def _choose_id(self, request: RegisterAgent) -> str:
        if request.agent_id is None:
            taken = {*self.roster.members, *self.rows, *self._coming}
            stem, number = f"{request.agent_type}-", 1
            while f"{stem}{number}" in taken:
                number += 1
            return catalogue.check_id(f"{stem}{number}")
        agent_id = catalogue.check_id(request.agent_id)
        if agent_id in self.setups and self.setups[agent_id].origin == SETTINGS:
            raise Conflict(
                f"there is an agent {agent_id} already, by the settings",
                code="agent_exists",
                hint="choose another id, or change its configuration",
            )
        return agent_id

    async def _update(self, request: UpdateAgentConfig) -> AgentConfig:
        setup = self._setup(request.agent_id)
        text = setup.text
        if request.config is not None:
            agent_class = self.catalogue.find(setup.agent_type)
            before = payload.decode(setup.text) if request.merge else {}
            given = {**before, **request.config}
            text = catalogue.encode(given)
            catalogue.permit(agent_class, catalogue.parse(agent_class, given), self.site)
        limit = catalogue.check_workload(request.max_workload)
        if limit is None:
            row = self.rows.get(request.agent_id)
            limit = None if row is None else row.max_workload
        identity = self._identity(request.agent_id)
        command = RecordConfig(agent=identity, config=text, max_workload=limit, at=self._now())
        await self._write(command)
        return self._config(request.agent_id)

    async def _set_status(self, agent_id: str, status: Any, reason: str) -> AgentRecord:
        identity = self._identity(agent_id)
        if len(reason) > REASON_CHARACTERS:
            raise ValidationError(
                f"reason is at most {REASON_CHARACTERS} characters", field="reason", value=None
            )
        command = RecordStatus(
            agent=identity, status=status, reason=payload.plain_text(reason), at=self._now()
        )
        await self._write(command)
        return self._record(self._member(agent_id))

    async def _activate(self, agent_id: str) -> AgentRecord:
        await self._set_status(agent_id, ACTIVE, "")
        member = self._member(agent_id)
        member.standing = ACTIVE  # it may be lost without anything being written yet
        if not member.up and agent_id not in self.pending:  # its restarts were used up
            self._start(agent_id)
        self.show(agent_id)
        self.reload()
        return self._record(member)

    async def _unregister(self, request: UnregisterAgent) -> AgentRecord:
        member = self._member(request.agent_id)
        if self.setups[request.agent_id].origin == SETTINGS:
            raise Conflict(
                f"agent {request.agent_id} is there by the settings, so it cannot be unregistered",
                code="agent_of_settings",
                hint="drain it, or take its plugin out of the settings",
            )
        if member.workload and not request.force:
            raise busy(request.agent_id)
        was = self._record(member)
        standing, member.standing = member.standing, DRAINING
        try:
            command = RecordGone(agent_id=member.agent_id, force=request.force, at=self._now())
            await self._write(command)
        finally:
            if member.standing == DRAINING:  # it was refused
                member.standing = standing
        return was

    async def _write(self, command: Command[T]) -> T:
        """Write, then follow.

        Raises:
            Refused: what it was refused with; `Overloaded` when its outcome is not known yet.
        """
        try:
            answer = await write(self.writer, command, deadline_s=WRITE_S)
        except StoreLost:
            raise
        except DatabaseUnavailable as error:
            self.spawn(self._catch_up)
            raise Overloaded(
                "the store did not answer in time, and it may have been written: look before you"
                " ask again"
            ) from error
        ring(self.bus)
        self.refresh()
        return answer

    async def _catch_up(self) -> None:
        await persist(self.writer, Settle())
        ring(self.bus)
        self.refresh()

    # What others see.

    def _find(self, request: FindAgents) -> tuple[AgentRecord, ...]:
        every = [self._record(self.roster.members[agent_id]) for agent_id in sorted(self.setups)]
        return tuple(
            record
            for record in every
            if request.agent_type in (None, record.agent_type)
            and request.status in (None, record.status)
        )

    async def _state(self, agent_id: str) -> AgentState:
        member = self._member(agent_id)
        report, silence = None, self.setups[agent_id].why_not
        if not silence:
            try:
                agent = self.named(agent_name(agent_id))
                report = await ask(agent, Examine(), deadline_s=EXAMINE_S)
            except (ActorDeadError, ActorRestarting, AskTimeout, Refused) as error:
                silence = str(error)
        info = self.described(agent_id)
        return AgentState(
            agent=self._record(member),
            assignments=tuple(agents.open_of_agent(self.reader, agent_id)),
            health=None if report is None else report.health,
            metrics=None if report is None else report.metrics,
            restarts=0 if info is None else info.restarts,
            silence=silence,
        )

    def _config(self, agent_id: str) -> AgentConfig:
        setup = self._setup(agent_id)
        return AgentConfig(
            agent_id=agent_id,
            agent_type=setup.agent_type,
            config={} if setup.config is None else catalogue.shown(setup.config),
            max_workload=setup.max_workload,
            pending=agent_id in self.pending,
        )

    def _types(self) -> tuple[AgentTypeRecord, ...]:
        found: dict[str, list[str]] = {}
        for agent_id in sorted(self.setups):
            found.setdefault(self.setups[agent_id].agent_type, []).append(agent_id)
        return self.catalogue.records(found)

    def _record(self, member: Member) -> AgentRecord:
        row = agents.find(self.reader, member.agent_id)  # signs of life are written by others
        setup = self.setups.get(member.agent_id)
        spoken_of = row is not None and row.status != UNREGISTERED
        return AgentRecord(
            agent_id=member.agent_id,
            agent_type=member.agent_type,
            origin=SETTINGS if setup is None else setup.origin,
            status=member.standing,
            up=member.up,
            capabilities=member.capabilities,
            workload=member.workload,
            max_workload=0 if setup is None else setup.max_workload,
            running=tuple(f"{workflow_id}/{op}" for workflow_id, op in member.running),
            reason=row.reason if row is not None and spoken_of else "",
            registered_at=row.registered_at if row is not None and spoken_of else None,
            drained_at=None if row is None else row.drained_at,
            seen_at=None if row is None else row.seen_at,
            lease_expires_at=None if row is None else row.lease_expires_at,
        )

    def _member(self, agent_id: str) -> Member:
        self._setup(agent_id)
        return self.roster.members[agent_id]

    def _setup(self, agent_id: str) -> Setup:
        setup = self.setups.get(agent_id)
        if setup is None:
            raise NotFound(f"there is no agent {agent_id}", hint="`beadflow agent list` shows them")
        return setup

    def _identity(self, agent_id: str) -> AgentIdentity:
        setup = self._setup(agent_id)
        return AgentIdentity(agent_id=agent_id, agent_type=setup.agent_type, config=setup.text)

    def _now(self) -> str:
        return rfc3339(self.clock())


def _is_told(agent_class: type[Agent]) -> bool:
    """Whether it goes on with another configuration without a restart."""
    return agent_class.configure is not Agent.configure
