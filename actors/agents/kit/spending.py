"""What a model's turns have cost an agent so far, over all workflows and restarts: a line each."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, Field
from pydantic import ValidationError as ModelError

from actors.agents.kit.outcome import Model
from actors.agents.kit.usage import Budget, Usage
from storage.durable import replace

_COMPACT_BYTES: Final = 1 << 20


class AgentBudget(Budget):
    """What an agent may spend in all of its workflows.

    Attributes:
        window_s: within so many seconds, back from now; 0 is since it was first started.
    """

    window_s: float = Field(default=86_400.0, ge=0.0, le=366 * 86_400.0)


class Entry(Model):
    """What a turn has cost; `key` is the turn's, so that none counts twice."""

    at: AwareDatetime
    key: str
    usage: Usage


class Spending:
    """One agent's account.

    Args:
        directory: where it is kept; need not be there yet.
        agent_id: whose it is.
    """

    def __init__(self, directory: Path, agent_id: str) -> None:
        self._file = directory / f"spending-{agent_id}.jsonl"

    def total(self, now: datetime, window_s: float) -> Usage:
        """What was spent within a time; 0 is ever. Reads a file."""
        kept = self._within(now, window_s)
        return sum((entry.usage for entry in kept.values()), Usage())

    def add(self, entry: Entry, window_s: float) -> None:
        """Write a turn down; durable on return. A turn that is there already is replaced."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._file.open("ab") as file:
            file.write(b"\n" + entry.model_dump_json().encode() + b"\n")  # ends a torn line
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if size > _COMPACT_BYTES:
            self._compact(entry.at, window_s)

    def _within(self, now: datetime, window_s: float) -> dict[str, Entry]:
        try:
            lines = self._file.read_bytes().splitlines()
        except FileNotFoundError:
            return {}
        since = now - timedelta(seconds=window_s) if window_s else datetime.min.replace(tzinfo=UTC)
        found = {}
        for line in lines:
            try:
                entry = Entry.model_validate(json.loads(line))
            except (ValueError, ModelError):
                continue  # the last line of a crash
            found[entry.key] = entry
        return {key: entry for key, entry in found.items() if entry.at >= since}

    def _compact(self, now: datetime, window_s: float) -> None:
        """Forget what is too old, or add up what is never too old."""
        kept = self._within(now, window_s)
        *older, last = kept.values()
        if not window_s and older:
            usage = sum((entry.usage for entry in older), Usage())
            older = [Entry(at=now, key="before", usage=usage)]
        lines = (entry.model_dump_json() + "\n" for entry in (*older, last))
        replace(self._file, "".join(lines).encode())
