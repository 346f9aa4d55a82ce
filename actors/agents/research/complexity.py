"""Measures how complex functions are, in every language that lizard reads."""

import csv
import fnmatch
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

import trio

from actors.agents.kit.files import is_plain, list_files
from actors.agents.kit.outcome import Evidence, Finding, Level, Place, Skipped
from actors.agents.kit.toolbox import Toolbox
from actors.agents.kit.untrusted import plain
from actors.agents.research.complexity_messages import Complexity, ComplexityRequest, Function
from actors.agents.research.languages import is_program, language_of
from actors.agents.research.scan import Progress
from actors.agents.research.statements import counted

_DEADLINE_S: Final = 90.0
_CAP_BYTES: Final = 32 << 20
_MAX_FILES: Final = 5_000
_COLUMNS: Final = 11
_MAX_FINDINGS: Final = 200
_STATED: Final = 10


async def measure_complexity(
    request: ComplexityRequest, *, root: Path, progress: Progress
) -> Complexity:
    """Measures the files that Git tracks.

    Args:
        request: which files, and from where on a function is a finding.
        root: the work tree; nothing outside it is read.
        progress: told before each part.

    Cancellation ends the measurement.
    """
    progress("listing files", 0.0)
    listing = await list_files(root)
    paths = [path for path in listing.paths if _is_measured(path, request.paths)]
    chosen = await trio.to_thread.run_sync(_regular, root, paths[:_MAX_FILES])
    progress(f"measuring {counted(len(chosen), 'file')}", 0.1)
    given = await _lizard(root, chosen)
    skipped = [] if isinstance(given, str) else [given]
    if len(paths) > _MAX_FILES:
        left = counted(len(paths) - _MAX_FILES, "file")
        skipped.append(Skipped(what=left, why="there are too many of them"))
    functions = read_table(given) if isinstance(given, str) else []
    return _answer(request, functions, chosen, skipped)


def _is_measured(path: str, wanted: Sequence[str]) -> bool:
    if wanted and not any(fnmatch.fnmatchcase(path, pattern) for pattern in wanted):
        return False
    return path.isprintable() and is_program(language_of(path) or "")


def _regular(root: Path, paths: Sequence[str]) -> list[str]:
    """Those that are files in the tree: the tool follows every link."""
    return [path for path in paths if is_plain(root, path)]


async def _lizard(root: Path, paths: Sequence[str]) -> str | Skipped:
    """What it says as CSV."""
    with tempfile.TemporaryDirectory() as place:
        listed = trio.Path(place, "paths")
        await listed.write_text("\n".join(paths), encoding="utf-8")
        result = await Toolbox(root).run(
            "lizard",
            *("--csv", "--no-gitignore", "--input_file", str(listed)),
            deadline_s=_DEADLINE_S,
            ok=(0, 1),
            output_cap_bytes=_CAP_BYTES,
        )
    if isinstance(result, Skipped):
        return result.model_copy(update={"what": "complexity"})
    if not result.ok:
        return Skipped(what="complexity", why=plain(result.why))
    return result.text


def read_table(text: str) -> list[Function]:
    """Reads `lizard --csv`, the most complex first; a row that is cut off is left out."""
    found = []
    for row in filter(_is_whole, map(_row, text.split("\n"))):
        lines, complexity, _, parameters, _, _, path, name, _, start, end = row
        try:
            first = int(start)
            function = Function(
                name=plain(name, 200),
                place=Place(
                    path=plain(path.removeprefix("./")),
                    line=max(first, 1),
                    end_line=max(int(end), first, 1),
                ),
                complexity=int(complexity),
                lines=int(lines),
                parameters=int(parameters),
            )
        except ValueError:
            continue
        found.append(function)
    return sorted(found, key=lambda one: (-one.complexity, one.place.path, one.place.line or 0))


def _row(line: str) -> list[str]:
    try:
        return next(csv.reader([line.replace("\r", " ")]), [])
    except csv.Error:  # a field that is too long
        return []


def _is_whole(row: Sequence[str]) -> bool:
    return len(row) == _COLUMNS


def _answer(
    request: ComplexityRequest,
    functions: Sequence[Function],
    paths: Sequence[str],
    skipped: Sequence[Skipped],
) -> Complexity:
    over = [function for function in functions if function.complexity > request.threshold]
    mean = fmean(function.complexity for function in functions) if functions else 0.0
    return Complexity(
        summary=(
            f"{counted(len(functions), 'function')} in {counted(len(paths), 'file')}, "
            f"{len(over)} of them above {request.threshold}; on average {mean:.1f}."
        ),
        findings=tuple(_finding(one, request.threshold) for one in over[:_MAX_FINDINGS]),
        metrics={
            "files": len(paths),
            "functions": len(functions),
            "above": len(over),
            "mean": round(mean, 2),
            "highest": functions[0].complexity if functions else 0,
        },
        evidence=tuple(
            Evidence(
                id=f"E{number}",
                source="lizard",
                statement=f"{one.place}: {one.name} has the complexity {one.complexity}.",
            )
            for number, one in enumerate(functions[:_STATED], 1)
        ),
        skipped=tuple(skipped),
        threshold=request.threshold,
        functions=tuple(functions[: request.shown]),
    )


def _finding(function: Function, threshold: int) -> Finding:
    return Finding(
        tool="lizard",
        rule="complexity",
        level=Level.WARNING,
        message=(
            f"{function.name} has the complexity {function.complexity}, more than {threshold}."
        ),
        place=function.place,
    )
