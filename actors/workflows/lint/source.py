"""The source of a function: its node in the file it was written in, and what comments permit.

The file is read whole and the function found by the line of its code, so that what is reported are
lines of the file. Nothing is found where there is no file, or where it was edited since.
"""

import ast
import linecache
import re
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType

Definition = ast.FunctionDef | ast.AsyncFunctionDef

_ALLOWED = re.compile(r"#\s*beadflow:\s*allow\s+([\w-]+(?:\s*,\s*[\w-]+)*)")


@dataclass(frozen=True, slots=True)
class Page:
    """A file with its lines."""

    file: str
    lines: list[str]

    def allowed(self, node: ast.expr | ast.ExceptHandler) -> set[str]:
        """The rules that comments permit: on the lines of an expression, or a block's first."""
        last = node.end_lineno if isinstance(node, ast.expr) else None
        text = " ".join(self.lines[node.lineno - 1 : last or node.lineno])
        return {name.strip() for names in _ALLOWED.findall(text) for name in names.split(",")}


def source_of(function: FunctionType) -> tuple[Definition, Page] | None:
    """A function's definition, None where the source is not there or not the code's any more."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, function.__globals__)
    for node in _definitions("".join(lines)):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        if (first, node.name) == (code.co_firstlineno, code.co_name):
            return node, Page(code.co_filename, lines)
    return None


@lru_cache(maxsize=32)
def _definitions(text: str) -> tuple[Definition, ...]:
    """Every function of a file; none if it cannot be read as one."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, Definition))
