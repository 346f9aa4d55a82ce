"""Finds the notes for later that authors left in comments: TODO, FIXME, XXX and HACK. Pure."""

import re
from typing import Final

from actors.agents.kit.outcome import Place
from actors.agents.kit.untrusted import plain
from actors.agents.research.inventory_messages import Reminder

_LINE_BYTES: Final = 500  # a longer line is no comment somebody wrote
# The word stands where the comment begins: "# TODO: x", "// FIXME(ann) x", "<!-- XXX x".
_NOTE: Final = re.compile(rb"(?:#|//|/\*|\*|--|;|%)[ \t]{0,8}\(?(TODO|FIXME|XXX|HACK)\b(.*)")
_TRIMMED: Final = " \t:-)(*/>"


def reminders(path: str, data: bytes) -> list[Reminder]:
    """Those of one file, in the order of their lines."""
    return [
        Reminder.model_validate(
            {
                "word": match[1].decode("ascii"),
                "text": plain(match[2].decode("utf-8", "replace").strip(_TRIMMED), 200),
                "place": Place(path=plain(path), line=number),
            }
        )
        for number, line in enumerate(data.split(b"\n"), 1)
        if (match := _NOTE.search(line[:_LINE_BYTES]))
    ]
