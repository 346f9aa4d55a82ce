"""What a command does by itself when nobody serves: read the stores, or run one workflow."""

import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import httpx2
import trio

from actors.analytics.analyst import Analyst
from actors.clock import system_clock
from actors.coordination.cache import CacheManager
from actors.coordination.manager import WorkflowManager
from actors.coordination.record_memory import Limits, RecordMemory
from actors.coordination.results.storage import ResultsStorage
from actors.coordination.results.types import ResultTypes
from actors.stores import Stores, open_stores
from api.app import create_app
from cli import problem
from cli.client import unix_url
from cli.exits import ExitCode
from cli.problem import Problem
from cli.running import (
    Place,
    Sockets,
    bound,
    configure_logging,
    doors_of,
    load_plugins,
    place,
    refuse_without_git,
    running,
)
from cli.settings import Settings
from storage.agreement import is_new, refuse_incomplete
from storage.artifacts import Artifacts
from storage.exchange import refuse_unfinished
from supervision import ChildSpec, System, supervisor

LOG_LEVEL = "error"
BASE = "http://localhost"
WORKFLOWS = "/api/v1/workflows"


class Watch(Protocol):
    """Starts the workflow on the server it is given, and answers the command's exit code."""

    def __call__(self, base_url: str) -> int: ...

    def detach(self) -> None: ...


def start_and_watch(
    request: dict[str, Any],
    *,
    repo: Path,
    data_dir: Path | None,
    config: Path | None,
    watch: Watch,
) -> int:
    """Run a whole system in this process for as long as one workflow takes, and drive only that.

    `watch` is called in a thread with the system's address once it is up, starts the workflow
    there, and answers the exit code.
    """
    del request  # it is `watch` that sends it, because only its sender learns the id
    settings = _for_nobody_else(Settings.read(config))
    configure_logging(LOG_LEVEL)
    where = place(repo, data_dir)
    refuse_without_git(where)
    with where.data, bound(settings, where.data) as sockets:
        return trio.run(_watched, where, settings, sockets, watch)


def _for_nobody_else(settings: Settings) -> Settings:
    """The settings without whatever would let others in, who have nothing to ask here."""
    return replace(
        settings,
        host="127.0.0.1",
        port=0,
        metrics_host="127.0.0.1",
        metrics_port=0,
        allowed_hosts=(),
        cors_origins=(),
        trusted_proxies=(),
        behind_tls_proxy=False,
    )


async def _watched(where: Place, settings: Settings, sockets: Sockets, watch: Watch) -> int:
    system = running(where, settings, sockets, drives_all=False)
    async with system, trio.open_nursery() as nursery:
        nursery.start_soon(_detach_on_interrupt, watch)
        code = await trio.to_thread.run_sync(watch, unix_url(sockets.local_path))
        nursery.cancel_scope.cancel()
    return code


async def _detach_on_interrupt(watch: Watch) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            watch.detach()


def read(path: str, params: dict[str, Any], *, repo: Path, data_dir: Path | None) -> dict[str, Any]:
    """Answer one GET of the API from the stores, read-only and without the lock.

    Raises:
        Problem: the API's own refusal; or there is no data yet.
        StorageError: the stores cannot be read.
    """
    configure_logging(LOG_LEVEL)
    where = place(repo, data_dir)
    refuse_unfinished(where.data.path)
    if is_new(where.data.path):
        if path == WORKFLOWS:
            return {"data": [], "next_cursor": None}
        raise Problem(
            "There is no data yet",
            f"no workflow was ever started with {where.data.path}",
            code="no_data",
            exit_code=ExitCode.NOT_FOUND,
            hint="start one: beadflow workflow start TYPE TITLE --watch",
        )
    refuse_incomplete(where.data.path)
    status, body = trio.run(_read, where, path, params)
    if status >= 400:  # noqa: PLR2004 - HTTP's own line between answers and refusals
        raise problem.from_answer(status, body)
    return dict(body)


async def _read(where: Place, path: str, params: dict[str, Any]) -> tuple[int, Any]:
    async with _reading(where) as app:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
            answer = await client.get(path, params=params)
    return answer.status_code, answer.json() if answer.is_success else answer.content


@asynccontextmanager
async def _reading(where: Place) -> AsyncIterator[Any]:
    """The API's app over a system of actors that only read: manager, results and analyst."""
    chance = random.SystemRandom()
    found = load_plugins(())
    stores_open = open_stores(where.data, chance=chance, observe=_unobserved, prepare=False)
    async with stores_open as stores, System.open() as system:

        def manager() -> WorkflowManager:
            return WorkflowManager(
                home=stores.identity.home,
                definitions=found.definitions,
                pool=stores.coordination.pool,
                histories=stores.tempolite.pool,
                coordination=system.named("coordination_writer"),
                tempolite=system.named("tempolite_writer"),
                beads=system.named("beads_writer"),
                tracker=system.named("tracker"),
                coordinator=system.named("coordinator"),
                dispatcher=system.named("dispatcher"),
                intents=system.named("intents"),
                event_bus=system.named("event_bus"),
                cache=uncached(stores),
                clock=system_clock,
                chance=chance,
            )

        def results() -> ResultsStorage:
            return ResultsStorage(
                directory=where.data.path,
                artifacts=Artifacts(where.data.artifacts),
                pool=stores.coordination.pool,
                histories=stores.tempolite.pool,
                coordination=system.named("coordination_writer"),
                event_bus=system.named("event_bus"),
                types=ResultTypes(found.definitions, {}),
                clock=system_clock,
                agents={},
                sweeps=False,
            )

        def analyst() -> Analyst:
            return Analyst(pool=stores.coordination.pool, clock=system_clock)

        actors = [
            ChildSpec(id="manager", name="manager", build=manager),
            ChildSpec(id="results", name="results", build=results),
            ChildSpec(id="analyst", name="analyst", build=analyst),
        ]
        await system.start(supervisor("root", "one_for_one", actors))
        yield create_app(doors_of(system, where, stores.presence))


def uncached(stores: Stores) -> CacheManager:
    """A road that leads to the databases alone: here nobody would tell of a change."""
    return CacheManager(
        coordination=stores.coordination.inline,
        tempolite=stores.tempolite.inline,
        pool=stores.coordination.pool,
        histories=stores.tempolite.pool,
        memory=RecordMemory(Limits(records=0), lambda _level, _what: None),
    )


def _unobserved(database: str, operation: str, seconds: float) -> None:
    del database, operation, seconds
