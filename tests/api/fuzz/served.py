"""A whole system on real sockets, and things in it that requests can be about."""

import queue
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import trio

from api.app import App
from api.exposure import Exposure, Rate, Rates
from api.server import doors_specs, listen
from tests.api.asgi import send_json
from tests.api.site import Site, site

MANY = Rate(per_s=1e6, burst=10**6)
WIDE = Exposure(rates=Rates(reads=MANY, writes=MANY, address=MANY, logins=MANY))
"""Who tries everything is not stopped for doing so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A system that is asked over TCP.

    Args:
        ids: things that are there, by the name that paths have for them.
        key: the API key of somebody who may do anything.
    """

    site: Site
    address: tuple[str, int]
    ids: dict[str, str]
    key: str

    @property
    def app(self) -> App:
        found: App = self.site.app
        return found


@asynccontextmanager
async def served(repo: Path) -> AsyncIterator[Served]:
    """A system that is asked over TCP."""
    with ExitStack() as stack:
        names = ("http", "metrics", "local")
        bound = {name: stack.enter_context(closing(listen("127.0.0.1", 0))) for name in names}

        def specs(doors: Any, world: Any) -> Any:
            return doors_specs(doors, world.meters.registry, exposure=WIDE, **bound)

        async with site(repo, specs) as there:
            ids = await _things(there)
            key = await _key(there)
            yield Served(site=there, address=bound["http"].getsockname(), ids=ids, key=key)


@contextmanager
def served_beside(repo: Path) -> Iterator[Served]:
    """The same in a thread of its own, for clients that know nothing of trio."""
    up: queue.SimpleQueue[tuple[Served, trio.lowlevel.TrioToken, trio.Event]] = queue.SimpleQueue()

    async def serve() -> None:
        async with served(repo) as here:
            end = trio.Event()
            up.put((here, trio.lowlevel.current_trio_token(), end))
            await end.wait()

    thread = threading.Thread(target=trio.run, args=(serve,), name="served")
    thread.start()
    here, token, end = up.get(timeout=20)
    try:
        yield here
    finally:
        token.run_sync_soon(end.set)
        thread.join()


async def _key(there: Site) -> str:
    made = await send_json(there.app, "/api/v1/auth/keys", {"user_id": "root", "roles": ["admin"]})
    key: str = made.json()["secret"]
    return key


async def _things(there: Site) -> dict[str, str]:
    post = partial(send_json, there.app)
    issue = (await post("/api/v1/issues", {"title": "t", "actor": "ann"})).json()["id"]
    other = (await post("/api/v1/issues", {"title": "u", "actor": "ann"})).json()["id"]
    started = await there.start("waiting")
    return {
        "workflow_id": started.json()["id"],
        "issue_id": issue,
        "other": other,
        "agent_id": "greeter-1",
        "name": "a.txt",
    }
