"""The stored form of values: JSON that says its version. Never pickle.

A stored value is the two-element JSON array `[1,<value>]`. The 1 is the version of the form, not of
the value. An array, because it is the shortest thing that is explicit and still JSON: four bytes,
and SQL can look inside (`json_extract(column, '$[1].name')`). Keys are sorted, so equal values have
equal texts and can be compared and hashed as stored.

Encoding is on the engine's hot path, so the C encoder does the work, and the few things it would
let through in silence are looked for first: keys that are no strings (it would turn 1 into "1").
Only when something is wrong is the value walked again, to name the place.

Two things do not come back as they went in, as in all JSON: a tuple comes back as a list, and a
mapping comes back in the order of its keys. Who needs the same value live and after a restart uses
`decode(encode(value))` both times.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from json import encoder
from math import isfinite
from typing import Any

from storage.errors import PayloadError

VERSION = 1
DEEPEST = 200  # levels of nesting; Python's own limit differs from release to release

SHORT_BYTES = 8 * 1024
"""What a text that says why something failed may take."""

_PREFIX = f"[{VERSION},"
_SCALARS = (str, int, float, bool, type(None))
_CONTAINERS = frozenset({dict, list, tuple})
_STRING_ONLY = frozenset({str})


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)
_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def _encode_with() -> Callable[[object], str]:
    """Gives what turns a value into JSON.

    `JSONEncoder.encode` makes the C encoder anew for each value, which takes as long as using it
    (0.6 of 1.3 µs); so one is kept, made as `JSONEncoder.iterencode` does. Without the dict of
    what it is inside of, which threads cannot share: a value that contains itself ends in a
    `RecursionError`.
    """
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return _encoder.encode
    text = encoder.encode_basestring
    chunks = make(None, _encoder.default, text, None, ":", ",", True, False, False)
    return lambda value: "".join(chunks(value, 0))


_encode = _encode_with()


def encode(value: object) -> str:
    """Gives the stored form of a JSON value.

    Raises:
        PayloadError: the value holds NaN, an infinity, a key that is no string, a lone surrogate,
            itself, or anything that is not JSON; it names the place, as in `$.steps[3].cost`.
    """
    try:
        text = _encode(value)
        if type(value) in _CONTAINERS:
            _refuse_odd_keys(value)  # after the encoder, which has ruled out cycles
        if not text.isascii():
            text.encode()  # a lone surrogate would fail later, when SQLite binds it
    except (TypeError, ValueError, RecursionError) as err:
        where, detail = next(_objections(value, "$", ()), ("$", str(err)))
        raise PayloadError(where, detail) from err
    return f"{_PREFIX}{text}]"


def decode(text: str) -> Any:
    """Gives the value back.

    Raises:
        PayloadError: the text is not a stored value, or one of a newer program.
    """
    try:
        stored = _parse(text)
    except (TypeError, ValueError, RecursionError) as err:
        raise PayloadError("stored value", f"it is damaged: {err}") from err
    match stored:
        case [1, value]:
            return value
        case [int(version), _]:
            raise PayloadError("stored value", f"form {version} is not known; use a newer program")
    raise PayloadError("stored value", "it has no version")


def _parse(text: str) -> Any:
    # `decode` looks for spaces at both ends, which takes longer than all else together
    if text[:1] == "[" and text[-1:] == "]":
        value, end = _decoder.raw_decode(text)
        if end == len(text):
            return value
    return _decoder.decode(text)


def decode_all(texts: Sequence[str]) -> list[Any]:
    """Gives the values of many stored texts back, at a third of what one by one takes.

    Raises:
        PayloadError: as `decode`.
    """
    try:
        stored = _decoder.decode(f"[{','.join(texts)}]")
        values = [value for version, value in stored if version == VERSION]
    except (TypeError, ValueError, RecursionError):
        values = []
    return values if len(values) == len(texts) else [decode(text) for text in texts]


def plain_text(text: object) -> str:
    """Gives any text in a form that can be stored: a lone surrogate is written out in hex.

    For words that come from outside and must not fail: messages of errors, names of files.
    """
    return str(text).encode("utf-8", "backslashreplace").decode()


def short_text(text: object) -> str:
    """Gives any text as `plain_text` does, and cuts it where it is longer than 8 KiB.

    For what is kept for good: the message of an exception may be as long as what it complains of.
    A text that was cut is not cut again.
    """
    whole = plain_text(text)
    if len(whole) * 4 <= SHORT_BYTES or len(whole.encode()) <= SHORT_BYTES:
        return whole
    end = f"… ({len(whole)} characters)"
    room = SHORT_BYTES - len(end.encode())
    return whole[:room].encode()[:room].decode(errors="ignore") + end


def _refuse_odd_keys(value: Any) -> None:
    """Raises TypeError on a key that is no string; goes level by level to stay in C."""
    level = [value]
    for _ in range(DEEPEST):
        children = []
        for node in level:
            if type(node) is dict:
                if not _STRING_ONLY.issuperset(map(type, node)):
                    raise TypeError("a key is not a string")
                children += [child for child in node.values() if type(child) in _CONTAINERS]
            else:
                children += [child for child in node if type(child) in _CONTAINERS]
        if not children:
            return
        level = children
    raise RecursionError("nested too deeply")


def _objections(node: object, where: str, above: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """Walks a value that was refused, and yields what is wrong with it and where."""
    if id(node) in above:
        yield where, "the value contains itself"
    elif len(above) > DEEPEST:
        yield where[:80] + "…", f"nested more than {DEEPEST} deep"
    elif isinstance(node, dict):
        yield from _objections_to_keys(node, where)
        for key, child in node.items():
            yield from _objections(child, f"{where}.{key}", (*above, id(node)))
    elif isinstance(node, list | tuple):
        for index, child in enumerate(node):
            yield from _objections(child, f"{where}[{index}]", (*above, id(node)))
    elif not isinstance(node, _SCALARS):
        yield where, f"{type(node).__name__} is not JSON (convert it to str, int, list or dict)"
    elif isinstance(node, float) and not isfinite(node):
        yield where, f"{node} is not JSON"
    elif isinstance(node, str) and not _is_unicode(node):
        yield where, "the text holds a lone surrogate, which is not Unicode"


def _objections_to_keys(node: dict[Any, Any], where: str) -> Iterator[tuple[str, str]]:
    for key in node:
        if type(key) is not str:
            yield where, f"the key {key!r} is not a string"
        elif not _is_unicode(key):
            yield where, f"the key {key!a} holds a lone surrogate, which is not Unicode"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
