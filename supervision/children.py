"""Child administration: what anybody may ask of a supervisor, in OTP's words.

A static supervisor answers all of it. A dynamic one keeps no spec of a child that is over, so there
is nothing to restart or to delete: it answers the rest.
"""

from dataclasses import dataclass

from supervision.child import ChildSpec
from supervision.ref import ActorRef
from supervision.request import Ask

__all__ = [
    "ChildCount",
    "CountChildren",
    "DeleteChild",
    "RestartChild",
    "StartChild",
    "TerminateChild",
    "WhichChildren",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChild(Ask[ActorRef]):
    """Start one more child, after all others, and answer with its ref once it is up.

    Refused with `ChildExists` (the id is taken), with what the child's own `on_start` refused with,
    or with `StartError` when it did not start; such a child is forgotten.
    """

    spec: ChildSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateChild(Ask[None]):
    """Stop a child and answer when it is down. Refused with `ChildUnknown`.

    A static supervisor keeps its spec for a `RestartChild`, unless the child is temporary; it also
    returns when its group is restarted. A dynamic supervisor forgets it.
    """

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartChild(Ask[ActorRef]):
    """Start a child that is over, and answer with its ref once it is up.

    Refused with `ChildUnknown`; with `ChildRunning`, also when a thread of it was given up and
    still runs; or as `StartChild` when it did not start; then it stays over.
    """

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteChild(Ask[None]):
    """Forget a child that is over. Refused with `ChildUnknown` or `ChildRunning`."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WhichChildren(Ask[tuple[str, ...]]):
    """Answer with the ids of all children, in start order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildCount:
    """How many children there are.

    Attributes:
        specs: all, running or not.
        active: those that run.
        supervisors: those that are supervisors, running or not.
        workers: those that are not.
    """

    specs: int
    active: int
    supervisors: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CountChildren(Ask[ChildCount]):
    """Answer how many children there are."""
