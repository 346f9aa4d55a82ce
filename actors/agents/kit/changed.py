"""Which lines a commit has that another one has not: what a review of a change looks at."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from actors.agents.kit.outcome import Place
from actors.agents.kit.repository import ask, complete, read, resolve
from actors.agents.site import Site
from actors.workflows.definition import ActivityFailure

_HUNK: Final = re.compile(rb"^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE: Final = re.compile(rb'\\([0-7]{3}|["\\abfnrtv])')
_LETTERS: Final = dict(zip(b'abfnrtv"\\', b'\a\b\f\n\r\t\v"\\', strict=True))


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change adds.

    Args:
        base: id of the last commit that both sides have.
        head: id of the commit that is looked at.
        diff: as Git writes it, without context.
        lines: of head's files, by path; a file of which lines were only taken away has none.
    """

    base: str
    head: str
    diff: bytes
    lines: Mapping[str, tuple[range, ...]]

    def has(self, place: Place | None) -> bool:
        """Whether something at a place is about a line that was added or changed.

        What has no line is about the whole file, and what has no place about none.
        """
        if place is None or place.path not in self.lines:
            return False
        if place.line is None:
            return True
        last = max(place.line, place.end_line or place.line)
        found = range(place.line, last + 1)
        return any(_meet(found, changed) for changed in self.lines[place.path])


async def changed_lines(site: Site, base: str, head: str) -> Changed:
    """What head has added since it left base.

    Raises:
        ActivityFailure: as `common_commit`; "git_failed".
    """
    start, theirs = await common_commit(site, base, head)
    options = ("--unified=0", "--no-color", "--find-renames", "--src-prefix=a/", "--dst-prefix=b/")
    diff = complete(await read(site, "diff", *options, start, theirs, "--")).stdout
    return Changed(start, theirs, diff, dict(added_lines(diff)))


async def common_commit(site: Site, base: str, head: str) -> tuple[str, str]:
    """The ids of the last commit that both sides have, and of head.

    Raises:
        ActivityFailure: "bad_ref", "unknown_ref", "no_common_commit".
    """
    ours, theirs = await resolve(site, base), await resolve(site, head)
    common = await read(site, "merge-base", ours, theirs)
    if not common.ok:
        raise ActivityFailure(
            "no_common_commit", f"{base} and {head} have no commit in common", retryable=False
        )
    return common.text.split()[0], theirs


async def tracked_files(site: Site, commit: str) -> tuple[str, ...]:
    """The paths of a commit's plain files, in Git's order."""
    listed = await ask(site, "ls-tree", "-r", "-z", "--full-tree", commit)
    entries = (entry.partition("\t") for entry in listed.split("\0") if entry)
    return tuple(path for kind, _, path in entries if kind.startswith("100"))


def added_lines(diff: bytes) -> Iterator[tuple[str, tuple[range, ...]]]:
    """The added lines of each file of a diff without context."""
    path, found, left = "", list[range](), 0
    for line in diff.split(b"\n"):
        if left > 0 and line[:1] in {b"+", b"-"}:
            left -= 1
        elif match := _HUNK.match(line):
            start, count = int(match[2]), int(match[3] or 1)
            left = int(match[1] or 1) + count
            if count:
                found.append(range(start, start + count))
        elif line.startswith(b"+++ "):
            path = _path(line[4:])
        elif line.startswith(b"diff --git "):
            if path:
                yield path, tuple(found)
            path, found = "", []
    if path:
        yield path, tuple(found)


def _path(text: bytes) -> str:
    """The path on a `+++` line; "" for a file that is gone."""
    name = text.rstrip(b"\t\r")
    if name.startswith(b'"') and name.endswith(b'"'):
        name = _ESCAPE.sub(_unescaped, name[1:-1])
    return name[2:].decode("utf-8", "surrogateescape") if name.startswith(b"b/") else ""


def _unescaped(match: re.Match[bytes]) -> bytes:
    said = match[1]
    return bytes([int(said, 8) & 255 if len(said) > 1 else _LETTERS[said[0]]])


def _meet(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop
