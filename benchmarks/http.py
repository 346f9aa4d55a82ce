"""Requests to the API on a real socket, beside those to a bare app on the same server.

Every app is behind a door of the same kind, in this process; the clients have a process of their
own. The API asks for a key, checks it, counts the requests, and has room for all of them: it does
all that it does for a user.
"""

import json
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio
from quart_trio import QuartTrio

from actors.auth.messages import CreateKey
from actors.auth.roles import Role
from actors.coordination.messages import StartWorkflow
from api.app import create_app
from api.exposure import Exposure, Rate, Rates
from api.server import HttpDoor, listen
from beadflow import Context, workflow
from benchmarks import fanout
from benchmarks.report import Report, Samples, Scale, main, rounded
from benchmarks.served import Served, served
from cli.running import Place, doors_of
from supervision import ChildSpec, System, ask, supervisor

NAME: Final = "http"
CONNECTIONS: Final = (1, 64)
KNOWN: Final = 100
"""Workflows that are read, and how many a list holds."""

APPS: Final = ("bare_asgi", "hello", "api")
PLENTY: Final = Rate(per_s=1e9, burst=1_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured.

    Args:
        rounds: each of all kinds of requests, one after the other.
        seconds: of each kind.
        listeners: what is measured of the stream of events.
    """

    rounds: int
    seconds: float
    listeners: fanout.Size


SIZES: Final = {
    Scale.FULL: Size(rounds=5, seconds=1.5, listeners=fanout.SIZES[Scale.FULL]),
    Scale.QUICK: Size(rounds=2, seconds=0.5, listeners=fanout.SIZES[Scale.QUICK]),
    Scale.SMOKE: Size(rounds=1, seconds=0.1, listeners=fanout.SIZES[Scale.SMOKE]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of requests: to which app, which, and what they are answered with."""

    app: str
    requests: list[str]
    status: int = 200


@workflow
async def waiting(ctx: Context) -> Any:
    """Wait for a signal that never comes: what is measured is the start."""
    return await ctx.signal("go")


async def bare_asgi(scope: Any, receive: Any, send: Any) -> None:
    """The least that an app can be."""
    del scope, receive
    body = b'{"hello":"world"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def hello() -> QuartTrio:
    """The least that a Quart app can be."""
    app = QuartTrio("hello")

    @app.get("/")
    async def greet() -> dict[str, str]:
        return {"hello": "world"}

    return app


class Requesters:
    """The process of the clients."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._rest = b""

    async def measure(self, port: int, kind: Kind, connections: int, seconds: float) -> Any:
        job = {"port": port, "connections": connections, "seconds": seconds, **asdict(kind)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        await self._process.stdin.send_all(json.dumps(job).encode() + b"\n")
        while b"\n" not in self._rest:
            part = await self._process.stdout.receive_some()
            if not part:
                raise RuntimeError("the clients have ended: standard error says why")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)


@asynccontextmanager
async def requesters() -> AsyncIterator[Requesters]:
    command = [sys.executable, "-m", "benchmarks.requesters"]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield Requesters(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@asynccontextmanager
async def doors(there: Served, repo: Path) -> AsyncIterator[dict[str, int]]:
    """A door for each app, until the block ends; gives their ports."""
    place = Place(data=there.world.data, repo=repo)
    behind = doors_of(there.system, place, there.world.stores.presence, there.world.breakers)
    exposure = Exposure(rates=Rates(reads=PLENTY, writes=PLENTY, address=PLENTY), connections=8192)
    builds: Mapping[str, Any] = {
        "bare_asgi": lambda _: bare_asgi,
        "hello": lambda _: hello(),
        "api": partial(create_app, behind, exposure=exposure, trust="keys"),
    }
    with ExitStack() as sockets:
        listening = {
            name: sockets.enter_context(closing(listen("127.0.0.1", 0))) for name in builds
        }
        specs = [_spec(name, build, listening[name]) for name, build in builds.items()]
        async with System.open() as front:
            await front.start(supervisor("root", "one_for_one", specs))
            yield {name: each.getsockname()[1] for name, each in listening.items()}


def _spec(name: str, build: Any, listening: socket.socket) -> ChildSpec:
    return ChildSpec(
        id=name,
        name=name,
        build=lambda: HttpDoor(build=build, listening=listening),
        shutdown_s=8.0,
    )


def kinds(known: list[str], key: str) -> dict[str, Kind]:
    """What is asked: of workflows that are known, by whoever has a key."""
    shown = f"Authorization: Bearer {key}\r\n"
    body = json.dumps({"workflow_type": "waiting", "issue_title": "Benchmark {number}"})
    body = body.replace("{number}", "0" * 9).replace("0" * 9, "{number}")
    length = len(body) - len("{number}") + 9
    post = f"{shown}Content-Type: application/json\r\nContent-Length: {length}\r\n"
    return {
        "bare_asgi": Kind(app="bare_asgi", requests=[_request("GET /")]),
        "hello": Kind(app="hello", requests=[_request("GET /")]),
        "get": Kind(
            app="api", requests=[_request(f"GET /api/v1/workflows/{one}", shown) for one in known]
        ),
        "list": Kind(app="api", requests=[_request(f"GET /api/v1/workflows?limit={KNOWN}", shown)]),
        "post": Kind(
            app="api", requests=[_request("POST /api/v1/workflows", post) + body], status=201
        ),
    }


def _request(line: str, headers: str = "") -> str:
    return f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n{headers}\r\n"


async def _measured(directory: Path, size: Size) -> tuple[Samples, fanout.Fanout]:
    repo = directory / "repo"
    samples = Samples()
    async with (
        served(repo, [waiting]) as there,
        doors(there, repo) as ports,
        requesters() as clients,
    ):
        known = [await _start(there, number) for number in range(KNOWN)]
        found = await fanout.measure(
            ("127.0.0.1", ports["api"]), there.named("event_bus"), size.listeners
        )
        made = await ask(
            there.named("auth"), CreateKey(user_id="benchmark", roles=(Role.ADMIN,), by="benchmark")
        )
        asked = kinds(known, made.secret)
        for kind in asked.values():  # what is made at the first request is not measured
            await clients.measure(ports[kind.app], kind, max(CONNECTIONS), size.seconds / 10)
        for _ in range(size.rounds):
            for name, kind in asked.items():
                for connections in CONNECTIONS:
                    timing = await clients.measure(ports[kind.app], kind, connections, size.seconds)
                    samples.add(f"{name}_{connections}_per_s", timing["per_s"])
                    samples.add(f"{name}_{connections}_p50_ms", timing["p50_s"] * 1000)
                    samples.add(f"{name}_{connections}_p99_ms", timing["p99_s"] * 1000)
    return samples, found


async def _start(there: Served, number: int) -> str:
    message = StartWorkflow(workflow_type="waiting", title=f"Known {number}", variables={})
    return (await ask(there.named("manager"), message)).id


def run(scale: Scale, directory: Path) -> Report:
    size = SIZES[scale]
    with _many_files():
        samples, found = trio.run(_measured, directory, size)
    figures = {**samples.medians(), **fanout.figures(size.listeners, found)}
    settings = {"scale": scale, **asdict(size), "connections": list(CONNECTIONS), "known": KNOWN}
    return Report(name=NAME, settings=settings, figures=figures, ratios=_ratios(figures))


@contextmanager
def _many_files() -> Iterator[None]:
    """Room for a thousand connections."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))


def _ratios(figures: Mapping[str, float]) -> dict[str, float]:
    ratios = {
        f"{name}_{connections}_vs_hello": figures[f"{name}_{connections}_per_s"]
        / figures[f"hello_{connections}_per_s"]
        for name in ("get", "list", "post")
        for connections in CONNECTIONS
    }
    most = max(CONNECTIONS)
    ratios["hello_vs_bare_asgi"] = (
        figures[f"hello_{most}_per_s"] / figures[f"bare_asgi_{most}_per_s"]
    )
    return {key: rounded(value) for key, value in ratios.items()}


if __name__ == "__main__":
    main(NAME, run)
