"""pykka's registry of running actors, with an index in place of its list.

pykka removes a ref by walking the list: with thousands of actors every stop costs a walk (measured,
see docs/architecture.md). A dict keeps insertion order, which `ActorRegistry.stop_all` relies on,
and removes at once. Importing this module puts the index in, once for the process. Our actors enter
and leave here, because pykka's own `register` words a line for its log each time.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pykka

__all__ = ["RefIndex", "enter", "install", "leave"]


class RefIndex:
    """The part of a list that `pykka.ActorRegistry` uses, at constant cost per ref."""

    def __init__(self, refs: Iterable[pykka.ActorRef[Any]] = ()) -> None:
        self._refs = dict.fromkeys(refs)

    def append(self, ref: pykka.ActorRef[Any]) -> None:
        self._refs[ref] = None

    def remove(self, ref: pykka.ActorRef[Any]) -> None:
        del self._refs[ref]

    def __contains__(self, ref: object) -> bool:
        return ref in self._refs

    def __iter__(self) -> Iterator[pykka.ActorRef[Any]]:
        return iter(self._refs)

    def __len__(self) -> int:
        return len(self._refs)

    def __getitem__(self, part: slice) -> list[pykka.ActorRef[Any]]:
        return list(self._refs)[part]


def install() -> None:
    """Replaces the list by the index, keeping who is registered; a second call changes nothing."""
    registry = pykka.ActorRegistry
    with registry._actor_refs_lock:  # noqa: SLF001  the list has no public seam
        if not isinstance(registry._actor_refs, RefIndex):  # noqa: SLF001
            index: Any = RefIndex(registry._actor_refs)  # noqa: SLF001
            registry._actor_refs = index  # noqa: SLF001


def enter(ref: pykka.ActorRef[Any]) -> None:
    """Registers a running actor."""
    with pykka.ActorRegistry._actor_refs_lock:  # noqa: SLF001
        pykka.ActorRegistry._actor_refs.append(ref)  # noqa: SLF001


def leave(ref: pykka.ActorRef[Any]) -> None:
    """Takes an actor out that has ended."""
    with pykka.ActorRegistry._actor_refs_lock:  # noqa: SLF001
        pykka.ActorRegistry._actor_refs.remove(ref)  # noqa: SLF001


install()
