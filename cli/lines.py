"""JSON lines that a command reads: from a file, or from standard input."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cli import problem
from cli.problem import Problem

STANDARD: Final = "-"


def read(named: str) -> bytes:
    """All that a file holds; `-` is standard input.

    Raises:
        Problem: (usage) it cannot be read.
    """
    if named == STANDARD:
        return sys.stdin.buffer.read()
    try:
        return Path(named).read_bytes()
    except OSError as err:
        raise problem.usage(f"{named} cannot be read", err.strerror or "") from err


def objects(data: bytes) -> list[dict[str, Any]]:
    """The objects of lines, without empty lines.

    Raises:
        Problem: (usage) a line is none, which is named.
    """
    return [_object(number, line) for number, line in _filled(data)]


def _filled(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _object(number: int, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()  # as it will be sent
    except (ValueError, RecursionError) as err:
        raise _no_object(number, str(err)) from err
    if not isinstance(found, dict):
        raise _no_object(number, "it is another kind of JSON")
    return found


def _no_object(number: int, why: str) -> Problem:
    return problem.usage(f"Line {number} is no JSON object", why)


def parts(data: bytes, most: int) -> Iterator[tuple[int, bytes]]:
    """Cut at ends of lines: parts of at most `most` bytes, each with how many lines are before it.

    A line that is longer is a part of its own.
    """
    begin, before = 0, 0
    while begin < len(data):
        end = _end(data, begin, most)
        yield before, data[begin:end]
        before += data.count(b"\n", begin, end)
        begin = end


def _end(data: bytes, begin: int, most: int) -> int:
    if len(data) - begin <= most:
        return len(data)
    last = data.rfind(b"\n", begin, begin + most)
    if last < 0:
        last = data.find(b"\n", begin)
    return len(data) if last < 0 else last + 1
