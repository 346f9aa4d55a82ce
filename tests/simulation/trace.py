"""What a simulation leaves behind that has to be the same when it is run again."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path

from actors.bus import NO_END, logged_fact
from actors.facts import LoggedFact
from storage.coordination.queries import EVENTS
from storage.database import open_reader
from storage.home import DataDir
from storage.issues.file import PUBLISHED


@dataclass(slots=True, kw_only=True)
class Trace:
    """All that is compared.

    Args:
        lifecycle: what the kernel told of every actor, with the time and the life.
        log: the numbered events, as they are at the end.
        ledger: what really happened, in order.
        rows: all that the three databases hold at the end.
        lines: what was written into the program's own log.
        issues: the published file, at the end.
    """

    lifecycle: list[str] = field(default_factory=list)
    log: list[LoggedFact] = field(default_factory=list)
    ledger: list[object] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    issues: bytes = b""

    def read(self, repo: Path) -> None:
        """Take what the last life left in its files."""
        data = DataDir.resolve(repo)
        self.rows.extend(_rows(data))
        self.log.extend(_log(data))
        self.issues = published(repo)

    def first_difference(self, other: "Trace") -> str | None:
        """Where two traces part, in one line; None when they do not."""
        for part in fields(self):
            left, right = getattr(self, part.name), getattr(other, part.name)
            if left != right:
                pairs = enumerate(zip(left, right, strict=False))
                end = min(len(left), len(right))
                where = next((number for number, (one, two) in pairs if one != two), end)
                here, there = left[where : where + 1], right[where : where + 1]
                return f"{part.name} {where} of {len(left)} and {len(right)}: {here} {there}"
        return None


def published(repo: Path) -> bytes:
    return (repo / PUBLISHED).read_bytes()


def _rows(data: DataDir) -> Iterator[str]:
    """Everything in the three databases, but where they lie and when they were migrated."""
    for path in (data.coordination_db, data.tempolite_db, data.beads_db):
        with closing(open_reader(path)) as connection:
            for statement in connection.iterdump():
                if "schema_migrations" not in statement and "'repository'" not in statement:
                    yield statement


def _log(data: DataDir) -> Iterator[LoggedFact]:
    with closing(open_reader(data.coordination_db)) as connection:
        yield from map(logged_fact, connection.execute(EVENTS, (0, NO_END, -1)))
