"""The supervision tree as a picture, drawn from the code that builds it."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from api.server import doors_specs
from tests.docs.pages import ROOT


@dataclass(frozen=True)
class Node:
    """A child, or a supervisor with its strategy and children."""

    name: str
    strategy: str = ""
    children: tuple["Node", ...] = ()


def drawn() -> str:
    """The picture of `actors/tree.py`, with the API's children at its door."""
    module = ast.parse((ROOT / "actors" / "tree.py").read_text("utf-8"))
    function = next(
        node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "tree"
    )
    (returned,) = (node.value for node in function.body if isinstance(node, ast.Return))
    assert isinstance(returned, ast.Call)
    return "\n".join(_lines(_node(returned)))


def _node(call: ast.Call) -> Node:
    match call:
        case ast.Call(func=ast.Name(id="supervisor"), args=[name, strategy, ast.List(elts=below)]):
            return Node(_text(name), _text(strategy), tuple(_children(below)))
        case ast.Call(func=ast.Name(id="supervisor"), args=[name, strategy, ast.Name(id="doors")]):
            return Node(_text(name), _text(strategy), tuple(map(Node, _doors())))
        case ast.Call(func=ast.Name(id="child"), args=[name, *_]):
            return Node(_text(name))
    raise AssertionError(f"not a part of the tree: {ast.unparse(call)}")


def _children(elements: Sequence[ast.expr]) -> Iterator[Node]:
    for element in elements:
        calls = (node for node in ast.walk(element) if isinstance(node, ast.Call))
        yield _node(next(calls))


def _doors() -> list[str]:
    """The ids of the API's specs; nothing is built of them."""
    nothing: Any = None
    specs = doors_specs(nothing, CollectorRegistry(), http=nothing, metrics=nothing, local=nothing)
    return [spec.id for spec in specs]


def _text(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, str)
    return node.value


def _lines(node: Node, prefix: str = "") -> Iterator[str]:
    if not prefix:
        yield _label(node)
    for number, below in enumerate(node.children):
        last = number == len(node.children) - 1
        yield f"{prefix}{'└── ' if last else '├── '}{_label(below)}"
        inner = prefix + ("    " if last else "│   ")
        yield from list(_lines(below, inner))


def _label(node: Node) -> str:
    return f"{node.name} ({node.strategy})" if node.strategy else node.name
