"""Runs the Python blocks of one document, in their order and in one namespace, as a reader would.

A program of its own: the agent starts it with the project's Python, as `python runner.py blocks
answers`, and it imports nothing but the standard library. Each answer is a line of JSON in a file,
since the blocks print what they like; the last line tells where a block was that did not end.
"""

import ast
import doctest
import json
import sys
import traceback
import types
from pathlib import Path
from typing import Any, TextIO

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NAME = "__document__"
NOT_HERE = "not here"
STATEMENT_CHARACTERS = 160


def main(blocks: Path, answers: Path) -> None:
    """Run the blocks of a JSON file: their path, and the line, code and kind of each."""
    given = json.loads(blocks.read_text(encoding="utf-8"))
    module = types.ModuleType(NAME)
    sys.modules[NAME] = module  # dataclasses and pickle look their module up
    with answers.open("w", encoding="utf-8") as file:
        for number, block in enumerate(given["blocks"]):
            say(file, number, "started")
            outcome, why, line = run(block, given["path"], module.__dict__)
            say(file, number, outcome, why=why, line=line)


def say(file: TextIO, number: int, outcome: str, *, why: str = "", line: int = 0) -> None:
    answer = {"number": number, "outcome": outcome, "why": why, "line": line}
    file.write(json.dumps(answer) + "\n")
    file.flush()


def run(block: dict[str, Any], path: str, names: dict[str, Any]) -> tuple[str, str, int]:
    """What became of a block: "ok", "failed" or "not here", and why, and at which line."""
    try:
        if block["is_session"]:
            return run_session(block, path, names)
        return run_code(block, path, names)
    except SystemExit as error:
        if not error.code:
            return "ok", "", 0
        return "failed", f"it exits with {error.code}", block["line"]
    except ModuleNotFoundError as error:
        line = line_of(error, path) or block["line"]
        return NOT_HERE, error.name or "a module", line
    except BaseException as error:  # noqa: BLE001 - whatever a block raises
        line = line_of(error, path) or block["line"]
        return "failed", shown(error, block, line), line


def run_code(block: dict[str, Any], path: str, names: dict[str, Any]) -> tuple[str, str, int]:
    lines = "\n" * (block["line"] - 1) + block["code"]
    code = compile(lines, path, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if code.co_flags & 0x80:  # a coroutine: it awaits at its top level
        return NOT_HERE, "", block["line"]
    exec(code, names)  # noqa: S102 - that is what it is for
    return "ok", "", 0


def run_session(block: dict[str, Any], path: str, names: dict[str, Any]) -> tuple[str, str, int]:
    test = doctest.DocTestParser().get_doctest(block["code"], names, NAME, path, block["line"] - 1)
    problems: list[tuple[str, int]] = []

    class Listener(doctest.DocTestRunner):
        def report_failure(self, out: Any, test: Any, example: Any, got: str) -> None:
            del out
            why = f"`{short(example.source)}`: it prints {got.strip()!r}"
            problems.append((why, test.lineno + example.lineno + 1))

        def report_unexpected_exception(
            self, out: Any, test: Any, example: Any, exc_info: Any
        ) -> None:
            del out
            why = f"`{short(example.source)}`: {said(exc_info[1])}"
            problems.append((why, test.lineno + example.lineno + 1))

    Listener(optionflags=FLAGS).run(test, out=lambda _: None, clear_globs=False)
    names.update(test.globs)
    if problems:
        why, line = problems[0]
        return "failed", why, line
    return "ok", "", 0


def shown(error: BaseException, block: dict[str, Any], line: int) -> str:
    """What an error says, behind the statement of the block that it came from."""
    statement = "" if isinstance(error, SyntaxError) else statement_at(block, line)
    return f"`{statement}`: {said(error)}" if statement else said(error)


def statement_at(block: dict[str, Any], line: int) -> str:
    """The innermost statement at a line; "" where it is of an earlier block."""
    at = line - block["line"] + 1
    try:
        nodes = [node for node in ast.walk(ast.parse(block["code"])) if isinstance(node, ast.stmt)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # why it was never run
        return ""
    here = [node for node in nodes if node.lineno <= at <= (node.end_lineno or node.lineno)]
    if not here:
        return ""
    innermost, *beside = [n for n in here if n.lineno == max(node.lineno for node in here)]
    if beside:  # nobody can tell which of them it was
        return short(block["code"].split("\n")[innermost.lineno - 1])
    source = ast.get_source_segment(block["code"], innermost) or ""
    return short(source.split("\n")[0] if hasattr(innermost, "body") else source)


def short(source: str) -> str:
    line = " ".join(source.split())
    return line if len(line) <= STATEMENT_CHARACTERS else f"{line[:STATEMENT_CHARACTERS]}…"


def said(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]


def line_of(error: BaseException, path: str) -> int:
    """The last line of the document on the way to an error; 0 when there is none."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno or 0
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno or 0 for f in reversed(frames) if f.filename == path), 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
