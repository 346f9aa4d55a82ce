"""Words changes of an API for a changelog, and puts them under its unreleased ones.

The headings are those of Keep a Changelog. An entry that is there already is not put there again.
"""

import re
from collections.abc import Iterable
from typing import Final

NAMES: Final = ("changelog.md", "changes.md", "history.md", "news.md")
NEW: Final = "CHANGELOG.md"
_UNRELEASED: Final = re.compile(r"##\s+\[?unreleased\]?", re.IGNORECASE)
_RELEASE: Final = re.compile(r"##\s+\S")
_SECTION: Final = re.compile(r"###\s+\S")
_TITLE: Final = re.compile(r"#\s+\S")

Entries = dict[str, list[str]]


def worded(entries: Entries) -> str:
    """Sections with their entries; "" when there are none."""
    return "\n\n".join(
        "\n".join([f"### {title}", "", *(f"- {line}" for line in lines)])
        for title, lines in entries.items()
        if lines
    )


def find(paths: Iterable[str]) -> str | None:
    """The changelog among the files of a repository."""
    by_name = {path.lower(): path for path in paths if "/" not in path}
    return next((by_name[name] for name in NAMES if name in by_name), None)


def merged(text: str, addition: str) -> str:
    """A changelog with what is not in it yet under its unreleased changes."""
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
    start = _unreleased(lines)
    end = next((n for n in range(start, len(lines)) if _RELEASE.match(lines[n])), len(lines))
    region = lines[start:end]
    for title, entries in _sections(addition):
        fresh = [entry for entry in entries if entry not in region]
        if fresh:
            _put(region, title, fresh)
    while region and not region[-1].strip():
        region.pop()
    rest = lines[end:]
    whole = [*lines[:start], *region, *([""] if rest else []), *rest]
    return end_of_line.join([*whole, ""])


def _unreleased(lines: list[str]) -> int:
    """Where the unreleased changes begin; their heading is made if there is none."""
    for number, line in enumerate(lines):
        if _UNRELEASED.match(line):
            return number + 1
    if not lines:
        lines += ["# Changelog"]
    releases = (n for n, line in enumerate(lines) if _RELEASE.match(line))
    titles = (n + 1 for n, line in enumerate(lines) if _TITLE.match(line))
    place = next(releases, None)
    if place is None:
        place = len(lines) if next(titles, None) is not None else 0
    gap = [""] if place and lines[place - 1].strip() else []
    lines[place:place] = [*gap, "## Unreleased", ""]
    return place + len(gap) + 1


def _sections(addition: str) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for line in addition.splitlines():
        if _SECTION.match(line):
            found.append((line.strip(), []))
        elif line.strip():
            if not found:
                found.append(("### Changed", []))
            found[-1][1].append(line.rstrip())
    return found


def _put(region: list[str], title: str, entries: list[str]) -> None:
    """Behind the last entry of the section, which is made if there is none."""
    headings = [n for n, line in enumerate(region) if line.strip().lower() == title.lower()]
    if not headings:
        while region and not region[-1].strip():
            region.pop()
        region += ["", title, "", *entries]
        return
    begin = headings[0] + 1
    end = next((n for n in range(begin, len(region)) if _SECTION.match(region[n])), len(region))
    while end > begin and not region[end - 1].strip():
        end -= 1
    gap = [""] if end == begin else []
    region[end:end] = [*gap, *entries]
