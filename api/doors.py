"""What the API knows of the system behind it: its actors, and where things lie."""

from collections.abc import Callable
from dataclasses import dataclass, field

from actors.auth.epoch import AuthEpoch
from actors.breakers import CircuitState
from actors.clock import Clock
from supervision import Named, System


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a system keeps what it was given, for people who want to look."""

    data_dir: str
    repo: str
    issues_file: str
    issues_ref: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The mailboxes that requests end up in, and the system itself for those who only look.

    Args:
        needed: actors that have to be there for the system to be ready, by name.
        keeps_files: whether the files of the stores are still where they were; it may block.
        circuits: the circuits of the services outside, as they are now.
        keeps_answers: whether the manager is there to keep what repeated requests are answered.
        epoch: of what may be remembered of credentials.
    """

    system: System
    clock: Clock
    manager: Named
    coordinator: Named
    results: Named
    analyst: Named
    bus: Named
    tracker: Named
    files: Named
    sync: Named
    reconciler: Named
    auth: Named
    needed: tuple[tuple[str, Named], ...]
    where: Where
    keeps_files: Callable[[], bool]
    circuits: Callable[[], tuple[CircuitState, ...]] = tuple
    keeps_answers: bool = True
    epoch: AuthEpoch = field(default_factory=AuthEpoch)
