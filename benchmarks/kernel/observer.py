"""The telemetry that is on while the kernel is measured."""

from collections import Counter

import trio

from supervision import ActorStarted, Event

__all__ = ["Observer"]


class Observer:
    """Counts events by key, as a meter does, and lets one task for each path wait for its start."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._awaited: dict[str, trio.Event] = {}

    def __call__(self, event: Event) -> None:
        self.counts[event.key] += 1
        if isinstance(event, ActorStarted) and event.path in self._awaited:
            self._awaited.pop(event.path).set()

    def next_start(self, path: str) -> trio.Event:
        """Returns what is set when the actor at the path has started again."""
        return self._awaited.setdefault(path, trio.Event())
