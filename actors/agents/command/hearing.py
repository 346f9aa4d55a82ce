"""Makes one answer of all that a program says in a turn."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from actors.agents.command.dialects import Reader
from actors.agents.command.events import (
    TOTAL,
    Doing,
    Ended,
    Event,
    Limited,
    Said,
    Session,
    Spent,
)
from actors.agents.kit.usage import Usage

TEXT_CHARACTERS: Final = 64_000
"""Of a program's last words; those before the last are kept."""

_MESSAGES_OF_USAGE: Final = 10_000
_TOOLS: Final = 100


@dataclass(slots=True)
class Heard:
    """What has been heard so far.

    Args:
        read: understands a frame.
        plain: whether a line that is no frame is something it says, too.
    """

    read: Reader
    plain: bool = False
    session: str = ""
    text: str = ""
    has_spoken: bool = False
    frames: int = 0
    strays: int = 0
    is_limited: bool = False
    resets_at: datetime | None = None
    ended: Ended | None = None
    tools: Counter[str] = field(default_factory=Counter)
    _spent: dict[str, Usage] = field(default_factory=dict)

    @property
    def usage(self) -> Usage:
        total = self._spent.get(TOTAL)
        return total if total is not None else sum(self._spent.values(), Usage())

    @property
    def has_begun(self) -> bool:
        """Whether it has done anything that must not be thrown away."""
        return bool(self.has_spoken or self.tools or self.usage.tokens)

    def take(self, line: bytes) -> tuple[Event, ...]:
        """What a line means; it is remembered."""
        frame = _frame(line)
        if frame is None:
            self.strays += 1
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            events: tuple[Event, ...] = (Said(text + "\n", is_part=True),) if self.plain else ()
        else:
            self.frames += 1
            events = tuple(self.read(frame))
        for event in events:
            self._note(event)
        return events

    def _note(self, event: Event) -> None:
        match event:
            case Session(id=found):
                self.session = found
            case Said(text=text, is_part=True):
                self.text, self.has_spoken = (self.text + text)[-TEXT_CHARACTERS:], True
            case Said(text=text) if text.strip():
                self.text, self.has_spoken = text[-TEXT_CHARACTERS:], True
            case Doing(what=what) if what:
                self._used(what)
            case Spent(key=key, usage=usage):
                if key in self._spent or len(self._spent) < _MESSAGES_OF_USAGE or key == TOTAL:
                    self._spent[key] = usage
            case Limited(resets_at=resets_at):
                self.is_limited, self.resets_at = True, resets_at
            case Ended():
                self.ended = event
                self.text = event.text[-TEXT_CHARACTERS:] or self.text
            case _:
                pass

    def _used(self, what: str) -> None:
        tool = (what.split() or [""])[0]
        if tool in self.tools or len(self.tools) < _TOOLS:
            self.tools[tool] += 1


def _frame(line: bytes) -> dict[str, object] | None:
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
