"""The ledger of evidence: facts are entered under subject and topic, and cited by them.

A claim never writes an id down: it names what it rests on, and the ledger answers with the ids of
what was entered. So every citation exists, and evidence gathered apart can be numbered anew.
"""

from collections.abc import Iterable
from datetime import datetime

from actors.agents.kit.untrusted import plain
from actors.agents.research.facts import Evidence

_STATEMENT_CHARACTERS = 600


class Ledger:
    """Evidence in the order in which it is entered, numbered from E1."""

    def __init__(self, entries: Iterable[Evidence] = ()) -> None:
        self._entries: list[Evidence] = []
        for entry in entries:
            self._append(entry)

    @property
    def entries(self) -> tuple[Evidence, ...]:
        return tuple(self._entries)

    def enter(self, subject: str, topic: str, *, source: str, at: datetime, statement: str) -> None:
        self._append(
            Evidence(
                id="E1",
                subject=subject,
                topic=topic,
                source=source,
                retrieved_at=at,
                statement=plain(statement, _STATEMENT_CHARACTERS),
            )
        )

    def cite(self, subject: str, *topics: str) -> tuple[str, ...]:
        """The ids of what was entered on the subject under these topics."""
        return tuple(e.id for e in self._entries if e.subject == subject and e.topic in topics)

    def first(self, subject: str, topic: str) -> Evidence | None:
        return next((e for e in self._entries if (e.subject, e.topic) == (subject, topic)), None)

    def _append(self, entry: Evidence) -> None:
        number = f"E{len(self._entries) + 1}"
        self._entries.append(entry.model_copy(update={"id": number}))
