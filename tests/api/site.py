"""A whole running system with the API's app in front of it, and the workflows it can run."""

import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import trio
from pydantic import BaseModel, ConfigDict

from actors.clock import system_clock
from actors.facts import LoggedFact
from actors.tree import World
from api.app import create_app
from api.doors import Doors, Where
from beadflow import (
    ActivityFailure,
    Agent,
    CancelledError,
    Context,
    Task,
    activity,
    workflow,
)
from cli.running import Place, doors_of
from supervision import ChildSpec, System
from tests.api.asgi import Answer, Header, call, send_json
from tests.support.world import Running, running_system

T = TypeVar("T")

WORKFLOWS = "/api/v1/workflows"


class Numbers(BaseModel):
    model_config = ConfigDict(extra="forbid")
    first: int
    second: int = 2


@activity
async def add(numbers: Numbers) -> int:
    return numbers.first + numbers.second


@workflow
async def arithmetic(ctx: Context, numbers: Numbers) -> dict[str, Any]:
    """Add two numbers."""
    return {"total": await ctx.activity(add, numbers), "summary": "added"}


@workflow
async def counting(ctx: Context) -> int:
    for first in range(5):
        await ctx.activity(add, {"first": first})
    return 5


@activity
async def explode() -> None:
    raise ActivityFailure("boom", "it went off", retryable=False)


@workflow
async def failing(ctx: Context) -> None:
    await ctx.activity(explode)


@activity
async def clean_up(why: str) -> str:
    return why


@workflow
async def waiting(ctx: Context) -> Any:
    """Wait for a signal, answer queries, and clean up when it is cancelled."""
    said: list[str] = []
    ctx.on_query("said", lambda: said)
    ctx.on_query("twice", lambda number: number * 2)
    try:
        said.append("waiting")
        return await ctx.signal("go")
    except CancelledError as error:
        await ctx.activity(clean_up, error.reason)
        raise


@workflow
async def listed(ctx: Context) -> None:
    """Only the test of lists starts it."""


class Greeter(Agent):
    agent_type = "greeter"
    max_workload = 2

    @activity
    async def greet(self, task: Task, name: str) -> str:
        task.log(f"hello {name}")
        return f"hello {name} from {self.agent_id}"


@workflow(agent_type="greeter")
async def greeting(ctx: Context, variables: dict[str, Any]) -> str:
    return await ctx.activity(Greeter.greet, variables["name"])


class Runner(Agent):
    """There are two of them."""

    agent_type = "runner"
    max_workload = 50

    @activity
    async def run(self, task: Task) -> None: ...


@workflow(agent_type="runner")
async def relay(ctx: Context) -> Any:
    """Is with an agent, and gives it nothing to do."""
    return await ctx.signal("go")


@workflow
async def gated(ctx: Context) -> dict[str, Any]:
    """Go on once somebody says so."""
    decision = await ctx.gate("Go on?", description="All is well.", timeout_s=86_400.0)
    return decision.model_dump(mode="json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A system that runs, and its app."""

    running: Running
    doors: Doors
    app: Any

    async def call(self, method: str, target: str, **given: Any) -> Answer:
        return await call(self.app, method, target, **given)

    async def start(self, workflow_type: str, *headers: Header, **more: Any) -> Answer:
        body = {"issue_title": "a title", "workflow_type": workflow_type, **more}
        return await send_json(self.app, WORKFLOWS, body, *headers)

    async def done(self, workflow_type: str, **more: Any) -> str:
        """Start a workflow and wait for its end; answers its id."""
        answer = await self.start(workflow_type, **more)
        workflow_id: str = answer.json()["id"]
        await self.running.ended(workflow_id)
        return workflow_id


@asynccontextmanager
async def site(
    repo: Path, specs: Callable[[Doors, Running | Any], Sequence[ChildSpec]] | None = None
) -> AsyncIterator[Site]:
    """A system for one test.

    Args:
        specs: what stands in the tree as the API's own actors, from the doors and the world.
    """

    def behind(system: System, world: World) -> Doors:
        place = Place(data=world.data, repo=repo)
        return doors_of(system, place, world.stores.presence, world.breakers, world.epoch)

    def doors(system: System, world: Any) -> Sequence[ChildSpec]:
        return specs(behind(system, world), world) if specs else ()

    async with running_system(
        repo,
        workflows=[arithmetic, counting, failing, gated, greeting, listed, relay, waiting],
        agents=[Greeter, Runner, Runner],
        doors=doors,
    ) as running:
        entrance = behind(running.system, running.world)
        yield Site(running=running, doors=entrance, app=create_app(entrance))


def nowhere(system: System) -> Doors:
    """Doors behind which nobody is."""
    nobody = system.named("nobody")
    where = Where(data_dir="", repo="", issues_file="", issues_ref=None)
    return Doors(
        system=system,
        clock=system_clock,
        manager=nobody,
        coordinator=nobody,
        results=nobody,
        analyst=nobody,
        bus=nobody,
        tracker=nobody,
        files=nobody,
        sync=nobody,
        reconciler=nobody,
        auth=nobody,
        needed=(("nobody", nobody),),
        where=where,
        keeps_files=lambda: False,
        keeps_answers=False,
    )


class SharedSite:
    """A site in a thread of its own, so that many tests may ask one that costs a start only once.

    Tests that use it must not mind each other's workflows.
    """

    def __init__(self, inner: Site, token: trio.lowlevel.TrioToken) -> None:
        self._inner = inner
        self._token = token

    @property
    def inner(self) -> Site:
        """The site itself, for what is made of its doors."""
        return self._inner

    def run(self, function: Callable[..., Awaitable[T]], *args: Any, **given: Any) -> T:
        """Run one of the site's own functions in its thread."""
        bound = partial(function, *args, **given)
        return trio.from_thread.run(bound, trio_token=self._token)

    def call(self, method: str, target: str, **given: Any) -> Answer:
        return self.run(self._inner.call, method, target, **given)

    def get(self, target: str) -> Any:
        """The body of an answer that is not a problem."""
        answer = self.call("GET", target)
        assert answer.status == 200, answer.body
        return answer.json()

    def start(self, workflow_type: str, *headers: Header, **more: Any) -> Answer:
        return self.run(self._inner.start, workflow_type, *headers, **more)

    def done(self, workflow_type: str, **more: Any) -> str:
        return self.run(self._inner.done, workflow_type, **more)

    def until(self, logged: Callable[[LoggedFact], bool]) -> None:
        """Wait until such an event is in the log; notes may come after the end of a workflow."""
        self.run(self._inner.running.until, lambda seen: any(map(logged, seen)))

    def post(self, body: bytes, *headers: Header) -> Answer:
        typed = headers or (("Content-Type", "application/json"),)
        return self.call("POST", WORKFLOWS, headers=typed, body=[body])


@contextmanager
def shared_site(repo: Path) -> Iterator[SharedSite]:
    """A site that runs until the block ends."""
    up: queue.SimpleQueue[tuple[Site, trio.lowlevel.TrioToken, trio.Event]] = queue.SimpleQueue()

    async def serve() -> None:
        async with site(repo) as inner:
            end = trio.Event()
            up.put((inner, trio.lowlevel.current_trio_token(), end))
            await end.wait()

    thread = threading.Thread(target=trio.run, args=(serve,), name="shared site")
    thread.start()
    inner, token, end = up.get(timeout=20)
    try:
        yield SharedSite(inner, token)
    finally:
        token.run_sync_soon(end.set)
        thread.join()
