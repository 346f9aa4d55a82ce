"""Waiting: in which order work of one kind gets the agents there are. Pure.

Each workflow stands in line once, with the first of what it waits for. The most urgent is first; of
the equally urgent the workflow for which the least is being done; of those the one that has waited
longest since it was given an agent, so that one with much to do keeps no other waiting. Whoever has
waited for `STEP_S` counts as one step more urgent, and again after each further one: nobody waits
for ever while others of the same or less urgency go first.

Taking the next one costs the logarithm of how many wait, and a little for each workflow that
something is being done for: that is bounded by what the agents can do at once.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from actors.clock import rfc3339

STEP_S: Final = 600.0
"""How long a wait is worth one step of priority."""

LOWEST: Final = 4

Head = tuple[int, str]
"""(priority, since when it waits) of the first thing that a workflow waits for."""

_Place = tuple[int, int, str, str]


def steps_ago(now: datetime) -> tuple[str, ...]:
    """The moments that lie one, two … steps back, as they are stored."""
    return tuple(rfc3339(now - timedelta(seconds=STEP_S * n)) for n in range(1, LOWEST + 1))


def urgency(head: Head, steps: Sequence[str]) -> int:
    """How urgent it is by now: 0 is most."""
    priority, since = head
    return max(0, priority - sum(since <= moment for moment in steps))


@dataclass(slots=True)
class Line:
    """Those who wait for agents of one type.

    Args:
        heads: the first of what each workflow waits for.
    """

    heads: dict[str, Head] = field(default_factory=dict)
    _bands: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    def put(self, workflow_id: str, head: Head) -> None:
        """The workflow waits for this first."""
        if self.heads.get(workflow_id) != head:
            self.heads[workflow_id] = head
            self._push(workflow_id, head)

    def drop(self, workflow_id: str) -> None:
        """The workflow waits for nothing. Its place is found empty later."""
        self.heads.pop(workflow_id, None)

    def _push(self, workflow_id: str, head: Head) -> None:
        priority, since = head
        heapq.heappush(self._bands.setdefault(priority, []), (since, workflow_id))

    def in_order(self, now: datetime, running: Callable[[str], int]) -> Iterator[str]:
        """Go through those who wait, the first one first.

        Whoever takes one calls `put` or `drop` before the next: one that is put again comes again,
        behind those for which less is being done. The others keep their places.

        Args:
            now: the present.
            running: how much is being done for a workflow.
        """
        steps = steps_ago(now)
        held: list[_Place] = []
        passed: dict[str, Head] = {}
        try:
            while (place := self._first(steps, running, held, passed)) is not None:
                workflow_id = place[3]
                head = passed[workflow_id] = self.heads[workflow_id]
                yield workflow_id
                if self.heads.get(workflow_id) != head or running(workflow_id) != place[1]:
                    del passed[workflow_id]
                    if workflow_id in self.heads:
                        self._push(workflow_id, self.heads[workflow_id])
        finally:
            for _, _, _, workflow_id in held:
                passed.setdefault(workflow_id, self.heads.get(workflow_id, (0, "")))
            for workflow_id in passed:
                if workflow_id in self.heads:
                    self._push(workflow_id, self.heads[workflow_id])

    def _first(
        self,
        steps: Sequence[str],
        running: Callable[[str], int],
        held: list[_Place],
        passed: dict[str, Head],
    ) -> _Place | None:
        """Take the best place out of all bands, and hold those aside that others may overtake."""
        tops: list[_Place] = []
        for priority, band in self._bands.items():
            while band:
                since, workflow_id = band[0]
                if self.heads.get(workflow_id) != (priority, since) or workflow_id in passed:
                    heapq.heappop(band)  # it has moved on, or was here in this round
                    continue
                busy = running(workflow_id)
                place = (urgency((priority, since), steps), busy, since, workflow_id)
                if not busy:
                    tops.append(place)
                    break
                heapq.heappop(band)
                heapq.heappush(held, place)
        while held and not self._stands(held[0], passed):
            heapq.heappop(held)
        best = min(tops, default=None)
        if held and (best is None or held[0] < best):
            return heapq.heappop(held)
        if best is not None:
            heapq.heappop(self._bands[self.heads[best[3]][0]])
        return best

    def _stands(self, place: _Place, passed: dict[str, Head]) -> bool:
        head = self.heads.get(place[3])
        return head is not None and head[1] == place[2] and place[3] not in passed
