"""Roles and permissions: who may do what, in one table.

The first six permissions and what admin, operator and viewer hold of them are the specification's.
`agent` is the role of workers that run elsewhere: they look, keep issues, and do the work that they
were given (`agent:work`), which is refused to them on workflows that they do not hold.
"""

from enum import StrEnum
from typing import Final


class Permission(StrEnum):
    """One thing that a principal may do."""

    WORKFLOW_READ = "workflow:read"
    WORKFLOW_WRITE = "workflow:write"
    WORKFLOW_DELETE = "workflow:delete"
    AGENT_READ = "agent:read"
    AGENT_WRITE = "agent:write"
    ANALYTICS_READ = "analytics:read"
    ISSUE_READ = "issue:read"
    ISSUE_WRITE = "issue:write"
    AGENT_WORK = "agent:work"
    SYSTEM_ADMIN = "system:admin"


class Role(StrEnum):
    """A named set of permissions."""

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    AGENT = "agent"


GRANTS: Final[dict[Role, frozenset[Permission]]] = {
    Role.ADMIN: frozenset(Permission),
    Role.OPERATOR: frozenset(
        {
            Permission.WORKFLOW_READ,
            Permission.WORKFLOW_WRITE,
            Permission.AGENT_READ,
            Permission.ANALYTICS_READ,
            Permission.ISSUE_READ,
            Permission.ISSUE_WRITE,
            Permission.AGENT_WORK,
        }
    ),
    Role.VIEWER: frozenset(
        {
            Permission.WORKFLOW_READ,
            Permission.AGENT_READ,
            Permission.ANALYTICS_READ,
            Permission.ISSUE_READ,
        }
    ),
    Role.AGENT: frozenset(
        {
            Permission.WORKFLOW_READ,
            Permission.AGENT_READ,
            Permission.ISSUE_READ,
            Permission.ISSUE_WRITE,
            Permission.AGENT_WORK,
        }
    ),
}
"""What each role holds. Nothing else gives a permission to anybody."""


def granted(roles: frozenset[Role], scopes: frozenset[Permission] | None) -> frozenset[Permission]:
    """What roles hold together, narrowed to `scopes` where a credential has some."""
    held = frozenset[Permission]().union(*(GRANTS[role] for role in roles))
    return held if scopes is None else held & scopes
