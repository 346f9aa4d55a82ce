"""Text from outside, made fit to be shown in a Markdown document or stored as a fact.

Summaries, names, paths and errors come from tools, indexes and repositories that nobody vetted.
They are text, never markup: control and bidirectional characters vanish, white space becomes one
space, what Markdown would read is escaped, and length is capped.
"""

import re
import unicodedata
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_MARKUP: Final = re.compile(r"([\\`*\[\]<|~]|(?<![a-zA-Z0-9])_|_(?![a-zA-Z0-9])|&(?=#|\w+;))")
_LINK: Final = re.compile(r"(?i)(\bwww)(\.)|(:)(//)")  # what GitHub's Markdown links unasked
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str, limit: int = 300) -> str:
    """One line without control characters, at most `limit` characters."""
    # Cut first with room to spare: a huge text is not normalised for the sake of its beginning.
    spaced = " ".join(text[: limit * 8].split())
    shown = "".join(c for c in spaced if unicodedata.category(c) not in _HIDDEN)
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def escaped(text: str, limit: int = 300) -> str:
    """`plain` text that Markdown shows as it is, inside a line or a table's cell.

    What only matters at the beginning of a line (`#`, `>`, `1.`) is left readable: the caller has
    to put words of its own there.
    """
    shown = _MARKUP.sub(r"\\\1", plain(text, limit))
    return _LINK.sub(_unlinked, shown)


def code(text: str, limit: int = 300) -> str:
    """`plain` text as a code span, fit for a table's cell."""
    return "`" + plain(text, limit).replace("`", "'").replace("|", "\\|") + "`"


def _unlinked(match: re.Match[str]) -> str:
    return f"{match[1]}\\{match[2]}" if match[1] else f"{match[3]}\\{match[4]}"


def without_credentials(url: str) -> str:
    """The URL as it may be shown: without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an unreadable URL"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else (parts.hostname or "")
    return plain(urlunsplit((parts.scheme, host + port, parts.path, "", "")), 500)
