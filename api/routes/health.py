"""/health: whether the process lives, and whether it can take work."""

import shutil
from functools import cache
from importlib.metadata import version
from typing import Any

import trio
from quart import Blueprint

from actors.coordination.messages import ListWorkflowTypes
from api.doors import Doors
from supervision import ActorDeadError, ActorRestarting, AskTimeout, MailboxFull, Named, ask

DEADLINE_S = 2.0

ROOM_BYTES = 1024 * 1024
"""Below it the next commit or the next flush of the issues may not fit."""


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("health", __name__, url_prefix="/health")

    @blueprint.get("/live")
    async def live() -> dict[str, str]:
        await trio.lowlevel.checkpoint()
        return {"status": "live"}

    async def found() -> tuple[dict[str, Any], int]:
        parts = {name: _is_there(named) for name, named in doors.needed}
        parts["manager"] = await _answers(doors.manager)
        parts["data"] = await trio.to_thread.run_sync(_can_grow, doors)
        is_ready = all(parts.values())
        status = "ready" if is_ready else "not ready"
        return {"status": status, "parts": parts}, 200 if is_ready else 503

    @blueprint.get("/ready")
    async def ready() -> tuple[dict[str, Any], int]:
        return await found()

    @blueprint.get("")
    async def whole() -> tuple[dict[str, Any], int]:
        """For people and dashboards, who want to know of which version this is said, too."""
        told, status = await found()
        return {"version": _version(), **told}, status

    return blueprint


def _is_there(named: Named) -> bool:
    return named.ref is not None


def _can_grow(doors: Doors) -> bool:
    """Whether the databases are still where they were, with room to grow."""
    data_dir = doors.where.data_dir
    try:
        return doors.keeps_files() and shutil.disk_usage(data_dir).free >= ROOM_BYTES
    except OSError:
        return False


async def _answers(manager: Named) -> bool:
    try:
        await ask(manager, ListWorkflowTypes(), deadline_s=DEADLINE_S)
    except (ActorDeadError, ActorRestarting, AskTimeout, MailboxFull):
        return False
    return True


@cache
def _version() -> str:
    """It stands in a file among those of the package."""
    return version("beadflow")
