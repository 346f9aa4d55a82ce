"""What a Markdown document holds: anchors, links and fenced blocks, with their lines."""

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from actors.agents.kit.outcome import Skipped

MISSING: Final = Skipped(
    what="markdown-it-py", why="it is not installed", install="install beadflow[documentation]"
)
_ATTRIBUTE: Final = re.compile(
    r"""\s(id|name|href|src)\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE
)
_NO_SLUG: Final = re.compile(r"[^\w\- ]")
_OWN_ANCHOR: Final = re.compile(r"\s*\{\s*#([\w-]+)[^}]*\}\s*$")
_NAMES: Final = frozenset({"id", "name"})
_BREAKS: Final = frozenset({"softbreak", "hardbreak"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link or an image.

    Args:
        target: as it is written, an address or a path, perhaps with an anchor behind it.
    """

    target: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """A fenced block.

    Args:
        words: what stands behind the opening fence; the language first, in small letters.
        line: of its first line of code.
        note: an HTML comment right above it.
    """

    words: tuple[str, ...]
    code: str
    line: int
    note: str = ""

    @property
    def language(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def end_line(self) -> int:
        return self.line + self.code.count("\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    anchors: frozenset[str]
    links: tuple[Link, ...]
    fences: tuple[Fence, ...]

    def is_code(self, line: int) -> bool:
        return any(fence.line <= line < fence.end_line for fence in self.fences)


def parse(text: str) -> Document:
    """Read a document as GitHub does.

    Raises:
        ImportError: markdown-it-py is not installed.
    """
    from markdown_it import MarkdownIt  # noqa: PLC0415 - an extra brings it along

    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    try:
        tokens = reader.parse(_without_front_matter(text))
    except RecursionError:
        tokens = []
    return Document(
        anchors=frozenset(_anchors(tokens)),
        links=tuple(_links(tokens)),
        fences=tuple(_fences(tokens)),
    )


def slug(heading: str) -> str:
    """The anchor that GitHub makes for a heading, before they are numbered."""
    return _NO_SLUG.sub("", heading.strip().lower()).replace(" ", "-")


def _without_front_matter(text: str) -> str:
    """The same lines, those of YAML at the top empty."""
    lines = text.splitlines()
    if not lines or lines[0].rstrip() != "---":
        return text
    for number, line in enumerate(lines[1:200], 1):
        if line.rstrip() in {"---", "..."}:
            return "\n" * (number + 1) + "\n".join(lines[number + 1 :])
    return text


def _anchors(tokens: list[Any]) -> Iterator[str]:
    seen = Counter[str]()
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = "".join(_shown(tokens[number + 1].children or []))
            if own := _OWN_ANCHOR.search(heading):
                yield own[1]
                heading = heading[: own.start()]
            name = slug(heading)
            yield f"{name}-{seen[name]}" if seen[name] else name
            seen[name] += 1
        for part in (token, *(token.children or [])):
            if part.type in {"html_block", "html_inline"}:
                yield from (value for key, value in _attributes(part.content) if key in _NAMES)


def _shown(children: list[Any]) -> Iterator[str]:
    for child in children:
        if child.type in {"text", "code_inline"}:
            yield child.content
        elif child.type in _BREAKS:
            yield " "


def _links(tokens: list[Any]) -> Iterator[Link]:
    for token in tokens:
        line = token.map[0] + 1 if token.map else 1
        if token.type == "html_block":
            yield from _html_links(token.content, line)
        for child in token.children or []:
            match child.type:
                case "softbreak" | "hardbreak":
                    line += 1
                case "link_open" if child.info != "auto":
                    yield Link(target=str(child.attrs.get("href", "")), line=line)
                case "image":
                    yield Link(target=str(child.attrs.get("src", "")), line=line)
                case "html_inline":
                    yield from _html_links(child.content, line)


def _html_links(content: str, line: int) -> Iterator[Link]:
    for key, value in _attributes(content):
        if key not in _NAMES:
            yield Link(target=value, line=line)


def _attributes(content: str) -> Iterator[tuple[str, str]]:
    for found in _ATTRIBUTE.finditer(content):
        yield found[1].lower(), html.unescape(found[2].strip("\"'"))


def _fences(tokens: list[Any]) -> Iterator[Fence]:
    note = ""
    for token in tokens:
        if token.type == "fence":
            words = tuple(re.findall(r"[\w+#.-]+", token.info.lower()))
            yield Fence(words=words, code=token.content, line=token.map[0] + 2, note=note)
        note = token.content if token.type == "html_block" else ""
