"""The commands, options and variables that a package takes, read from its syntax trees.

Options are those of argparse, click and typer; variables are those read from `os.environ`; settings
are the fields of classes whose name ends with Settings or Config. Names that are made up at run
time are not seen. Nothing is run.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from actors.agents.documentation.sources import NO_API
from actors.agents.documentation.surface import Kind, Surface, Thing
from actors.agents.kit.outcome import Place
from actors.agents.kit.parsing import MAX_SOURCE_BYTES, parsing

_OPTION_CALLS: Final = frozenset({"add_argument", "option", "Option", "argument", "Argument"})
_SETTINGS: Final = ("Settings", "Config", "Configuration")


class OptionKind(StrEnum):
    OPTION = "option"
    VARIABLE = "variable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of a command, or a variable of the environment.

    Args:
        names: the short one first, e.g. ("-v", "--verbose").
        default: as it is written in the code, or "".
    """

    kind: OptionKind
    names: tuple[str, ...]
    description: str
    default: str
    place: Place


def options(root: Path, paths: Iterable[str]) -> list[Option]:
    """Those that are found in Python files, each once, in the order of the files."""
    found: dict[tuple[str, ...], Option] = {}
    for path in paths:
        tree = parsed(root, path)
        for node in ast.walk(tree) if tree else ():
            for option in _option(node, path):
                found.setdefault(option.names, option)
    return list(found.values())


def is_program(path: str) -> bool:
    """Whether a file is Python and belongs to what is installed."""
    return path.endswith(".py") and NO_API.isdisjoint(path.split("/")[:-1])


def parsed(root: Path, path: str) -> ast.Module | None:
    """The syntax tree of a file; None when it has none."""
    file = root / path
    try:
        if file.stat().st_size > MAX_SOURCE_BYTES:
            return None
        with parsing():
            return ast.parse(file.read_bytes(), filename=path)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def settings(api: Surface) -> Iterator[Thing]:
    """Public classes that hold settings."""
    for thing in api.walk():
        if thing.kind is Kind.CLASS and thing.name.endswith(_SETTINGS):
            yield thing


def _option(node: ast.AST, path: str) -> Iterator[Option]:
    match node:
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in _OPTION_CALLS:
            names = tuple(
                text for text in map(_text, node.args) if text.startswith("-") and len(text) > 1
            )
            if names:
                yield _made(OptionKind.OPTION, sorted(names, key=len), node, path)
        case ast.Call(func=function, args=[ast.Constant(value=str() as name), *_]) if (
            _reads_variable(function)
        ):
            yield _made(OptionKind.VARIABLE, [name], node, path)
        case ast.Subscript(value=value, slice=ast.Constant(value=str() as name)) if ast.unparse(
            value
        ) in {"os.environ", "environ"} and isinstance(node.ctx, ast.Load):
            yield _made(OptionKind.VARIABLE, [name], node, path)


def _reads_variable(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute | ast.Name) and ast.unparse(function) in {
        "os.environ.get",
        "environ.get",
        "os.getenv",
        "getenv",
    }


def _made(kind: OptionKind, names: list[str], node: ast.expr, path: str) -> Option:
    given = node.keywords if isinstance(node, ast.Call) else []
    more = {keyword.arg: keyword.value for keyword in given}
    default = more.get("default")
    if kind is OptionKind.VARIABLE and isinstance(node, ast.Call) and len(node.args) > 1:
        default = node.args[1]
    return Option(
        kind=kind,
        names=tuple(names),
        description=_text(more["help"]) if "help" in more else "",
        default=ast.unparse(default)[:80] if default is not None else "",
        place=Place(path=path, line=node.lineno),
    )


def _text(node: ast.expr) -> str:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return str(node.value) if is_text else ""  # type: ignore[attr-defined]
