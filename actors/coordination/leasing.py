"""How the rows of agents say who is lost. Run by the coordination database's writer.

What is written and the fact that says so are one transaction, and writing it twice is once.
"""

import sqlite3
from collections.abc import Mapping

from actors import facts
from actors.coordination.lease_messages import RecordLost, RecordRecovered, RenewLeases
from actors.coordination.store import log_own
from actors.facts import Fact
from actors.writer import Handler
from storage.coordination import leases


def renew_leases(connection: sqlite3.Connection, command: RenewLeases) -> None:
    leases.renew(connection, command.seen, expires_at=command.expires_at)


def record_lost(connection: sqlite3.Connection, command: RecordLost) -> bool:
    there = leases.find(connection, command.agent_id)
    if there is not None:
        if there["lease_expires_at"] == command.at:
            return True  # this very command, which came twice
        if there["status"] not in ("active", "draining"):
            return False
    leases.lose(
        connection,
        command.agent_id,
        agent_type=command.agent_type,
        reason=command.reason,
        at=command.at,
    )
    data = {
        "agent_id": command.agent_id,
        "agent_type": command.agent_type,
        "reason": command.reason,
    }
    log_own(connection, [Fact(facts.AGENT_LOST, None, command.at, data)])
    return True


def record_recovered(connection: sqlite3.Connection, command: RecordRecovered) -> str:
    there = leases.find(connection, command.agent_id)
    if there is None:
        return "active"
    status = str(there["status"])
    if status == "unregistered" or there["lease_expires_at"] is None:
        return status  # it came twice
    leases.recover(connection, command.agent_id)
    data = {"agent_id": command.agent_id, "agent_type": there["agent_type"]}
    log_own(connection, [Fact(facts.AGENT_RECOVERED, None, command.at, data)])
    return "active" if status == "lost" else status


HANDLERS: Mapping[type, Handler] = {
    RenewLeases: renew_leases,
    RecordLost: record_lost,
    RecordRecovered: record_recovered,
}
