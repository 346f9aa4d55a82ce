"""Which Pythons a project promises to run on, and how many of them a candidate accepts. Pure."""

from collections.abc import Iterable
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from actors.agents.research.facts import PythonBound

# Released when this was written; an open requirement such as >=3.11 is read as "up to the last".
KNOWN: Final = tuple(f"3.{minor}" for minor in range(8, 16))


def accepted(requires_python: str | None) -> tuple[str, ...] | None:
    """The known Pythons that satisfy a requires-python; None when there is none to be read.

    A minor version counts when its first or a late patch release satisfies it: >=3.11.4 is 3.11.
    """
    if not requires_python:
        return None
    try:
        wanted = SpecifierSet(requires_python)
    except InvalidSpecifier:
        return None
    return tuple(
        python
        for python in KNOWN
        if wanted.contains(f"{python}.0") or wanted.contains(f"{python}.99")
    )


def newest_for(python: str, bounds: Iterable[PythonBound]) -> str | None:
    """The newest version whose requires-python accepts the given Python, as far back as known."""
    for bound in bounds:
        pythons = accepted(bound.requires_python)
        if bound.requires_python is None or (pythons is not None and python in pythons):
            return bound.version
    return None


def at_least(floor: str, pythons: Iterable[str]) -> tuple[str, ...]:
    """Those of `pythons` that a wheel for the stable ABI of `floor` runs on."""
    try:
        return tuple(python for python in pythons if Version(python) >= Version(floor))
    except InvalidVersion:
        return ()


def span(pythons: tuple[str, ...]) -> str:
    """3.11, 3.12 and 3.13 as "3.11 to 3.13"."""
    return pythons[0] if len(pythons) == 1 else f"{pythons[0]} to {pythons[-1]}"
