"""Damage that an actor met at its own work: no restart mends it, so it ends the system, at once.

A request that meets a damaged database is refused with `StoreDamaged`, and a workflow whose own
history cannot be read is set aside alone. But the bus, the coordinator and the others of the tree
have nobody to refuse to: they crash, and would until every budget is used up. The first such crash
is the last: the system is stopped in order, and whoever runs it says which file it was.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from actors.errors import StoreDamaged
from storage.errors import Corrupt, QueryFailed
from supervision import ActorCrashed, Event

ALONE = ("workflow_instances", "agent_instances")
"""Whose children are set aside one by one."""

log = structlog.get_logger("beadflow.damage")


class LastCrash:
    """Observes one system, and has it stopped when an actor crashes on a damaged database.

    Attributes:
        damage: what was met first; None as long as all is well.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.damage: Corrupt | None = None
        self._stop = stop

    def __call__(self, event: Event) -> None:
        if self.damage is not None or not isinstance(event, ActorCrashed):
            return
        damage = damage_in(event.reason.cause)
        if damage is not None and (not _is_alone(event.path) or _is_refused(event.reason.cause)):
            self.damage = damage
            log.critical("stopping: a database is damaged", met_by=event.path, why=str(damage))
            self._stop()


def damage_in(error: BaseException | None) -> Corrupt | None:
    """Gives the damage that led to an error, if any did."""
    return next((cause for cause in _causes(error) if isinstance(cause, Corrupt)), None)


@contextmanager
def refusing_damage(operation: str) -> Iterator[None]:
    """For reads that somebody asked for: damage is an answer to that one, and no crash.

    Raises:
        StoreDamaged: the database cannot be read there.
    """
    try:
        yield
    except (Corrupt, QueryFailed) as error:
        damage = damage_in(error)
        if damage is None:
            raise
        text = f"{operation} was refused: {damage}"
        raise StoreDamaged(text, operation=operation) from damage


def _is_alone(path: str) -> bool:
    return any(part in ALONE for part in path.split("/")[:-1])


def _is_refused(error: BaseException | None) -> bool:
    """Whether it is the writer that knows of the damage: then nobody can write any more."""
    return any(isinstance(cause, StoreDamaged) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__
