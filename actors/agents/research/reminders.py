"""Finds the notes for later that authors left in comments: TODO, FIXME, XXX and HACK. Pure."""

import io
import re
import tokenize
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
    found = _found(path, data)
    if not found or not path.endswith((".py", ".pyi")):
        return found
    comments = _comments(data)
    return [note for note in found if comments is None or note.place.line in comments]


def _comments(data: bytes) -> frozenset[int] | None:
    """Lines of Python that have a comment, which a text may only seem to have; None: no Python."""
    try:
        tokens = list(tokenize.tokenize(io.BytesIO(data).readline))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None
    return frozenset(token.start[0] for token in tokens if token.type == tokenize.COMMENT)


def _found(path: str, data: bytes) -> list[Reminder]:
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
