"""How the connections of the databases are used: the same for all three, set by the operator."""

from dataclasses import dataclass

__all__ = ["DEFAULTS", "Tuning"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """The knobs of the stores; every one has a default that fits.

    Args:
        connections: of each database's read pool, 1 or more. Two are enough for short queries,
            because the interpreter runs one at a time.
        idle_s: seconds after which a pool closes a connection that nobody uses; 0 never does.
        lifetime_s: seconds after which a pool replaces a connection; 0 never does.
        query_timeout_s: seconds a query of a pool may take when it states no deadline of its own.
        busy_timeout_s: seconds a connection waits for a lock that another one holds; 0 not at all.
        cached_statements: how many compiled statements each connection keeps.
        wal_limit_bytes: above this size of a write-ahead log its writer raises the alarm, and tries
            to shorten it; 0 does neither.
    """

    connections: int = 2
    idle_s: float = 300.0
    lifetime_s: float = 3600.0
    query_timeout_s: float = 5.0
    busy_timeout_s: float = 5.0
    cached_statements: int = 256
    wal_limit_bytes: int = 64 * MIB


DEFAULTS = Tuning()
