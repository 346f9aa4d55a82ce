"""What the audit log is told of requests: every refusal, and acts of weight once they are done."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import structlog
from quart import g, has_request_context, request, websocket

from actors.auth.messages import Note, Outcome, Principal
from actors.auth.roles import Permission
from actors.hints import hint
from api import peers
from api.authority import READING, Missing, need_of
from supervision import (
    ActorDeadError,
    ActorRestarting,
    AskTimeout,
    Named,
    Refused,
    ask,
)

DEADLINE_S: Final = 5.0
TARGET_LIMIT: Final = 500
ANONYMOUS: Final = "anonymous"

ACTS: Final = frozenset(
    {Permission.WORKFLOW_DELETE, Permission.AGENT_WRITE, Permission.SYSTEM_ADMIN}
)
"""What is noted when it was done, and not only when it was refused."""

NOTED_BY_THE_KEEPER: Final = frozenset({"auth", "auth_keys"})

log = structlog.get_logger("beadflow.api")


async def act(auth: Named, status: int) -> None:
    """Write what was done into the audit log, where it has weight, before it is answered.

    What was done stays done when that fails: the server's log says so then.
    """
    acts_for, ended = g.get("acts_for"), g.get("ended")
    is_act = need_of(request.endpoint) in ACTS and request.method not in READING
    is_noted = is_act and request.blueprint not in NOTED_BY_THE_KEEPER
    if acts_for is None and ended is None and not is_noted:
        return
    detail = {"status": status} | ({} if acts_for is None else {"as": acts_for})
    note = _note("done", request, detail)
    if ended is not None:
        weight = str(Permission.WORKFLOW_DELETE)
        note = replace(note, action=weight, detail={**note.detail, "workflows": ended})
    try:
        await ask(auth, note, deadline_s=DEADLINE_S)
    except (Refused, ActorDeadError, ActorRestarting, AskTimeout) as error:
        log.warning("audit line missing", action=note.action, why=str(error))


def ends(workflow_ids: Sequence[str]) -> None:
    """Have the present request noted as one that ended these, whatever its route needs."""
    if workflow_ids:
        g.ended = [*g.get("ended", ()), *workflow_ids]


def refusal(auth: Named, error: Refused) -> None:
    """Have the audit log say that somebody was refused; nobody waits for it."""
    asking: Any = request if has_request_context() else websocket
    note = _note("refused", asking, {"code": error.code}, otherwise=error.code)
    if isinstance(error, Missing):  # it may be more than the route needs
        note = replace(note, action=str(error.permission))
    hint(auth, note)


def _note(outcome: Outcome, asking: Any, detail: dict[str, Any], *, otherwise: str = "") -> Note:
    """What the log is told; `otherwise` is the action where the address has no route."""
    who: Principal | None = g.get("principal")
    need = need_of(asking.endpoint)
    return Note(
        actor=ANONYMOUS if who is None else who.user_id,
        action=str(need) if isinstance(need, Permission) else asking.endpoint or otherwise,
        target=f"{asking.method} {asking.path}"[:TARGET_LIMIT],
        outcome=outcome,
        address=peers.address(),
        detail=detail | {"request_id": g.get("request_id", "")},
    )
