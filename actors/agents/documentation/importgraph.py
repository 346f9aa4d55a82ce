"""Which module of the packages imports which, and the picture of it in Mermaid."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from actors.agents.documentation.programs import parsed
from actors.agents.documentation.surface import Surface, Thing

MAX_NODES: Final = 30

Graph = Mapping[str, frozenset[str]]


def imports(root: Path, api: Surface) -> Graph:
    """The public modules, and those of them that each imports: anywhere in it."""
    modules = {module.path for module in api.modules}
    graph = {}
    for module in api.modules:
        tree = parsed(root, module.place.path)
        found = {_known(name, modules) for name in _imported(tree, module)} if tree else set()
        graph[module.path] = frozenset(found - {"", module.path})
    return graph


def grouped(graph: Graph, limit: int = MAX_NODES) -> Graph:
    """The same by packages, as deep as the number of them allows."""
    deepest = max((name.count(".") + 1 for name in graph), default=1)
    for depth in range(deepest, 0, -1):
        merged: dict[str, set[str]] = {}
        for name, targets in graph.items():
            node = _cut(name, depth)
            merged.setdefault(node, set()).update(_cut(target, depth) for target in targets)
        if len(merged) <= limit or depth == 1:
            return {node: frozenset(targets - {node}) for node, targets in merged.items()}
    return {}


def mermaid(graph: Graph) -> str:
    """The picture: an arrow from a module to what it imports; "" when there is nothing to see."""
    names = sorted(graph)
    ids = {name: f"m{number}" for number, name in enumerate(names)}
    arrows = [
        f"    {ids[name]} --> {ids[target]}"
        for name in names
        for target in sorted(graph[name])
        if target in ids
    ]
    if not arrows:
        return ""
    return "\n".join(["graph LR", *(f'    {ids[name]}["{name}"]' for name in names), *arrows])


def _cut(name: str, depth: int) -> str:
    return ".".join(name.split(".")[:depth])


def _known(name: str, modules: set[str]) -> str:
    """The module that an imported name lies in; "" if it is none of ours."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def _imported(tree: ast.Module, module: Thing) -> Iterator[str]:
    is_package = module.place.path.endswith("/__init__.py")
    here = module.path.split(".")
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                base = here[: len(here) - level + is_package] if level else []
                prefix = ".".join([*base, *([source] if source else [])])
                yield from (f"{prefix}.{alias.name}" for alias in names)
