"""The one table of what each route needs; a route that is not here is refused to everybody."""

from collections.abc import Iterable
from typing import Final

from actors.auth.roles import Permission


class Open:
    """Of routes that answer whoever asks."""


class Known:
    """Of routes that answer whoever has shown who they are, about themselves."""


OPEN: Final = Open()
KNOWN: Final = Known()

Need = Permission | Open | Known

PERMISSIONS: Final[dict[str, Need]] = {
    "actors.tree": Permission.ANALYTICS_READ,
    "agents.activate": Permission.AGENT_WRITE,
    "agents.config": Permission.AGENT_READ,
    "agents.configure": Permission.AGENT_WRITE,
    "agents.drain": Permission.AGENT_WRITE,
    "agents.get": Permission.AGENT_READ,
    "agents.listing": Permission.AGENT_READ,
    "agents.register": Permission.AGENT_WRITE,
    "agents.status": Permission.AGENT_READ,
    "agents.types": Permission.AGENT_READ,
    "agents.unregister": Permission.AGENT_WRITE,
    "analytics.agents": Permission.ANALYTICS_READ,
    "analytics.performance": Permission.ANALYTICS_READ,
    "analytics.trends": Permission.ANALYTICS_READ,
    "analytics.workflows": Permission.ANALYTICS_READ,
    "artifacts.listing": Permission.WORKFLOW_READ,
    "artifacts.read": Permission.WORKFLOW_READ,
    "artifacts.store": Permission.AGENT_WORK,
    "assignments.assign": Permission.AGENT_WRITE,
    "assignments.listing": Permission.AGENT_READ,
    "audit.listing": Permission.SYSTEM_ADMIN,
    "audit.verify": Permission.SYSTEM_ADMIN,
    "auth.me": KNOWN,
    "auth.refresh": OPEN,
    "auth.revoke": KNOWN,
    "auth.ticket": KNOWN,
    "auth.token": OPEN,
    "auth.why": KNOWN,
    "auth_keys.create": Permission.SYSTEM_ADMIN,
    "auth_keys.listing": Permission.SYSTEM_ADMIN,
    "auth_keys.revoke": Permission.SYSTEM_ADMIN,
    "auth_keys.rotate": Permission.SYSTEM_ADMIN,
    "auth_keys.signing": Permission.SYSTEM_ADMIN,
    "batches.change": Permission.ISSUE_WRITE,
    "batches.start": Permission.WORKFLOW_WRITE,
    "claims.claim": Permission.ISSUE_WRITE,
    "claims.claim_ready": Permission.ISSUE_WRITE,
    "claims.heartbeat": Permission.ISSUE_WRITE,
    "claims.release": Permission.ISSUE_WRITE,
    "control.cancel": Permission.WORKFLOW_DELETE,
    "control.delete": Permission.WORKFLOW_DELETE,
    "control.history": Permission.WORKFLOW_READ,
    "control.pause": Permission.WORKFLOW_WRITE,
    "control.query": Permission.WORKFLOW_READ,
    "control.resume": Permission.WORKFLOW_WRITE,
    "control.retry": Permission.WORKFLOW_WRITE,
    "control.signal": Permission.WORKFLOW_WRITE,
    "control.terminate": Permission.WORKFLOW_DELETE,
    "docs.asset": OPEN,
    "docs.page": OPEN,
    "events.events": Permission.WORKFLOW_READ,
    "events.page": Permission.WORKFLOW_READ,
    "events.types": Permission.WORKFLOW_READ,
    "export.export": Permission.ISSUE_READ,
    "gates.approve": Permission.WORKFLOW_WRITE,
    "gates.listing": Permission.WORKFLOW_READ,
    "gates.reject": Permission.WORKFLOW_WRITE,
    "gates.show": Permission.WORKFLOW_READ,
    "handoff.handoff": Permission.AGENT_WORK,
    "health.live": OPEN,
    "health.ready": OPEN,
    "health.whole": OPEN,
    "imports.take_in": Permission.SYSTEM_ADMIN,
    "issue_verbs.close": Permission.ISSUE_WRITE,
    "issue_verbs.comment": Permission.ISSUE_WRITE,
    "issue_verbs.defer": Permission.ISSUE_WRITE,
    "issue_verbs.depend": Permission.ISSUE_WRITE,
    "issue_verbs.free": Permission.ISSUE_WRITE,
    "issue_verbs.label": Permission.ISSUE_WRITE,
    "issue_verbs.reopen": Permission.ISSUE_WRITE,
    "issue_verbs.restore": Permission.ISSUE_WRITE,
    "issues.create": Permission.ISSUE_WRITE,
    "issues.delete": Permission.ISSUE_WRITE,
    "issues.listing": Permission.ISSUE_READ,
    "issues.search": Permission.ISSUE_READ,
    "issues.show": Permission.ISSUE_READ,
    "issues.stats": Permission.ISSUE_READ,
    "issues.update": Permission.ISSUE_WRITE,
    "openapi.document": OPEN,
    "openapi.streams": OPEN,
    "readiness.blocked": Permission.ISSUE_READ,
    "readiness.cycles": Permission.ISSUE_READ,
    "readiness.ready": Permission.ISSUE_READ,
    "readiness.tree": Permission.ISSUE_READ,
    "readiness.why": Permission.ISSUE_READ,
    "reconcile.reconcile": Permission.SYSTEM_ADMIN,
    "results.everywhere": Permission.WORKFLOW_READ,
    "results.of_workflow": Permission.WORKFLOW_READ,
    "results.store": Permission.AGENT_WORK,
    "results.types": Permission.WORKFLOW_READ,
    "sessions.begin": OPEN,
    "sessions.end": KNOWN,
    "sessions.show": KNOWN,
    "sync.history": Permission.ISSUE_READ,
    "sync.sync": Permission.ISSUE_WRITE,
    "system.circuits": Permission.ANALYTICS_READ,
    "system.where": Permission.ANALYTICS_READ,
    "workflows.get": Permission.WORKFLOW_READ,
    "workflows.listing": Permission.WORKFLOW_READ,
    "workflows.logs": Permission.WORKFLOW_READ,
    "workflows.start": Permission.WORKFLOW_WRITE,
    "workflows.types": Permission.WORKFLOW_READ,
    "workflows.update": Permission.WORKFLOW_WRITE,
}
"""By endpoint, which is the route's name in its blueprint."""


class UnlistedError(Exception):
    """A route says nothing of who may use it: a fault of whoever wrote it, found at start."""


def check(endpoints: Iterable[str]) -> None:
    """See that each route says what it needs.

    Raises:
        UnlistedError: one does not.
    """
    missing = sorted(set(endpoints) - PERMISSIONS.keys())
    if missing:
        raise UnlistedError(f"PERMISSIONS has no entry for {', '.join(missing)}")
