"""`beadflow up`: serve until somebody says stop."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import structlog
import trio
from cyclopts import Parameter

from cli import access, binding
from cli.exits import ExitCode
from cli.holding import held
from cli.numbers import WHOLE
from cli.output import Output
from cli.paths import PATH
from cli.problem import Problem
from cli.running import Place, Sockets, bound, configure_logging, place, refuse_without_git, running
from cli.settings import LEVELS, Settings
from supervision import ExitReason, System

log = structlog.get_logger("beadflow.serve")

PATIENCE_S = 5.0
"""How long to wait for a command that holds the data directory for a moment."""

REDIS_URL = "WORKFLOW_REDIS_URL"
"""No option: everybody on the machine can read a command line, and this holds a password."""

_REPO = "The Git repository to serve; by default the one around the current directory."
_DATA = "Where to keep the databases; by default beadflow/ in the repository's Git directory."
_CONFIG = f"A settings file (TOML): {', '.join(field.name for field in fields(Settings))}."


def up(
    *,
    repo: Annotated[Path | None, PATH, Parameter(help=_REPO)] = None,
    data_dir: Annotated[
        Path | None, PATH, Parameter(env_var="WORKFLOW_DATA_DIR", help=_DATA)
    ] = None,
    host: Annotated[
        str | None,
        Parameter(help="An address to listen on; elsewhere than on loopback once there is a key."),
    ] = None,
    port: Annotated[
        int | None, WHOLE, Parameter(help="Port of the API; 0 picks a free one.")
    ] = None,
    metrics_port: Annotated[
        int | None, WHOLE, Parameter(help="Port of /metrics; 0 picks a free one.")
    ] = None,
    config: Annotated[
        Path | None, PATH, Parameter(env_var="WORKFLOW_CONFIG_PATH", help=_CONFIG)
    ] = None,
    log_level: Annotated[
        str | None, Parameter(env_var="WORKFLOW_LOG_LEVEL", help=f"One of {', '.join(LEVELS)}.")
    ] = None,
    out: Annotated[Output, Parameter(parse=False)],
) -> int:
    """Serve the API, run workflows and keep issues in Git.

    The address is printed on standard output once the system takes requests; the log goes to
    standard error. Interrupt it once to stop in order, twice to stop at once: either way nothing
    that was acknowledged is lost.
    """
    settings = (
        Settings.read(config)
        .override(host=host, port=port, metrics_port=metrics_port, log_level=log_level)
        .override(redis_url=os.environ.get(REDIS_URL))
        .checked()
    )
    configure_logging(settings.log_level)
    where = place(repo, data_dir)
    refuse_without_git(where)
    with held(where.data, patience_s=PATIENCE_S), bound(settings, where.data) as sockets:
        reason = trio.run(_serve, where, settings, sockets, out)
    if reason.crashed:
        raise Problem(
            "The system gave up",
            str(reason),
            code="system_failed",
            exit_code=ExitCode.FAILED,
            hint="the log says what failed; start it again once that is mended",
        )
    return ExitCode.OK


async def _serve(where: Place, settings: Settings, sockets: Sockets, out: Output) -> ExitReason:
    # The signals are received before anybody is told that there is something to stop.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with running(where, settings, sockets) as system:
            for warning in binding.warnings_of(settings, access.keys_of(where.data)):
                out.note(warning, "yellow")
            _announce(where, sockets, out)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_stop_on_signal, system, signals)
                reason = await system.wait()
                nursery.cancel_scope.cancel()
    return reason


def _announce(where: Place, sockets: Sockets, out: Output) -> None:
    facts = {
        "url": sockets.url,
        "socket": sockets.local_path,
        "metrics": sockets.metrics_url,
        "repository": str(where.repo),
        "data": str(where.data.path),
    }
    if out.json:
        out.envelope("up", facts)
    else:
        out.fields(facts)
    sys.stdout.flush()


async def _stop_on_signal(system: System, signals: AsyncIterator[int]) -> None:
    """The first signal stops in order; the second ends the process at once."""
    number = await anext(signals)
    log.info("stopping", signal=signal.Signals(number).name)
    system.request_stop()
    os._exit(128 + await anext(signals))
