"""/api/v1/actors: the running supervision tree, as it is now.

It reads what the kernel knows and asks no actor, so it answers while actors crash and are
restarted. All of one answer is of one moment: nothing runs while the tree is described, which is
why `limit` bounds what is described of one supervisor.
"""

from typing import Any

import trio
from quart import Blueprint, request

from api.body import read_query
from api.doors import Doors
from api.models import Actor, Actors, ActorsQuery, ActorTotals, DeadLetters, Letter
from supervision import Refused


class ActorUnknown(Refused):
    """There is no actor at this path, or not any more."""

    code = "actor_unknown"
    status = 404
    retryable = False
    hint = "without `path` the whole tree is shown; a path is ids from the root down, with slashes"

    def __init__(self, path: str | None) -> None:
        super().__init__(path)
        self.message = f"there is no actor at {path}" if path else "no actor runs yet"


def routes(doors: Doors) -> Blueprint:
    blueprint = Blueprint("actors", __name__, url_prefix="/api/v1/actors")

    @blueprint.get("")
    async def tree() -> dict[str, Any]:
        query = read_query(request, ActorsQuery)
        await trio.lowlevel.checkpoint()
        found = doors.system.snapshot(query.path, depth=query.depth, breadth=query.limit)
        if found is None:
            raise ActorUnknown(query.path)
        actors = Actors(
            tree=Actor.of(found), totals=ActorTotals.of(found), dead_letters=_dead_letters(doors)
        )
        return actors.model_dump()

    return blueprint


def _dead_letters(doors: Doors) -> DeadLetters:
    office = doors.system.dead_letters
    now, now_s = doors.clock(), trio.current_time()
    recent = [Letter.of(letter, now, now_s) for letter in office.recent]
    return DeadLetters(count=office.count, recent=recent)
