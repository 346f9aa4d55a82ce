"""A console block: commands and what they printed, compared in substance."""

import re
from dataclasses import dataclass

_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"\b([a-z]+)-[a-z0-9]{16}\b"), r"\1-<id>"),
    (re.compile(r"\b(shop|main)-[a-z0-9]{3,8}\b"), "<issue>"),
    (re.compile(r"\b(\d+h)?(\d+m)?\d+(\.\d+)? ?s\b"), "<seconds>"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "<url>"),
    (re.compile(r"\s+"), " "),
)
"""What differs from run to run, and what stands for it."""

ELLIPSIS = "…"


@dataclass(frozen=True)
class Step:
    """A command and the lines that were shown under it."""

    command: str
    shown: tuple[str, ...]

    def missing_from(self, output: str) -> list[str]:
        """The shown lines that the output does not have; an ellipsis stands for anything."""
        lines = [substance(line) for line in output.splitlines()]
        return [line for line in self.shown if not _is_among(substance(line), lines)]


def steps(block: str) -> list[Step]:
    """The commands of a console block, each after a dollar sign."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip():
            found[-1][1].append(line)
    return [Step(command, tuple(shown)) for command, shown in found]


def substance(line: str) -> str:
    for pattern, replacement in _VARYING:
        line = pattern.sub(replacement, line)
    return line.strip()


def _is_among(line: str, lines: list[str]) -> bool:
    if line.endswith(ELLIPSIS):
        return any(found.startswith(line.removesuffix(ELLIPSIS)) for found in lines)
    return line in lines
