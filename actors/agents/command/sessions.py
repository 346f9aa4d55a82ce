"""What is known of each conversation with a program, and that it has one turn at a time.

A record is written before a program is started and as soon as the program says by which id it knows
the conversation, so that a later turn, or the same one after a crash, goes on where this one was.
The lock is the kernel's, and a program's guard holds it too: after a crash of the server the next
turn begins when nothing of the last one runs any more.
"""

import fcntl
import itertools
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio
from pydantic import ValidationError as ModelError

from actors.agents.command.messages import Turn
from actors.agents.kit.outcome import Model
from actors.agents.kit.usage import Usage
from storage.durable import replace

NAMESPACE: Final = uuid.UUID("5b0f2a52-9a57-5f0e-8d3c-0d6a6f3f3c11")
"""Ids of sessions are made in it; it must not change, or older ones are not found again."""

_PAST_TURNS: Final = 10
_PAST_CHARACTERS: Final = 2_000
_POLL_S: Final = 0.2


class Past(Model):
    """A turn that is over, in short: for a program that has lost its memory of it."""

    prompt: str
    text: str
    status: str


class Record(Model):
    """What is known of a conversation.

    Attributes:
        name: of the session.
        preset: whose program knows it.
        starts: how often it was begun anew; each begin has an id of its own.
        session: by which the program knows it; "" before the program has said so.
        base: id of the commit at which its work began.
        key: of the turn that was begun last.
        answer: how that one ended; None while it goes on.
        spent: on that one's present attempt, as far as it is known.
        lost: on its attempts that were cut off.
    """

    name: str
    preset: str = ""
    starts: int = 0
    session: str = ""
    base: str = ""
    key: str = ""
    answer: Turn | None = None
    spent: Usage = Usage()
    lost: Usage = Usage()
    past: tuple[Past, ...] = ()

    def next_id(self) -> str:
        """What a session that begins now is to be called: the same after a crash."""
        return str(uuid.uuid5(NAMESPACE, f"{self.name}/{self.starts + 1}"))

    def was_cut_off(self, key: str) -> bool:
        """Whether an attempt of this turn has begun, and the program will know of it."""
        return self.key == key and self.answer is None and bool(self.session)

    def begun(self, key: str, *, base: str) -> "Record":
        """An attempt of a turn begins. What one before has cost is not forgotten."""
        is_again = self.key == key and self.answer is None
        lost = self.lost + self.spent if is_again else Usage()
        changed = {"key": key, "answer": None, "base": base, "spent": Usage(), "lost": lost}
        return self.model_copy(update=changed)

    def ended(self, prompt: str, turn: Turn) -> "Record":
        past = Past(
            prompt=prompt[:_PAST_CHARACTERS],
            text=turn.text[-_PAST_CHARACTERS:],
            status=turn.status.value,
        )
        return self.model_copy(update={"answer": turn, "past": (*self.past, past)[-_PAST_TURNS:]})

    def preamble(self) -> str:
        """What came before, for a program that does not know it; "" if nothing did."""
        if not self.past:
            return ""
        told = "\n\n".join(
            f"You were asked:\n{past.prompt}\nYou answered ({past.status}):\n{past.text}"
            for past in self.past
        )
        return (
            "This goes on with earlier work in this directory. What was said before, in short:\n\n"
            f"{told}\n\nNow:\n\n"
        )


@dataclass(slots=True)
class Session:
    """A conversation that nobody else has a turn in.

    Args:
        lock: a descriptor; the lock is held as long as any copy of it is open.
    """

    record: Record
    lock: int
    _place: Path

    async def save(self, record: Record) -> None:
        """Keep what is known now; it is durable when this returns."""
        self.record = record
        data = record.model_dump_json().encode()
        await trio.to_thread.run_sync(replace, self._place / "record.json", data)


@asynccontextmanager
async def open_session(
    workspace: Path, name: str, waiting: Callable[[], None] = lambda: None
) -> AsyncIterator[Session]:
    """Have a conversation to oneself.

    Args:
        workspace: where records are kept.
        name: of the conversation.
        waiting: called once if somebody else has it.
    """
    place = workspace / "command" / str(uuid.uuid5(NAMESPACE, name))
    await trio.to_thread.run_sync(_make, place)
    descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for tries in itertools.count():
            if _locks(descriptor):  # the kernel tells nobody when a lock is free
                break
            if tries == 0:
                waiting()
            await trio.sleep(_POLL_S)
        record = await trio.to_thread.run_sync(_read, place / "record.json", name)
        yield Session(record, descriptor, place)
    finally:
        os.close(descriptor)


def _make(place: Path) -> None:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: Path, name: str) -> Record:
    try:
        return Record.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Record(name=name)
    except ModelError:  # of another version: the conversation begins anew
        return Record(name=name)
