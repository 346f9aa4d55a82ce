"""The codec of the published file: one issue, one JSON line, byte for byte as bd v0.49.6 has it.

What is read is kept: unknown keys, legacy keys, the text of every time, the spelling of every
number. What is written is bd's: its key order, its rules for leaving empty values out, and the
escapes of Go's encoder (`&`, `<`, `>`, U+2028 and U+2029), everything else outside ASCII raw.
A line that is no issue is refused with a reason (`BadLineError`), never a crash; `published.py`
decides what becomes of it. Row order, duplicates and files are not this module's business.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from storage.issues import instants, numbers
from storage.issues.checks import BadLineError, checked, mended
from storage.issues.fields import ISSUE, PARTS, Field, Keep, Kind

Row = dict[str, Any]
"""One issue as its published record: known keys, then whatever else its line held."""

_ESCAPES = {
    "&": "\\u0026",
    "<": "\\u003c",
    ">": "\\u003e",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_ESCAPED = re.compile("[&<>\u2028\u2029]")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_ZERO: Final[dict[Kind, Any]] = {Kind.TEXT: "", Kind.TIME: instants.ZERO, Kind.INTEGER: 0}


def parse(line: bytes | str) -> Row:
    """Read one line.

    Raises:
        BadLineError: it is not UTF-8, not JSON, not an object with an id, nested deeper than
            `checks.MAX_DEPTH`, or a known key holds a value of another kind.
    """
    try:
        text = line.decode() if isinstance(line, bytes) else line
        value = _DECODER.decode(text.strip(" \t\r\n"))
    except UnicodeDecodeError as err:
        raise BadLineError("it is not UTF-8") from err
    except RecursionError as err:
        raise BadLineError("it is nested too deep") from err
    except ValueError as err:
        raise BadLineError(f"it is not JSON: {err}") from err
    return checked(mended(value, text))


def parse_written(line: str) -> Row:
    """Read a line that `encode` wrote, to be written again: its row was checked before.

    Raises:
        ValueError: it is damaged.
    """
    row: Row = _DECODER.decode(line)
    return row


def parse_stored(line: str) -> Row:
    """Read a line that `encode` wrote: many times faster, since it was checked before.

    Numbers may be spelled in another way than they were; what is read so is not written again.
    """
    row: Row = json.loads(line)
    return row


def encode(row: Mapping[str, Any]) -> bytes:
    """Write one row as a line without its newline."""
    return encode_text(row).encode()


def encode_text(row: Mapping[str, Any]) -> str:
    shaped = shape(row)
    if all(name in _PLAIN or _is_plain(value) for name, value in shaped.items()):
        return _escape(_ENCODER.encode(shaped))
    return spell(shaped)


def spell(value: Any) -> str:
    """Write any JSON value as it stands inside a line."""
    return _escape("".join(_spell(value)))


def shape(row: Mapping[str, Any]) -> Row:
    """Return the row as it will be written: keys in order, empty values left out."""
    shaped = _ISSUE.shape(row)
    for name, table in _PARTS.items():
        if name in shaped:
            shaped[name] = [table.shape(part) for part in shaped[name]]
    return shaped


class _Shaper:
    """Puts the keys of a table's records in order; it looks only at the keys that are there."""

    def __init__(self, table: Mapping[str, Field]) -> None:
        self._table = table
        self._place = {name: place for place, name in enumerate(table)}.__getitem__
        self._always = {n: _ZERO[f.kind] for n, f in table.items() if f.keep is Keep.ALWAYS}

    def shape(self, record: Mapping[str, Any]) -> Row:
        table, always = self._table, self._always
        names = {**always, **record}
        known = [name for name in names if name in table]
        known.sort(key=self._place)
        shaped = {}
        for name in known:
            value = record.get(name)
            if name in always:
                shaped[name] = always[name] if value is None else value
            elif value or _is_written(table[name], value):
                shaped[name] = value
        if len(known) < len(names):
            shaped.update((name, value) for name, value in record.items() if name not in table)
        return shaped


def _is_written(field: Field, value: Any) -> bool:
    """Whether a value that counts for nothing is written all the same."""
    match field.keep:
        case Keep.SET:
            return value is not None
        case Keep.FILLED:
            return field.kind is Kind.RAW and value is not None and value != {}
        case Keep.ALWAYS:
            return True


_ISSUE = _Shaper(ISSUE)
_PARTS = {name: _Shaper(table) for name, table in PARTS.items()}


def _is_plain(value: Any) -> bool:
    """Whether it holds no number that Go spells in another way than the C encoder."""
    match value:
        case dict():
            return all(map(_is_plain, value.values()))
        case list() | tuple():
            return all(map(_is_plain, value))
        case _:
            return type(value) in _PLAIN_KINDS


_PLAIN_KINDS: Final = frozenset({str, int, bool, type(None)})


def _escape(text: str) -> str:
    # These characters occur in JSON only inside strings, so the whole line can be replaced at once.
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], text)


_PLAIN = {name for name, field in ISSUE.items() if field.kind not in (Kind.RAW, Kind.NUMBER)} - {
    "bonded_from",
    "creator",
    "validations",
}
"""Keys whose values hold no fraction: the C encoder writes them as Go does, and much faster."""


def _spell(value: Any) -> Iterator[str]:
    """Write any JSON value with Go's numbers, which the C encoder cannot be taught."""
    match value:
        case dict():
            for index, (name, inner) in enumerate(value.items()):
                yield ("," if index else "{") + _ENCODER.encode(name) + ":"
                yield from _spell(inner)
            yield "}" if value else "{}"
        case list() | tuple():
            for index, inner in enumerate(value):
                yield "," if index else "["
                yield from _spell(inner)
            yield "]" if value else "[]"
        case float():
            yield numbers.spell(value)
        case _:
            yield _ENCODER.encode(value)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(
    parse_float=numbers.read, parse_int=numbers.read_whole, parse_constant=_refuse_constant
)
