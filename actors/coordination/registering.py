"""How agents' rows change. Run by the coordination database's writer, inside its transaction.

What becomes true of an agent and the fact that says so are one transaction, and saying it twice is
saying it once: whoever finds the row as it wants it logs nothing.
"""

import sqlite3
from collections.abc import Mapping

from actors import facts
from actors.agents.registration_messages import (
    DRAINING,
    REQUEST,
    SETTINGS,
    UNREGISTERED,
    AgentIdentity,
    RecordAgent,
    RecordConfig,
    RecordDrained,
    RecordGone,
    RecordStatus,
)
from actors.coordination import repeats
from actors.coordination.store import log_own
from actors.errors import Conflict, NotFound
from actors.facts import Fact
from actors.writer import Handler
from storage.coordination import agents

AUTHOR = "beadflow"


def record_agent(connection: sqlite3.Connection, command: RecordAgent) -> str:
    if command.key is not None:
        known = repeats.known(connection, *command.key)
        if known is not None:
            return str(known)
    there = agents.find(connection, command.agent_id)
    if there is not None and there.status != UNREGISTERED:
        if _is_same(there, command):
            return command.agent_id
        raise Conflict(
            f"there is an agent {command.agent_id} already, of type {there.agent_type}",
            code="agent_exists",
            hint="choose another id, or change its configuration",
        )
    agents.put(
        connection,
        {
            "agent_id": command.agent_id,
            "agent_type": command.agent_type,
            "origin": REQUEST,
            "status": "active",
            "config": command.config,
            "max_workload": command.max_workload,
            "at": command.at,
        },
    )
    if command.key is not None:
        repeats.remember(connection, *command.key, answer=command.agent_id, at=command.at)
    more = {"agent_type": command.agent_type, "max_workload": command.max_workload}
    _log(connection, facts.AGENT_REGISTERED, command.agent_id, command.at, **more)
    return command.agent_id


def _is_same(there: agents.AgentRow, command: RecordAgent) -> bool:
    """Whether this is the very command that made the row, which came twice."""
    return command.key is None and (
        there.agent_type,
        there.origin,
        there.config,
        there.max_workload,
        there.registered_at,
    ) == (command.agent_type, REQUEST, command.config, command.max_workload, command.at)


def record_config(connection: sqlite3.Connection, command: RecordConfig) -> None:
    _identify(connection, command.agent, command.at)
    agents.set_config(connection, command.agent.agent_id, command.config, command.max_workload)


def record_status(connection: sqlite3.Connection, command: RecordStatus) -> None:
    agent_id = command.agent.agent_id
    there = _identify(connection, command.agent, command.at)
    if there.status == UNREGISTERED:
        raise _gone(agent_id)
    if there.status == command.status:
        return
    agents.set_status(connection, agent_id, command.status, command.reason)
    kind = facts.AGENT_DRAINING if command.status == DRAINING else facts.AGENT_ACTIVATED
    more = {"agent_type": there.agent_type}
    if command.status == DRAINING:
        more["reason"] = command.reason
    _log(connection, kind, agent_id, command.at, **more)


def record_drained(connection: sqlite3.Connection, command: RecordDrained) -> bool:
    there = agents.find(connection, command.agent_id)
    if there is None or there.status != DRAINING:
        return False
    if there.drained_at is not None:
        return True
    if agents.open_of_agent(connection, command.agent_id):
        return False
    agents.set_drained(connection, command.agent_id, command.at)
    more = {"agent_type": there.agent_type, "reason": there.reason}
    _log(connection, facts.AGENT_DRAINED, command.agent_id, command.at, **more)
    return True


def record_gone(connection: sqlite3.Connection, command: RecordGone) -> tuple[str, ...]:
    there = agents.find(connection, command.agent_id)
    if there is None:
        raise _gone(command.agent_id)
    if there.status == UNREGISTERED:
        return ()
    if not command.force and agents.open_of_agent(connection, command.agent_id):
        raise busy(command.agent_id)
    reason = f"agent {command.agent_id} was unregistered"
    taken = agents.take_away(
        connection, command.agent_id, author=AUTHOR, reason=reason, at=command.at
    )
    agents.set_status(connection, command.agent_id, UNREGISTERED, "")
    more = {"agent_type": there.agent_type, "moved": taken}
    _log(connection, facts.AGENT_UNREGISTERED, command.agent_id, command.at, **more)
    return tuple(taken)


def busy(agent_id: str) -> Conflict:
    return Conflict(
        f"agent {agent_id} still has work, so it cannot be unregistered",
        code="agent_busy",
        hint="drain it and wait, or use force: others of its type then go on with its workflows",
    )


def _identify(connection: sqlite3.Connection, agent: AgentIdentity, at: str) -> agents.AgentRow:
    """The row of an agent; one of the settings gets it with the first thing said of it."""
    there = agents.find(connection, agent.agent_id)
    if there is not None:
        return there
    agents.put(
        connection,
        {
            "agent_id": agent.agent_id,
            "agent_type": agent.agent_type,
            "origin": SETTINGS,
            "status": "active",
            "config": agent.config,
            "max_workload": None,
            "at": at,
        },
    )
    made = agents.find(connection, agent.agent_id)
    assert made is not None  # noqa: S101 - put just now
    return made


def _gone(agent_id: str) -> NotFound:
    return NotFound(f"there is no agent {agent_id}")


def _log(connection: sqlite3.Connection, kind: str, agent_id: str, at: str, **more: object) -> None:
    data = {"agent_id": agent_id, **more}
    log_own(connection, [Fact(type=kind, workflow_id=None, at=at, data=data)])


HANDLERS: Mapping[type, Handler] = {
    RecordAgent: record_agent,
    RecordConfig: record_config,
    RecordStatus: record_status,
    RecordDrained: record_drained,
    RecordGone: record_gone,
}
