"""The JSON text of events, made once for all who are sent it.

A batch that a thousand listeners want is encoded once, and joined once. What is kept is bounded,
and only saves time: a text that is gone is made again.
"""

import json
from collections.abc import Callable
from typing import Final

from actors.facts import LAGGED, LoggedFact

Batch = tuple[LoggedFact, ...]

KEPT_BYTES: Final = 8 << 20
"""What the texts of single events take at most, and as much again those of batches."""

# One encoder: json.dumps makes it anew for each value. ASCII alone, so that characters are bytes.
_encode = json.JSONEncoder(separators=(",", ":")).encode


class PerBatch:
    """Texts of batches, by identity, each made once while it is among the last that were asked for.

    Args:
        make: makes the text; it is called again once what was kept is out of bounds.
    """

    def __init__(self, make: Callable[[Batch], str], kept_bytes: int = KEPT_BYTES) -> None:
        self._make = make
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._kept: dict[int, tuple[Batch, str]] = {}

    def of(self, batch: Batch) -> str:
        found = self._kept.get(id(batch))
        if found is not None:
            return found[1]
        text = self._make(batch)
        self._kept[id(batch)] = (batch, text)  # with the batch, so that nothing else gets its id
        self._bytes += len(text)
        while self._bytes > self._kept_bytes and len(self._kept) > 1:
            _, gone = self._kept.pop(next(iter(self._kept)))
            self._bytes -= len(gone)
        return text


class Texts:
    """The texts of one log's events."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._kept: dict[int, str] = {}
        self._batches = PerBatch(self.joined, kept_bytes)

    def of(self, fact: LoggedFact) -> str:
        """An event as a JSON object, in ASCII."""
        text = self._kept.get(fact.seq)
        if text is None or fact.type == LAGGED:  # a marker has the number of another event
            text = _encode(fact._asdict())
            if fact.type != LAGGED:
                self._keep(fact.seq, text)
        return text

    def joined(self, batch: Batch) -> str:
        """Events as the inside of a JSON array."""
        return ",".join(map(self.of, batch))

    def of_batch(self, batch: Batch) -> str:
        """As `joined`, kept for whoever else is sent the very same batch."""
        return self._batches.of(batch)

    def _keep(self, seq: int, text: str) -> None:
        self._kept[seq] = text
        self._bytes += len(text)
        while self._bytes > self._kept_bytes and len(self._kept) > 1:
            self._bytes -= len(self._kept.pop(next(iter(self._kept))))
