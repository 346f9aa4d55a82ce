r"""Text from elsewhere, made safe to print.

Titles, log lines and reports come from people, agents and web pages. Written to a terminal as they
are, their escape sequences could move the cursor, retitle the window or forge what was printed
before, and bidirectional marks could show other words than were stored. Every such character is
shown as its escape (`\x1b`) instead. Whatever a server, a file or an agent said goes through here
before it reaches a terminal or a pipe; JSON output does not, because it escapes all of them itself.
"""

import re

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 controls but for tab and newline
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # line separators and bidirectional marks
    "\ud800-\udfff]"  # lone surrogates: no encoding can write them
)


def line(text: str) -> str:
    """One line: newlines and tabs become spaces, control characters become escapes."""
    return _escaped(text).replace("\n", " ").replace("\t", " ").strip()


def block(text: str) -> str:
    """Several lines: newlines and tabs stay, control characters become escapes."""
    return _escaped(text)


def _escaped(text: str) -> str:
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n"))


def _escape(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape", "surrogatepass").decode("ascii")
