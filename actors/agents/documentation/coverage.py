"""Counts what is described: public things by their docstrings, options by the documents.

Not counted: attributes, empty modules, and methods that stand for one of a base class, whose
docstring is theirs as well.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actors.agents.documentation.programs import Option
from actors.agents.documentation.surface import Kind, Surface, Thing
from actors.agents.kit.outcome import Finding, Level

RULE: Final = "undocumented"
_PLUMBING: Final = frozenset({"overload", "setter", "deleter"})
_USUAL: Final = frozenset(
    {"CI", "EDITOR", "HOME", "LANG", "LC_ALL", "NO_COLOR", "PAGER", "PATH", "PWD", "SHELL"}
    | {"TEMP", "TERM", "TMP", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV", "XDG_CONFIG_HOME"}
)


def counted(api: Surface, root: Path) -> list[Thing]:
    """The public things that should have a docstring."""
    return [thing for thing in api.walk() if _counts(thing, root)]


def undocumented(things: list[Thing]) -> list[Finding]:
    return [
        Finding(
            tool="beadflow",
            rule=RULE,
            level=Level.WARNING,
            message=f"{_called(thing)} {thing.path} has no docstring",
            place=thing.place,
        )
        for thing in things
        if not thing.docstring.strip()
    ]


def unmentioned(options: list[Option], texts: list[str]) -> Iterator[Finding]:
    """Options, variables and the like that none of the texts names."""
    words = {word for text in texts for word in _words(text)}
    for option in options:
        if not words.isdisjoint(option.names) or not _USUAL.isdisjoint(option.names):
            continue
        yield Finding(
            tool="beadflow",
            rule=f"{RULE}-{option.kind}",
            level=Level.NOTE,
            message=f"no document speaks of the {option.kind} {option.names[-1]}",
            place=option.place,
        )


def _called(thing: Thing) -> str:
    return "property" if "property" in thing.labels else str(thing.kind)


def _counts(thing: Thing, root: Path) -> bool:
    match thing.kind:
        case Kind.MODULE:
            return _has_text(root / thing.place.path)
        case Kind.ATTRIBUTE:
            return "property" in thing.labels and not thing.inherits
        case _:
            return not thing.inherits and _PLUMBING.isdisjoint(thing.labels)


def _has_text(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _words(text: str) -> list[str]:
    return re.findall(r"-{0,2}\w[\w-]*", text)
