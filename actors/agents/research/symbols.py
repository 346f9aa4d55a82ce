"""The classes, functions and attributes of a Python file, by griffe. Nothing is imported or run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from actors.agents.kit.outcome import Place, Skipped
from actors.agents.kit.parsing import MAX_SOURCE_BYTES, parsing
from actors.agents.kit.untrusted import plain
from actors.agents.research.search_messages import Symbol

MISSING: Final = Skipped(
    what="symbols", why="griffe is not installed", install="install beadflow[documentation]"
)
_SHOWN: Final = 500


def symbols_of(path: str, source: bytes) -> tuple[Symbol, ...]:
    """Those of one file, in the order of their lines; nothing where it cannot be parsed.

    Raises:
        ImportError: griffe is not installed.
    """
    from griffe import GriffeError, visit  # noqa: PLC0415 - of an extra

    if len(source) > MAX_SOURCE_BYTES:
        return ()
    try:
        text = source.decode("utf-8-sig")
        with parsing():
            module = visit(_module(path), filepath=Path(path), code=text)
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError, GriffeError):
        return ()
    found = sorted(_members(module, path), key=lambda symbol: symbol.place.line or 0)
    return tuple(found[:_SHOWN])


def _module(path: str) -> str:
    parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
    return ".".join(parts[parts[0] == "src" :])


def _members(parent: Any, path: str) -> Iterator[Symbol]:
    for member in parent.members.values():
        if member.is_alias or not member.lineno:
            continue
        yield Symbol(
            name=plain(member.path, 200),
            kind=member.kind.value,
            place=Place(
                path=plain(path),
                line=member.lineno,
                end_line=max(member.endlineno or 0, member.lineno),
            ),
            summary=_summary(member),
        )
        if member.is_class:
            yield from _members(member, path)


def _summary(member: Any) -> str:
    text = member.docstring.value if member.docstring is not None else ""
    return plain(text.partition("\n\n")[0])
