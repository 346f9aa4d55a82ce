"""What a simulation leaves behind that has to be the same when it is run again."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from actors.bus import NO_END, logged_fact
from actors.facts import LoggedFact
from storage.coordination.queries import EVENTS
from storage.database import open_reader
from storage.home import DataDir
from storage.issues.file import PUBLISHED


@dataclass(slots=True, kw_only=True)
class Trace:
    """All that is compared, but for the place where it happened.

    Args:
        place: the simulation's directory, which differs from run to run.
        lifecycle: what the kernel told of every actor, with the time and the life.
        log: the numbered events, as they are at the end.
        ledger: what really happened, in order.
        rows: all that the three databases hold at the end.
        lines: what was written into the program's own log.
        issues: the published file, at the end.
    """

    place: Path
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

    def plain(self) -> dict[str, list[str]]:
        """Everything as texts, as if it had happened nowhere."""
        parts = {
            "lifecycle": self.lifecycle,
            "log": self.log,
            "ledger": self.ledger,
            "rows": self.rows,
            "lines": self.lines,
            "issues": self.issues.decode().splitlines(),
        }
        place = str(self.place.resolve())
        return {
            name: [str(item).replace(place, "") for item in part] for name, part in parts.items()
        }

    def first_difference(self, other: "Trace") -> str | None:
        """Where two traces part, in one line; None when they do not."""
        theirs = other.plain()
        for name, mine in self.plain().items():
            for number, (one, two) in enumerate(zip_longest(mine, theirs[name])):
                if one != two:
                    return f"{name} {number}: {one} | {two}"
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
