"""What a supervisor does about a child that ended: OTP's rules as a function. Pure.

Lists are in start order unless a name says otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from supervision.exits import ExitKind

__all__ = [
    "AUTO_SHUTDOWNS",
    "RESTARTS",
    "STRATEGIES",
    "AutoShutdown",
    "Decision",
    "Restart",
    "Strategy",
    "decide",
    "ends_with",
    "should_restart",
]

Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]

RESTARTS: tuple[str, ...] = get_args(Restart)
STRATEGIES: tuple[str, ...] = get_args(Strategy)
AUTO_SHUTDOWNS: tuple[str, ...] = get_args(AutoShutdown)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, by child id.

    Attributes:
        stop: siblings to stop first, latest started first.
        start: children to start again then, in start order; empty when nothing is restarted.
        forget: temporary children that are gone for good.
    """

    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()


def should_restart(restart: Restart, kind: ExitKind) -> bool:
    """Says whether a child of this restart type comes back after an exit of this kind."""
    match restart:
        case "permanent":
            return True
        case "transient":
            return kind == "crash"
        case _:  # temporary
            return False


def decide(
    strategy: Strategy, children: Sequence[tuple[str, Restart]], failed: str, kind: ExitKind
) -> Decision:
    """Decides what becomes of the failed child and its siblings.

    Args:
        strategy: the supervisor's.
        children: id and restart type of every child, in start order.
        failed: id of the child that ended.
        kind: how it ended.
    """
    restarts = dict(children)
    if not should_restart(restarts[failed], kind):
        return Decision(forget=(failed,) if restarts[failed] == "temporary" else ())
    group = _group(strategy, list(restarts), failed)
    return Decision(
        stop=tuple(child for child in reversed(group) if child != failed),
        start=tuple(child for child in group if restarts[child] != "temporary"),
        forget=tuple(child for child in group if restarts[child] == "temporary"),
    )


def _group(strategy: Strategy, ids: list[str], failed: str) -> list[str]:
    match strategy:
        case "one_for_one":
            return [failed]
        case "rest_for_one":
            return ids[ids.index(failed) :]
        case _:  # one_for_all
            return ids


def ends_with(auto_shutdown: AutoShutdown, significant: Mapping[str, bool], ended: str) -> bool:
    """Says whether a supervisor ends because this child ended and does not come back.

    Args:
        auto_shutdown: the supervisor's.
        significant: every significant child, and whether it is over for good.
        ended: id of the child that ended just now.
    """
    if ended not in significant:
        return False
    match auto_shutdown:
        case "never":
            return False
        case "any_significant":
            return True
        case _:  # all_significant
            return all(significant.values())
