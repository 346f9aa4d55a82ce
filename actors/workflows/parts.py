"""What the actors of the engine are given of the rest of the system: names and connections."""

import sqlite3
from dataclasses import dataclass

from actors.clock import Clock
from actors.workflows.definition import Definitions
from storage.pool import ReadPool
from supervision import Named


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """What every workflow actor is given.

    Args:
        reader: one read-only connection for short look-ups by key, on the trio thread.
        pool: read-only connections off the trio thread, for long histories.
        parks: False where nothing would wake a workflow that waits as its row.
    """

    definitions: Definitions
    writer: Named
    coordinator: Named
    dispatcher: Named
    timers: Named
    bus: Named
    reader: sqlite3.Connection
    pool: ReadPool
    clock: Clock
    parks: bool = True
