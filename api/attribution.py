"""In whose name a request acts: in that of its principal, whatever its body says.

Whoever reaches the machine's own door may sign as they like, as they may in its files. Everybody
else signs as themselves; an administrator may sign for somebody, and the audit log says so. An
agent that works elsewhere acts for the workflows that are its own by an open assignment.
"""

from typing import Any, Final

from pydantic import BaseModel
from quart import g

from actors.auth.messages import Principal
from actors.auth.roles import Role
from actors.coordination.assignment_messages import ListAssignments
from actors.errors import Forbidden
from api.doors import Doors
from supervision import ask

SIGNATURES: Final = ("actor", "author", "by")
"""The fields that say who does something, in the models of requests."""

DEADLINE_S: Final = 5.0
NAME_LIMIT: Final = 200
_UNBOUND: Final = frozenset({Role.ADMIN, Role.OPERATOR})


class NotYourself(Forbidden):
    """A request is signed with somebody else's name."""

    code = "not_yourself"
    hint = "leave the field out, or give your own user id"


class NotYours(Forbidden):
    """An agent acts for a workflow that it does not have, or in another's place."""

    code = "not_your_workflow"
    hint = "an agent's credential works for the workflows that are assigned to its user id"


def signed(data: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """What was sent, with the principal's name where it says who acts.

    Raises:
        NotYourself: it names somebody else.
    """
    who: Principal | None = g.get("principal")
    if who is None or who.via == "local":
        return data
    return {**data, **_names(data, model, who)}


def _names(data: dict[str, Any], model: type[BaseModel], who: Principal) -> dict[str, str]:
    named: dict[str, str] = {}
    for name in SIGNATURES:
        given = data.get(name, who.user_id)
        if name not in model.model_fields or not isinstance(given, str):
            continue
        if given != who.user_id:
            _see_that_it_may_name(who, given, name)
        named[name] = given
    return named


def _see_that_it_may_name(who: Principal, given: str, field: str) -> None:
    if Role.ADMIN not in who.roles:
        raise NotYourself(f"{field}: {who.user_id} cannot act in somebody else's name")
    g.acts_for = given[:NAME_LIMIT]


def is_bound(who: Principal) -> bool:
    """Whether somebody works for nothing but what is assigned to them."""
    return Role.AGENT in who.roles and not who.roles & _UNBOUND


async def see_that_it_holds(
    doors: Doors, workflow_id: str, *, agent_id: str | None = None
) -> str | None:
    """See that an agent has the workflow that it acts for; others may act for any.

    Of the agent that the request names, answers the one that is meant: of an agent, itself.

    Raises:
        NotYours: it does not, or it names another one.
    """
    who: Principal = g.principal
    if not is_bound(who):
        return agent_id
    if agent_id not in (None, who.user_id):
        raise NotYours(f"{who.user_id} cannot act in the place of another agent")
    if not await has(doors, workflow_id, who):
        raise NotYours(f"{who.user_id} does not have workflow {workflow_id}")
    return who.user_id


async def has(doors: Doors, workflow_id: str, who: Principal) -> bool:
    """Whether a workflow is with this agent by an open assignment."""
    message = ListAssignments(
        workflow_id=workflow_id, agent_id=who.user_id, status="assigned", limit=1
    )
    found = await ask(doors.manager, message, deadline_s=DEADLINE_S)
    return bool(found.records)
