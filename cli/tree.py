"""The tree of actors as a server saw it, parsed at the edge into records."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from cli import records


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One actor; `more` counts the children that the server left out."""

    id: str
    path: str
    state: str
    restarts: int
    last_exit: str
    waiting: int
    bound: int
    handled: int
    refused: int
    uptime_s: float
    memory_bytes: int
    children: tuple["Actor", ...]
    more: int

    @classmethod
    def parse(cls, raw: object) -> Self:
        fields = records.mapping(raw, "an actor")
        mailbox = records.mapping(fields.get("mailbox"), "a mailbox")
        return cls(
            id=records.required(fields, "id", "an actor"),
            path=records.required(fields, "path", "an actor"),
            state=records.required(fields, "state", "an actor"),
            restarts=_count(fields, "restarts"),
            last_exit=records.text(fields, "last_exit"),
            waiting=_count(mailbox, "depth"),
            bound=_count(mailbox, "bound"),
            handled=_count(fields, "handled"),
            refused=_count(fields, "refused"),
            uptime_s=records.number(fields, "uptime_s") or 0.0,
            memory_bytes=_count(fields, "memory_bytes"),
            children=tuple(map(cls.parse, _list(fields, "children"))),
            more=_count(fields, "more"),
        )

    def walk(self) -> Iterator["Actor"]:
        """Yields this actor and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that nobody handled."""

    path: str
    message_type: str
    reason: str
    at: str

    @classmethod
    def parse(cls, raw: object) -> Self:
        fields = records.mapping(raw, "a dead letter")
        names = ("path", "message_type", "reason", "at")
        return cls(**{name: records.text(fields, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One look: the actors, how many of them are in which state, and what was told in vain."""

    root: Actor
    shown: int
    more: int
    states: Mapping[str, int]
    dead_letters: int
    last_letter: DeadLetter | None

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        totals = records.mapping(answer.get("totals"), "totals")
        states = records.mapping(totals.get("by_state"), "totals by state")
        letters = records.mapping(answer.get("dead_letters"), "dead letters")
        recent = _list(letters, "recent")
        return cls(
            root=Actor.parse(answer.get("tree")),
            shown=_count(totals, "shown"),
            more=_count(totals, "more"),
            states={state: _count(states, state) for state in states},
            dead_letters=_count(letters, "count"),
            last_letter=DeadLetter.parse(recent[-1]) if recent else None,
        )

    def happenings(self) -> object:
        """What differs exactly when an actor came or went, or a message was turned away or lost.

        Times, sizes, and how many messages wait or were handled are no part of it: they change
        while everything is well.
        """
        actors = ((a.path, a.state, a.restarts, a.refused, a.more) for a in self.root.walk())
        return (tuple(actors), self.dead_letters)


def _count(fields: Mapping[str, Any], key: str) -> int:
    return records.whole(fields, key) or 0


def _list(fields: Mapping[str, Any], key: str) -> list[Any]:
    found = fields.get(key)
    return found if isinstance(found, list) else []
