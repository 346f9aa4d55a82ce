"""/api/v1/system: where this system keeps what it was given, and how the services outside are."""

from dataclasses import asdict
from typing import Any

import trio
from quart import Blueprint

from api.doors import Doors
from api.models import Circuit


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("system", __name__, url_prefix="/api/v1/system")

    @blueprint.get("")
    async def where() -> dict[str, str | None]:
        await trio.lowlevel.checkpoint()
        return asdict(doors.where)

    @blueprint.get("/circuits")
    async def circuits() -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return {"data": [Circuit.of(state).model_dump() for state in doors.circuits()]}

    return blueprint
