"""What the lives of actors look like in the log and in the metrics.

The kernel tells its events to an observer; this is the one that a running system has. It only
writes down: supervision has acted already. It runs on the trio thread between two actors, so it
keeps no more than the paths of those that are up, and formats nothing that no log will hold.
"""

import logging
from collections.abc import Mapping
from functools import lru_cache

import structlog
from prometheus_client import Gauge

from actors.damage import damage_in
from actors.telemetry import Meters
from supervision import (
    ActorCrashed,
    ActorExited,
    ActorRestarted,
    ActorStarted,
    ChildGaveUp,
    DeadLetters,
    Event,
    MailboxOverflow,
    RestartScheduled,
    TellRefused,
    ThreadAbandoned,
)

LEVELS: Mapping[str, int] = {
    ActorStarted.key: logging.DEBUG,
    ActorExited.key: logging.DEBUG,
    ActorCrashed.key: logging.WARNING,
    RestartScheduled.key: logging.DEBUG,
    ActorRestarted.key: logging.INFO,
    ChildGaveUp.key: logging.ERROR,
    MailboxOverflow.key: logging.WARNING,
    DeadLetters.key: logging.WARNING,
    TellRefused.key: logging.WARNING,
    ThreadAbandoned.key: logging.ERROR,
}
"""By key. A crash alone is a warning: mending it is what supervisors are for."""

MANY = {"workflow_instances": "workflow"}
"""Parts with any number of children, and the one name under which those are counted."""

log = structlog.get_logger("beadflow.system")


class Lifecycle:
    """Observes one system. On the trio thread only."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._log = log.bind()  # once: it is half of what an event costs that is not logged
        self._up: set[str] = set()
        self._gauges: dict[str, Gauge] = {}
        self._traced: set[tuple[str, int]] = set()

    def __call__(self, event: Event) -> None:
        self._count(event, place(event.path))
        level = LEVELS.get(event.key, logging.DEBUG)
        if self._log.is_enabled_for(level):
            self._log.log(level, event.key, **event.fields(), **self._trace(event))

    def _trace(self, event: Event) -> dict[str, BaseException]:
        """The exception of a crash, for its traceback, the first time one comes from that line.

        A traceback takes ten times as long as the rest of its line, and in a storm all are alike.
        Of damage it would say nothing: the line names the file, and no code is to blame.
        """
        cause = event.reason.cause if isinstance(event, ActorCrashed) else None
        if cause is None or damage_in(cause) or (origin := _origin(cause)) in self._traced:
            return {}
        self._traced.add(origin)
        return {"exc_info": cause}

    def _count(self, event: Event, actor: str) -> None:
        meters = self._meters
        match event:
            case ActorStarted(path=path):
                self._up.add(path)
                self._gauge(actor).inc()
            case ActorExited(path=path):
                if path in self._up:  # one that failed to start was never counted
                    self._up.remove(path)
                    self._gauge(actor).dec()
                if isinstance(event, ActorCrashed):
                    meters.actor_crashes.labels(actor).inc()
            case ActorRestarted():
                meters.actor_restarts.labels(actor).inc()
            case ChildGaveUp():
                meters.actor_gave_up.labels(actor).inc()
            case MailboxOverflow():
                meters.actor_mailbox_overflows.labels(actor).inc()
            case DeadLetters(count=count):
                meters.actor_dead_letters.labels(actor).inc(count)
            case _:
                pass

    def _gauge(self, actor: str) -> Gauge:
        """How many are up. Kept: `labels` takes a lock and makes texts, 1 of 3 µs of an event."""
        gauge = self._gauges.get(actor)
        if gauge is None:
            gauge = self._gauges[actor] = self._meters.actors_up.labels(actor)
        return gauge


def place(path: str) -> str:
    """An actor's name in the tree; all workflows have one, so that labels stay few."""
    above, _, name = path.rpartition("/")
    return _one_of_many(above) or name


@lru_cache(maxsize=256)
def _one_of_many(above: str) -> str | None:
    """The name that all below it share, if they do; thousands of workflows ask for one path."""
    return next((MANY[part] for part in above.split("/") if part in MANY), None)


def _origin(error: BaseException) -> tuple[str, int]:
    """The line that raised it."""
    trace, found = error.__traceback__, ("", 0)
    while trace is not None:
        found = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found
