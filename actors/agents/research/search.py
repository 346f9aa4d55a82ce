"""Searches the code: lines that fit, the most telling first, and the symbols whose names fit."""

import fnmatch
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import trio

from actors.agents.kit.files import Skips, list_files, read_file
from actors.agents.kit.outcome import Evidence, Place, Skipped
from actors.agents.kit.untrusted import plain
from actors.agents.research.languages import is_program, language_of
from actors.agents.research.lines import Line, Lines, find_lines
from actors.agents.research.practices import is_test
from actors.agents.research.scan import Progress
from actors.agents.research.search_messages import (
    CodeSearch,
    CodeSearchRequest,
    Hit,
    Kind,
    Symbol,
)
from actors.agents.research.statements import counted
from actors.agents.research.symbols import MISSING, symbols_of
from actors.agents.research.words import question_words

_NO_WORDS: Final = Skipped(
    what="the search",
    why="no word of the query tells anything",
    install="ask with kind=text for it as it is written",
)
_PARSED: Final = 100  # files that are looked into for symbols
_PER_FILE: Final = 5
_TEXT_CHARACTERS: Final = 300
_DEFINED: Final = defaultdict(float, {"class": 3.0, "function": 3.0, "attribute": 1.0})
_IN_PATH: Final = 0.5
_IN_FILE: Final = 2.0  # for a file that has all the words, somewhere
_CODE, _TEST, _OTHER = 1.0, 0.5, 0.2


async def search_code(request: CodeSearchRequest, *, root: Path, progress: Progress) -> CodeSearch:
    """Searches the repository at `root`; only files that Git tracks count.

    Args:
        request: what is looked for.
        root: the work tree; nothing outside it is read.
        progress: told before each part.

    Raises:
        ActivityFailure: "bad_pattern".

    Cancellation ends the search.
    """
    progress("listing files", 0.0)
    listing = await list_files(root)
    paths = [path for path in listing.paths if _is_wanted(path, request.paths)]
    patterns = question_words(request.query) if _is_words(request) else (request.query,)
    progress("searching", 0.2)
    found = Lines(tool="beadflow", lines=(), skipped=(_NO_WORDS,))
    if patterns:
        found = await find_lines(root, paths, patterns, is_regex=request.kind is Kind.REGEX)
    progress("looking for symbols", 0.7)
    return await trio.to_thread.run_sync(_answer, request, root, found, patterns)


def _is_wanted(path: str, wanted: Sequence[str]) -> bool:
    return not wanted or any(fnmatch.fnmatchcase(path, pattern) for pattern in wanted)


def _is_words(request: CodeSearchRequest) -> bool:
    return request.kind is Kind.WORDS


def _answer(
    request: CodeSearchRequest, root: Path, found: Lines, patterns: Sequence[str]
) -> CodeSearch:
    words = patterns if _is_words(request) else ()
    texts = sorted({one.lower() for line in found.lines for one in line.found})
    skipped = list(found.skipped)
    try:
        symbols = _symbols(root, found.lines)
    except ImportError:
        symbols = {}
        skipped.append(MISSING)
    scored = _scored(found.lines, symbols, words)
    hits = tuple(_hit(root, one, request.context) for one in _spread(scored, request.hits))
    named = [symbol for path in symbols for symbol in symbols[path] if _is_named(symbol, texts)]
    named.sort(key=lambda symbol: (-_where(symbol.place.path), -_DEFINED[symbol.kind]))
    files = len({line.path for line in found.lines})
    return CodeSearch(
        summary=f"{counted(len(found.lines), 'line')} in {counted(files, 'file')} fit.",
        metrics={"lines": len(found.lines), "files": files},
        evidence=tuple(
            Evidence(id=f"E{number}", source=found.tool, statement=f"{hit.place}: {hit.text}")
            for number, hit in enumerate(hits, 1)
        ),
        skipped=tuple(skipped),
        tool=found.tool,
        hits=hits,
        symbols=tuple(named[: request.hits]),
    )


def _symbols(root: Path, lines: Iterable[Line]) -> dict[str, tuple[Symbol, ...]]:
    """Of the Python files that have most lines that fit."""
    counts = Counter(line.path for line in lines if line.path.endswith(".py"))
    found = {}
    for path, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_PARSED]:
        data = read_file(root, path, Skips())
        if data is not None:
            found[path] = symbols_of(path, data)
    return found


Scored = tuple[float, Line, str | None, tuple[str, ...]]


def _scored(
    lines: Sequence[Line], symbols: Mapping[str, Sequence[Symbol]], words: Sequence[str]
) -> list[Scored]:
    """The lines, the most telling first: where something is defined, in code before tests."""
    in_file: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        in_file[line.path].update(one.lower() for one in line.found)
    scored = []
    for line in lines:
        here = tuple(word for word in words if word in line.text.lower())
        score = _where(line.path) + len(here)
        score += _IN_PATH * sum(word in line.path.lower() for word in words)
        if words:
            score += _IN_FILE * len(in_file[line.path]) / len(words)
        inside = _inside(line, symbols.get(line.path, ()))
        begins = inside is not None and inside.place.line == line.number
        if inside is not None and begins and not is_test(line.path):
            score += _DEFINED[inside.kind] * _is_named(inside, line.found)
        scored.append((round(score, 3), line, inside.name if inside else None, here))
    return sorted(scored, key=lambda one: (-one[0], one[1].path, one[1].number))


def _is_named(symbol: Symbol, texts: Iterable[str]) -> bool:
    name = symbol.name.rpartition(".")[2].lower()
    return any(text.lower() in name or name in text.lower() for text in texts if text)


def _where(path: str) -> float:
    if is_test(path):
        return _TEST
    return _CODE if is_program(language_of(path) or "") else _OTHER


def _inside(line: Line, symbols: Sequence[Symbol]) -> Symbol | None:
    """The innermost symbol that the line is in."""
    around = [
        symbol
        for symbol in symbols
        if (symbol.place.line or 0) <= line.number <= (symbol.place.end_line or 0)
    ]
    return max(around, key=lambda symbol: symbol.place.line or 0, default=None)


def _spread(scored: Sequence[Scored], number: int) -> list[Scored]:
    """The first of them, at most five of one file as long as others have some."""
    seen: Counter[str] = Counter()
    first: list[Scored] = []
    rest: list[Scored] = []
    for one in scored:
        seen[one[1].path] += 1
        (first if seen[one[1].path] <= _PER_FILE else rest).append(one)
    return (first + rest)[:number]


def _hit(root: Path, scored: Scored, context: int) -> Hit:
    score, line, inside, words = scored
    data = read_file(root, line.path, Skips()) if context else None
    lines = (data or b"").decode("utf-8", "replace").split("\n")
    at = line.number - 1
    return Hit(
        place=Place(path=plain(line.path), line=line.number),
        text=_shown(line.text),
        before=tuple(map(_shown, lines[max(0, at - context) : at])),
        after=tuple(map(_shown, lines[at + 1 : at + 1 + context])),
        score=score,
        inside=inside,
        words=words,
    )


def _shown(text: str) -> str:
    """A line with its indentation, without control characters."""
    stripped = text.expandtabs(4)
    indent = len(stripped) - len(stripped.lstrip(" "))
    return " " * min(indent, 80) + plain(stripped, _TEXT_CHARACTERS)
