"""Core metadata, from the bytes of a METADATA file to the facts that matter here. Pure.

Metadata is written by whoever uploaded it: what cannot be parsed is left out, everything is cut to
a bearable length, and nothing in it is believed beyond what it says about itself.
"""

import re
from collections.abc import Iterable
from typing import Final

from packaging.metadata import RawMetadata, parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from actors.agents.kit.untrusted import plain
from actors.agents.research.facts import Metadata
from actors.agents.research.licences import stated_licence
from actors.agents.research.words import found, question_words, words_of

_STATUS: Final = re.compile(r"Development Status :: ([1-7])")
_PYTHON: Final = re.compile(r"Programming Language :: Python :: (3\.\d{1,2})")
_TYPED: Final = "Typing :: Typed"
_RUNTIMES: Final = ("asyncio", "trio", "anyio")
_ASYNC_WORDS: Final = ("async", *_RUNTIMES)
_EXTRA_MARKER: Final = re.compile(r"""extra\s*==\s*["']([^"']{1,100})["']""")
_DESCRIPTION_CHARACTERS: Final = 200_000
_MAX_DEPENDENCIES: Final = 100
_REQUIREMENT_CHARACTERS: Final = 200
_MAX_EXTRAS: Final = 40
_MAX_URLS: Final = 8


def read_metadata(data: bytes, version: str, question: str, name: str) -> Metadata:
    """Parses a METADATA file of the given version, with an eye on the question.

    Args:
        data: The file; fields that cannot be read are left out.
        version: The version it stands for, shown as it is.
        question: Its words are looked for in summary, keywords, classifiers and description.
        name: The candidate's name, whose own words in the question do not count.
    """
    raw, _ = parse_email(data)
    classifiers = raw.get("classifiers", [])[:200]
    dependencies, extras = split_dependencies(raw.get("requires_dist", []))
    status = _matches(_STATUS, classifiers)
    licence = stated_licence(raw.get("license_expression"), raw.get("license"), classifiers)
    return Metadata(
        version=plain(version, 60),
        summary=plain(raw.get("summary", "")) or None,
        licence=plain(licence, 120) if licence else None,
        dependencies=dependencies,
        extras=extras,
        development_status=int(status[0]) if status else None,
        typed=_TYPED in classifiers,
        pythons=tuple(_matches(_PYTHON, classifiers)[:20]),
        urls={
            plain(label, 40): plain(url, 200)
            for label, url in list(raw.get("project_urls", {}).items())[:_MAX_URLS]
        },
        question_words=_words_found(raw, question, name),
        async_signals=_async_signals(raw, classifiers, dependencies, extras),
    )


def split_dependencies(
    lines: Iterable[str],
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Requirements that every install takes, and the names of those of each extra."""
    always: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in list(lines)[: 5 * _MAX_DEPENDENCIES]:
        try:
            requirement = Requirement(line[:1_000])
        except (InvalidRequirement, RecursionError):
            continue
        named = _EXTRA_MARKER.findall(str(requirement.marker or ""))
        for extra in named:
            extras.setdefault(plain(extra, 60), []).append(plain(requirement.name, 100))
        if not named:
            always.append(_shown(requirement))
    shown = {extra: tuple(lines[:20]) for extra, lines in list(extras.items())[:_MAX_EXTRAS]}
    return tuple(always[:_MAX_DEPENDENCIES]), shown


def needed_on(dependencies: Iterable[str], python: str) -> list[str]:
    """The canonical names among `dependencies` that an install takes on Linux with that Python."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": "x86_64",
    }
    names = []
    for line in dependencies:
        requirement = Requirement(line)
        if _holds(requirement, environment):
            names.append(canonicalize_name(requirement.name))
    return sorted(set(names))


def _holds(requirement: Requirement, environment: dict[str, str]) -> bool:
    try:
        return requirement.marker is None or requirement.marker.evaluate(environment)
    except ValueError:  # a marker that compares what cannot be compared
        return True


def _shown(requirement: Requirement) -> str:
    """The requirement as text that still parses: without its details when they are too long."""
    text = plain(str(requirement), _REQUIREMENT_CHARACTERS)
    return requirement.name if text.endswith("…") else text


def _matches(pattern: re.Pattern[str], classifiers: Iterable[str]) -> list[str]:
    return [match[1] for line in classifiers if (match := pattern.match(line))]


def _words_found(raw: RawMetadata, question: str, name: str) -> dict[str, str]:
    fields = {
        "name": words_of(name),
        "summary": words_of(raw.get("summary", "")),
        "keywords": words_of(" ".join(raw.get("keywords", []))),
        "classifiers": words_of(" ".join(raw.get("classifiers", []))),
        "extras": words_of(" ".join(raw.get("provides_extra", []))),
        "description": words_of(raw.get("description", "")[:_DESCRIPTION_CHARACTERS]),
    }
    where = {
        word: next((field for field, words in fields.items() if found(word, words)), None)
        for word in question_words(question)
    }
    return {word: field for word, field in where.items() if field is not None}


def _async_signals(
    raw: RawMetadata,
    classifiers: Iterable[str],
    dependencies: Iterable[str],
    extras: Iterable[str],
) -> tuple[str, ...]:
    """Everything in the metadata that says how it goes with async code, the strongest first."""
    signals = [
        f"classifier {line}"
        for line in classifiers
        if line in {"Framework :: AsyncIO", "Framework :: Trio", "Framework :: AnyIO"}
    ]
    signals += [
        f"depends on {name}"
        for line in dependencies
        if (name := canonicalize_name(Requirement(line).name)) in _RUNTIMES
    ]
    signals += [f"extra {extra}" for extra in extras if extra.lower() in _ASYNC_WORDS]
    for field, text in (
        ("summary", raw.get("summary", "")),
        ("keywords", " ".join(raw.get("keywords", []))),
        ("description", raw.get("description", "")[:_DESCRIPTION_CHARACTERS]),
    ):
        words = words_of(text)
        signals += [f"{field} mentions {word}" for word in _ASYNC_WORDS if found(word, words)]
    return tuple(signals[:12])
