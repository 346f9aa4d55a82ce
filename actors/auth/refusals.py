"""Refusals, counted: a flood of them must not fill the disk.

The first of an actor, an action and an address is a line of the audit log at once. Those that come
within a minute after it are counted, and become one line at its end. There is room for so many at
once; what comes beyond it is counted together, whoever it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actors.auth.messages import Note

WINDOW_S: Final = 60.0
ROOM: Final = 100
TARGETS: Final = 5
"""What refusals were about: so many are named."""

Whose = tuple[str, str, str]
OTHERS: Final[Whose] = ("others", "refused", "")


@dataclass(slots=True)
class _Counted:
    more: int = 0
    targets: dict[str, None] = field(default_factory=dict)


class Refusals:
    """Those of this minute."""

    def __init__(self) -> None:
        self._counted: dict[Whose, _Counted] = {}

    def is_first(self, note: Note) -> bool:
        """Whether a refusal is to be written; otherwise it is counted."""
        whose = (note.actor, note.action, note.address)
        counted = self._counted.get(whose)
        if counted is None and len(self._counted) < ROOM:
            self._counted[whose] = _Counted()
            return True
        if counted is None:
            counted = self._counted.setdefault(OTHERS, _Counted())
        counted.more += 1
        if len(counted.targets) < TARGETS:
            counted.targets[note.target[:200]] = None
        return False

    def take(self) -> list[tuple[Whose, Mapping[str, Any]]]:
        """What the minute came to beside its first refusals; the next one begins."""
        counted, self._counted = self._counted, {}
        return [
            (whose, {"more": each.more, "targets": list(each.targets), "within_s": int(WINDOW_S)})
            for whose, each in counted.items()
            if each.more
        ]
