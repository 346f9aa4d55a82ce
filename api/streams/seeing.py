"""Which events somebody may see: what is of issues needs issue:read, all else workflow:read."""

from collections.abc import Iterable

from actors.auth.messages import Principal
from actors.auth.roles import Permission
from actors.errors import Forbidden
from actors.event_filter import EventFilter, types_of
from actors.facts import LAGGED, LoggedFact


def may_see(who: Principal, kind: str) -> bool:
    """Whether events of this type are for this principal."""
    return kind == LAGGED or who.may(_needed(kind))


def _needed(kind: str) -> Permission:
    return Permission.ISSUE_READ if kind.startswith("issue_") else Permission.WORKFLOW_READ


def sees_all(who: Principal) -> bool:
    return who.may(Permission.ISSUE_READ) and who.may(Permission.WORKFLOW_READ)


def seen(who: Principal, found: Iterable[LoggedFact]) -> tuple[LoggedFact, ...]:
    """What of these events is for this principal."""
    return tuple(fact for fact in found if may_see(who, fact.type))


def refuse_unseen(who: Principal, wanted: EventFilter) -> None:
    """Raises `Forbidden` when a filter asks for nothing but what the principal may not see."""
    kinds = types_of(wanted.topics) if wanted.topics else ()
    if kinds and not any(may_see(who, kind) for kind in kinds):
        needed = ", ".join(sorted({_needed(kind) for kind in kinds}))
        raise Forbidden(f"these events need {needed}")
