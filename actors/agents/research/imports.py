"""Which modules Python code imports, and on which lines.

Source is parsed and never imported. A file that is not Python of the running version is counted as
such; so is one above 256 KiB, because parsing holds the interpreter for the whole of it (measured:
half a second per MiB) and everything else in this process would wait.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from actors.agents.kit.files import Skips
from actors.agents.kit.parsing import MAX_SOURCE_BYTES, parsing
from actors.agents.kit.untrusted import plain
from actors.agents.research.facts import Import
from actors.agents.research.practices import is_test

_MAX_PLACES: Final = 5
_MAX_MODULES: Final = 300


def imported_modules(source: bytes, path: str, skips: Skips) -> dict[str, int]:
    """Top-level modules the file imports absolutely, each with the first line it is imported on."""
    if len(source) > MAX_SOURCE_BYTES:
        skips.add("too large to parse")
        return {}
    try:
        with parsing():
            tree = ast.parse(source, filename=path)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        skips.add("not parsed as Python")
        return {}
    first: dict[str, int] = {}
    for module, line in _imports(tree):
        top = module.partition(".")[0]
        first[top] = min(line, first.get(top, line))
    return first


def _imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, node.lineno


class ImportTable:
    """Collects the imports of all files, then says which are the project's own and which not."""

    def __init__(self) -> None:
        self._places: dict[str, dict[str, int]] = defaultdict(dict)

    def add(self, path: str, modules: dict[str, int]) -> None:
        for module, line in modules.items():
            self._places[module][path] = line

    def imports(self, paths: tuple[str, ...]) -> tuple[Import, ...]:
        """Imports from outside the project, the most used first.

        Args:
            paths: All files of the repository, from which its own modules are known.
        """
        own = own_modules(paths)
        outside = [module for module in self._places if module not in own]
        ranked = sorted(outside, key=lambda module: (-len(self._places[module]), module))
        return tuple(self._import(module) for module in ranked[:_MAX_MODULES])

    def _import(self, module: str) -> Import:
        places = self._places[module]
        shown = sorted(places, key=lambda path: (is_test(path), path))[:_MAX_PLACES]
        standard = module in sys.stdlib_module_names
        return Import(
            module=plain(module, 100),
            kind="standard library" if standard else "third-party",
            files=len(places),
            test_files=sum(is_test(path) for path in places),
            places=tuple(f"{plain(path)}:{places[path]}" for path in shown),
        )


def own_modules(paths: tuple[str, ...]) -> frozenset[str]:
    """Names that an import finds inside the project: its packages and modules, wherever rooted.

    A name counts when a directory with Python files in it, or a Python file, at the root, under
    `src` or beside a manifest has it; deeper ones only make sense from inside their package.
    """
    roots = {PurePosixPath("."), PurePosixPath("src"), PurePosixPath("tests")}
    roots |= {PurePosixPath(path).parent for path in paths if path.endswith("pyproject.toml")}
    roots |= {root / "src" for root in roots}
    own: set[str] = set()
    for path in paths:
        if not path.endswith((".py", ".pyi")):
            continue
        file = PurePosixPath(path)
        for root in {*file.parents} & roots:
            own.add(file.relative_to(root).parts[0].partition(".")[0])
    return frozenset(own)
