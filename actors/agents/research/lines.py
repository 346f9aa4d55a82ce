"""Has ripgrep, or what stands in for it, find the lines that fit."""

import base64
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from actors.agents.kit.outcome import Skipped
from actors.agents.kit.toolbox import Toolbox
from actors.agents.research import matching
from actors.agents.tools import ToolResult, ToolStatus, run_tool
from actors.workflows.definition import ActivityFailure

_DEADLINE_S: Final = 30.0
_CAP_BYTES: Final = 16 << 20
_LINE_CHARACTERS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that fits, and the texts on it that do."""

    path: str
    number: int
    text: str
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """All that fit, in the order of paths and numbers; `tool` found them."""

    tool: str
    lines: tuple[Line, ...]
    skipped: tuple[Skipped, ...] = ()


async def find_lines(
    root: Path, paths: Sequence[str], patterns: Sequence[str], *, is_regex: bool
) -> Lines:
    """Searches the files at `paths`; upper and lower case are the same.

    Raises:
        ActivityFailure: "bad_pattern", when a pattern is no regular expression.

    Cancellation ends the search.
    """
    result = await Toolbox(root).run(
        "rg",
        *("--json", "--no-config", "--no-messages", "--no-follow", "--hidden"),
        *("--sort=path", "--ignore-case", "--max-filesize=1M", f"--max-count={matching.PER_FILE}"),
        *("--glob=!.git",),
        *(() if is_regex else ("--fixed-strings",)),
        *(f"--regexp={pattern}" for pattern in patterns),
        *("--", "./"),
        deadline_s=_DEADLINE_S,
        ok=(0, 1),
        output_cap_bytes=_CAP_BYTES,
    )
    skipped: tuple[Skipped, ...] = ()
    if isinstance(result, Skipped):
        result = await _without_ripgrep(root, paths, patterns, is_regex=is_regex)
    if b"regex parse error" in result.stderr:
        said = result.stderr.decode("utf-8", "replace").strip().splitlines()[-1]
        raise ActivityFailure("bad_pattern", f"that is no regular expression: {said}",
                              retryable=False)  # fmt: skip
    if result.status is not ToolStatus.OK or result.truncated:
        why = "there are too many" if result.truncated else result.why
        skipped = (Skipped(what="further hits", why=why),)
    known = frozenset(paths)
    lines = (_line(message) for message in result.stdout.split(b"\n"))
    kept = [line for line in lines if line is not None and line.path in known]
    return Lines(
        tool="ripgrep" if result.tool == "rg" else "beadflow",
        lines=tuple(sorted(kept, key=lambda line: (line.path, line.number))),
        skipped=skipped,
    )


async def _without_ripgrep(
    root: Path, paths: Sequence[str], patterns: Sequence[str], *, is_regex: bool
) -> ToolResult:
    with tempfile.TemporaryDirectory() as place:
        listed = trio.Path(place, "paths")
        await listed.write_bytes(b"\0".join(map(os.fsencode, paths)))
        return await run_tool(
            [
                *(sys.executable, "-I", "-m", matching.__name__),
                *(".", str(listed)),
                *(patterns if is_regex else map(re.escape, patterns)),
            ],
            cwd=root,
            deadline_s=_DEADLINE_S,
            output_cap_bytes=_CAP_BYTES,
        )


def _line(message: bytes) -> Line | None:
    """One message of `rg --json`; None for one that is no match, or was cut off."""
    try:
        said = json.loads(message)
    except ValueError:
        return None
    if said.get("type") != "match":
        return None
    data = said["data"]
    return Line(
        path=_text(data["path"]).removeprefix("./"),
        number=data["line_number"],
        text=_text(data["lines"]).rstrip("\r\n")[:_LINE_CHARACTERS],
        found=tuple(_text(one["match"]) for one in data["submatches"][:_LINE_CHARACTERS]),
    )


def _text(given: Mapping[str, Any]) -> str:
    """A text, or the bytes of one that is none."""
    if "text" in given:
        return str(given["text"])
    return os.fsdecode(base64.b64decode(given["bytes"]))
