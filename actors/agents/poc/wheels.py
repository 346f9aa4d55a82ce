"""Looks into a wheel: is there code in it, is it Python, and does its metadata say enough?

A wheel is what a build left behind, so it may be broken, huge, or none.
"""

import email
import zipfile
import zlib
from collections.abc import Iterator
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import Final

from actors.agents.kit.outcome import Finding, Level, Place
from actors.agents.kit.parsing import MAX_SOURCE_BYTES, parsing
from actors.agents.kit.untrusted import plain

_MODULES: Final = 20_000
_METADATA_BYTES: Final = 4 << 20


def check_wheel(path: Path) -> Iterator[Finding]:
    """What is wrong with a wheel: no code, code that is none, or metadata that says too little."""
    try:
        with zipfile.ZipFile(path) as wheel:
            yield from _check_code(wheel)
            yield from _check_metadata(wheel)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
        yield finding("broken-wheel", Level.ERROR, plain(f"{path.name} cannot be read: {error}"))


def _check_code(wheel: zipfile.ZipFile) -> Iterator[Finding]:
    modules = [info for info in wheel.infolist() if info.filename.endswith(".py")][:_MODULES]
    compiled = [name for name in wheel.namelist() if name.endswith((".so", ".pyd"))]
    if not modules and not compiled:
        yield finding("empty-wheel", Level.ERROR, "the wheel has no module in it")
    for info in modules:
        if info.file_size > MAX_SOURCE_BYTES:
            continue
        try:
            with parsing():
                compile(wheel.read(info), info.filename, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None) or None
            place = Place(path=info.filename, line=line)
            yield finding("no-python", Level.ERROR, plain(str(error)), place)
    tops = {PurePosixPath(info.filename).parts[0] for info in modules}
    for name in sorted(tops & {"tests", "test", "docs", "benchmarks"}):
        message = f"the wheel installs a top-level package {name!r}, as others do"
        yield finding("stray-package", Level.WARNING, message)


def _check_metadata(wheel: zipfile.ZipFile) -> Iterator[Finding]:
    named = [info for info in wheel.infolist() if info.filename.endswith(".dist-info/METADATA")]
    if not named or named[0].file_size > _METADATA_BYTES:
        yield finding("broken-wheel", Level.ERROR, "the wheel has no metadata")
        return
    found: Message = email.message_from_bytes(wheel.read(named[0]))
    wanted = {
        "Requires-Python": "it does not say which Pythons it runs on",
        "Summary": "it has no summary",
    }
    for key, message in wanted.items():
        if not found.get(key):
            yield finding("thin-metadata", Level.NOTE, message)
    if not any(found.get(key) for key in ("License-Expression", "License")):
        yield finding("thin-metadata", Level.NOTE, "it names no licence")


def finding(rule: str, level: Level, message: str, place: Place | None = None) -> Finding:
    return Finding(tool="beadflow", rule=rule, level=level, message=message, place=place)
