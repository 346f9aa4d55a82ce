"""The documentation as data: its pages, their code blocks, headings and tables."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = tuple(sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of one language, in order."""
    return [body for kind, body in _FENCE.findall(page(name)) if kind == language]


def prose(text: str) -> str:
    """A page without its code blocks."""
    return _FENCE.sub("", text)


def headings(text: str) -> list[str]:
    return [title for _, title in _HEADING.findall(prose(text))]


def section(name: str, title: str) -> str:
    """What stands under one heading, up to the next of its level or above."""
    text = page(name)
    found = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert found is not None, f"{name} has no heading {title!r}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> Iterator[list[str]]:
    """The rows of every table, without heads and rules."""
    lines = [line for line in prose(text).splitlines() if line.startswith("|")]
    for number, line in enumerate(lines):
        is_head = number + 1 < len(lines) and set(lines[number + 1]) <= set("|- ")
        if not is_head and not set(line) <= set("|- "):
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def names(cell: str) -> list[str]:
    """What stands as code in a cell."""
    return _CODE.findall(cell)


def first_names(text: str) -> list[str]:
    """What stands as code in the first cell of every row."""
    return [name for row in rows(text) for name in names(row[0])]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of headings."""
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in headings(text))
    return {title.replace(" ", "-") for title in plain}
