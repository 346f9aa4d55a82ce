"""JSON values written as YAML: blocks for what nests, and quotes for every text that needs them.

A text that could be taken for anything else (a number, a date, a word such as `no`) is quoted, so
that every reader, whichever version of YAML it knows, gets back what was written. What could steer
a terminal is written as an escape.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from cli import printable

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*( [A-Za-z0-9_./+(][A-Za-z0-9_./+()-]*)*")
_WORDS: Final = frozenset(
    ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf")
)
_STEP: Final = "  "


def dump(value: Any) -> str:
    """One document, without a mark at its beginning or end."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    match value:
        case dict() if value:
            for key, held in value.items():
                yield from _under(f"{_scalar(str(key))}:", held, _STEP)
        case list() | tuple() if value:
            for held in value:
                yield from _item(held)
        case _:
            yield _scalar(value)


def _under(head: str, held: Any, indent: str) -> Iterator[str]:
    if not isinstance(held, dict | list | tuple) or not held:
        yield f"{head} {_scalar(held)}"
        return
    yield head
    for line in _lines(held):
        yield f"{indent}{line}"


def _item(held: Any) -> Iterator[str]:
    for number, line in enumerate(_lines(held)):
        yield f"{_STEP if number else '- '}{line}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if is_plain else _quoted(value)
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _quoted(text: str) -> str:
    # JSON's escapes are YAML's, too, but for the halves of a pair: those stay one character here.
    quoted = json.dumps(text, ensure_ascii=False)
    return printable.block(quoted)
