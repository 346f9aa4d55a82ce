"""/api/v1/system: where this system keeps what it was given."""

from dataclasses import asdict

import trio
from quart import Blueprint

from api.doors import Doors


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("system", __name__, url_prefix="/api/v1/system")

    @blueprint.get("")
    async def where() -> dict[str, str | None]:
        await trio.lowlevel.checkpoint()
        return asdict(doors.where)

    return blueprint
