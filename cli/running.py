"""A whole system in this process: stores, actors and doors, from the lock to the last goodbye.

The composition root. `up` serves with it until somebody stops it; a watched start without a server
runs one workflow with it; reads without a server use its stores alone.
"""

import gc
import logging
import random
import secrets
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import structlog

from actors import plugins
from actors.auth.epoch import AuthEpoch
from actors.breakers import Breakers
from actors.clock import system_clock
from actors.damage import LastCrash
from actors.errors import WorkflowError
from actors.lifecycle import Lifecycle
from actors.mailboxes import Mailboxes
from actors.stores import Stores, open_stores
from actors.telemetry import Meters
from actors.tree import World, tree
from actors.workflows.definition import Definitions
from api.doors import Doors, Where
from api.server import doors_specs
from cli import access, binding
from cli.exits import ExitCode
from cli.problem import Problem
from cli.settings import Settings, level_number
from storage.database import located
from storage.errors import Corrupt
from storage.git import ISSUES_REF
from storage.home import DataDir
from storage.issues.file import PUBLISHED
from storage.pool import ReadPool
from storage.presence import Presence
from storage.tuning import MIB
from supervision import ChildSpec, Event, StartError, System
from supervision.events import Observer

log = structlog.get_logger("beadflow.plugins")

SWITCH_INTERVAL_S = 1e-4
"""Beside a busy trio thread a writer's thread fell to 2 writes/s at the interpreter's own 5 ms."""

GC_THRESHOLDS = (10_000, 1, 500)
"""Short-lived messages are most of what is allocated: the default's 700 collects far too often.

What outlives a collection is most often there to stay, such as a workflow that waits: it is looked
at once more and then left alone. With 20 in place of 1 that second look took 95 ms, now 15.
"""

NEEDED = ("coordination_writer", "tempolite_writer", "beads_writer", "event_bus", "dispatcher")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """The listening sockets, bound once for every incarnation of the doors."""

    http: socket.socket
    metrics: socket.socket
    local: socket.socket

    @property
    def url(self) -> str:
        return _url(self.http)

    @property
    def local_path(self) -> str:
        return str(self.local.getsockname())

    @property
    def metrics_url(self) -> str:
        return f"{_url(self.metrics)}/metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a system is about: its data, whose lock is held, and the work tree it looks at."""

    data: DataDir
    repo: Path


def place(repo: Path | None, data_dir: Path | None) -> Place:
    """Find the place that is meant; touches nothing.

    Raises:
        StorageError: the repository belongs to another user.
        Problem: there is no such directory.
    """
    start = (repo or Path.cwd()).resolve()
    if not start.is_dir():
        raise Problem(
            "There is no such directory",
            str(start),
            code="no_such_directory",
            exit_code=ExitCode.USAGE,
        )
    data = DataDir.resolve(start, data_dir)
    root = data.git.work_tree if data.git and data.git.work_tree else start
    return Place(data=data, repo=root)


def refuse_without_git(where: Place) -> None:
    """See that Git is there where a repository is worked on: issues and agents need it.

    Raises:
        Problem: there is no program of that name.
    """
    if where.data.git is not None and shutil.which("git") is None:
        raise Problem(
            "Git is not there",
            "no directory of PATH has the program git",
            code="no_git",
            exit_code=ExitCode.FAILED,
            hint="install Git, or have PATH name the directory that it is in",
        )


@contextmanager
def bound(settings: Settings, data: DataDir) -> Iterator[Sockets]:
    """Bind all sockets. The lock of the data directory is held by the caller.

    Raises:
        Problem: a port is taken, an address is not loopback and there is no key that others would
            have to show, or the Unix socket cannot be made.
    """
    binding.refuse_without_key(settings, access.keys_of(data))
    with (
        binding.port(settings.host, settings.port, "--port") as http,
        binding.port(settings.metrics_host, settings.metrics_port, "--metrics-port") as metrics,
        binding.unix(data.socket) as local,
    ):
        yield Sockets(http=http, metrics=metrics, local=local)


def _url(listening: socket.socket) -> str:
    """From this machine: one that listens everywhere is also here."""
    host, port = listening.getsockname()[:2]
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


@asynccontextmanager
async def running(
    where: Place, settings: Settings, sockets: Sockets, *, drives_all: bool = True
) -> AsyncIterator[System]:
    """A system that is up, with its tree; on the way out it is stopped in order.

    The lock of the data directory is held by the caller. Without `drives_all` it leaves workflows
    alone that it did not start itself.

    Raises:
        Problem: a plugin cannot be used, or a part of the tree did not start; at the end, an actor
            came upon damage, and the system was stopped for it.
        StorageError: a database cannot be opened.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    chance = random.SystemRandom()
    meters = Meters()
    found = load_plugins(settings.plugins, strict_workflows=settings.strict_workflows)
    warn_of(found.definitions)
    opening = open_stores(
        where.data,
        chance=chance,
        observe=meters.observe_query,
        published=where.repo / PUBLISHED,
        tuning=settings.tuning,
    )

    def stop() -> None:
        system.request_stop()

    last_crash = LastCrash(stop)
    async with opening as stores:
        _watch_connections(meters, stores)
        async with System.open(_both(Lifecycle(meters), last_crash)) as system:
            meters.registry.register(Mailboxes(system.snapshot))
            world = World(
                data=where.data,
                stores=stores,
                repo=where.repo,
                definitions=found.definitions,
                agents=found.agents,
                agent_types=found.types,
                meters=meters,
                clock=system_clock,
                chance=chance,
                incarnation=secrets.token_hex(8),
                drives_all=drives_all,
                git_mode=settings.git_mode,
                artifact_limit_bytes=settings.artifact_limit_mib * MIB,
                artifacts_limit_bytes=settings.artifacts_limit_mib * MIB,
                retention_days=settings.retention_days if drives_all else 0,
                cache=settings.cache,
                redis=settings.redis,
                reconcile_s=settings.reconcile_s,
                agent_commands=settings.agents_commands,
                agent_environment=settings.agents_environment,
                model=settings.model,
                model_urls=settings.llm_urls,
                auth=settings.auth,
            )
            doors = doors_of(system, where, stores.presence, world.breakers, world.epoch)
            specs = doors_specs(
                doors,
                meters.registry,
                http=sockets.http,
                metrics=sockets.metrics,
                local=sockets.local,
                exposure=settings.exposure,
            )
            await _start(system, world, specs)
            if drives_all:  # others may rely on it: it stays until it is stopped
                where.data.announce(sockets.url, socket=sockets.local_path)
            gc.collect()
            gc.freeze()  # what is here now stays: full collections need not look at it again
            gc.set_threshold(*GC_THRESHOLDS)
            yield system
    if last_crash.damage is not None:
        raise _damaged(last_crash.damage)


def _both(first: Observer, second: Observer) -> Observer:
    def observe(event: Event) -> None:
        first(event)
        second(event)

    return observe


def _damaged(damage: Corrupt) -> Problem:
    """Looks for the place, now that nobody waits for anything else."""
    return Problem(
        "The system was stopped, since a database is damaged",
        str(located(damage)),
        code="store_damaged",
        exit_code=ExitCode.FAILED,
        hint="keep a copy of the data directory and restore a backup: beadflow db restore DIR",
    )


def load_plugins(files: tuple[Path, ...], *, strict_workflows: bool = False) -> plugins.Plugins:
    try:
        return plugins.load(files, strict_workflows=strict_workflows)
    except plugins.ForbiddenCallsError as error:
        raise Problem(
            "A plugin cannot be used",
            str(error),
            code="bad_plugin",
            exit_code=ExitCode.FAILED,
            hint="`# beadflow: allow RULE` on a line permits it there",
            errors=tuple(str(finding) for finding in error.findings),
        ) from error
    except plugins.PluginError as error:
        raise Problem(
            "A plugin cannot be used",
            str(error),
            code="bad_plugin",
            exit_code=ExitCode.FAILED,
        ) from error


def warn_of(definitions: Definitions) -> None:
    """Say what the lint has found in the workflows."""
    for known in definitions.every():
        which = {"workflow": known.name, "version": known.version}
        if not known.report.has_source:
            log.debug("workflow.unread", **which, why="its source is not there")
        for finding in known.report.findings:
            log.warning("workflow.forbidden", **which, **asdict(finding))


def doors_of(
    system: System,
    where: Place,
    presence: Presence,
    breakers: Breakers | None = None,
    epoch: AuthEpoch | None = None,
) -> Doors:
    """The mailboxes that the API's requests end up in."""
    return Doors(
        system=system,
        clock=system_clock,
        manager=system.named("manager"),
        coordinator=system.named("coordinator"),
        results=system.named("results"),
        analyst=system.named("analyst"),
        bus=system.named("event_bus"),
        tracker=system.named("tracker"),
        files=system.named("git_worker"),
        sync=system.named("sync"),
        reconciler=system.named("reconciler"),
        auth=system.named("auth"),
        needed=tuple((name, system.named(name)) for name in NEEDED),
        where=Where(
            data_dir=str(where.data.path),
            repo=str(where.repo),
            issues_file=str(where.repo / PUBLISHED),
            issues_ref=ISSUES_REF if where.data.git else None,
        ),
        keeps_files=lambda: presence.look() is None,
        circuits=(breakers or Breakers()).states,
        epoch=epoch or AuthEpoch(),
    )


async def _start(system: System, world: World, specs: list[ChildSpec]) -> None:
    try:
        await system.start(tree(system, world, specs))
    except StartError as error:
        raise not_started("The system did not start", error) from error


def not_started(title: str, error: StartError) -> Problem:
    """A part that refused to start may say what can be done about it."""
    cause: BaseException = error
    while isinstance(cause, StartError):
        cause = cause.cause
    hint = cause.hint if isinstance(cause, WorkflowError) else ""
    return Problem(
        title, str(error), code="start_failed", exit_code=ExitCode.FAILED, hint=hint or ""
    )


def _watch_connections(meters: Meters, stores: Stores) -> None:
    """The pool's connections, the one for look-ups, and the writer's."""
    for name in ("coordination", "tempolite", "beads"):
        pool = getattr(stores, name).pool
        gauge = meters.database_connections.labels(name)
        gauge.set_function(partial(_connections, pool))


def _connections(pool: ReadPool) -> int:
    return pool.connections + 2


def configure_logging(level: str) -> None:
    """Structured lines on standard error, one per event, with control characters escaped."""
    _configure_libraries(level)
    structlog.configure(
        processors=[*_FACTS, structlog.processors.format_exc_info, _escape, _RENDER],
        wrapper_class=structlog.make_filtering_bound_logger(level_number(level)),
        logger_factory=structlog.WriteLoggerFactory(_StandardError()),  # type: ignore[arg-type]
    )


_FACTS: tuple[structlog.typing.Processor, ...] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
_RENDER = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])


def _escape(_logger: object, _method: str, event: structlog.typing.EventDict) -> dict[str, object]:
    """One event is one line, whatever somebody put into a title."""
    return {key: _plain(value) if isinstance(value, str) else value for key, value in event.items()}


def _plain(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _configure_libraries(level: str) -> None:
    """What others log goes the same way, in the same form."""
    handler = _LibraryHandler(_StandardError())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _escape,
                _RENDER,
            ],
            foreign_pre_chain=_FACTS,
        )
    )
    root = logging.getLogger()
    root.handlers = [h for h in root.handlers if not isinstance(h, _LibraryHandler)] + [handler]
    root.setLevel(level_number(level))
    for chatty in ("aiosqlite", "git", "pykka", "urllib3"):
        logging.getLogger(chatty).setLevel(max(level_number(level), logging.INFO))


class _LibraryHandler(logging.StreamHandler["_StandardError"]):
    """Ours among the root logger's handlers, so that setting up twice is setting up once."""


class _StandardError:
    """Whatever standard error is now; nobody crashes because nobody reads the log any more."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
