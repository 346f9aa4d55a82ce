"""What a name in a function's source stands for: the object, and the dotted names it goes by.

Pure: nothing is imported, called or evaluated. Names are looked up as the interpreter would, first
among those that the function binds, then in its closure, its globals and the builtins; so an alias
(`from time import sleep as z`, `import datetime as dt`) is seen as what it is.
"""

import ast
import builtins
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

MISSING: Any = object()

_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType, type(lru_cache(len)))

_ALIASES = {
    "posix": "os",
    "nt": "os",
    "posixpath": "os.path",
    "ntpath": "os.path",
    "genericpath": "os.path",
    "_io": "io",
    "_socket": "socket",
    "_thread": "threading",
    "_random": "random",
    "_pydatetime": "datetime",
    "pathlib._local": "pathlib",
    "pathlib._abc": "pathlib",
    "trio._path": "trio",
    "_sqlite3": "sqlite3",
}
"""Modules that are written in two, and the one that people write."""

_SET_METHODS = ("union", "intersection", "difference", "symmetric_difference", "copy")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an expression stands for.

    Args:
        names: dotted names; of an instance, the names of its classes.
        value: the object itself, `MISSING` where only its names are known.
        is_instance: the names are those of its classes.
        is_outer: it was there before the function was called.
    """

    names: tuple[str, ...] = ()
    value: Any = MISSING
    is_instance: bool = False
    is_outer: bool = False

    @property
    def kind(self) -> type | None:
        """The class, if it is one."""
        return self.value if issubclass(type(self.value), type) else None

    @property
    def is_function(self) -> bool:
        return issubclass(type(self.value), _FUNCTIONS)

    @property
    def is_set(self) -> bool:
        return self.is_instance and bool({"builtins.set", "builtins.frozenset"} & {*self.names})


UNKNOWN = Meaning()


@dataclass(slots=True, eq=False)
class Scope:
    """The names that are bound in one function, and what lies around it."""

    outer: Mapping[str, Any]
    parent: "Scope | None" = None
    bound: dict[str, list[ast.AST | Meaning | None]] = field(default_factory=dict)
    _freed: set[str] = field(default_factory=set)
    _asked: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, node: ast.AST, outer: Mapping[str, Any], parent: "Scope | None" = None) -> "Scope":
        """The scope of a function's node."""
        scope = cls(outer, parent)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for argument in _parameters(node.args):
                scope.bound.setdefault(argument.arg, []).append(scope._annotated(argument))
        body = getattr(node, "body", [])
        for statement in body if isinstance(body, list) else [body]:
            scope._bind_all(statement)
        return scope

    def nested(self, name: str) -> "tuple[ast.FunctionDef | ast.AsyncFunctionDef, Scope] | None":
        """The function that is defined under that name inside the one looked at."""
        scope = self._owner(name)
        for found in scope.bound[name] if scope else ():
            if scope and isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
                return found, scope
        return None

    def is_local(self, name: str) -> bool:
        return self._owner(name) is not None

    def meaning(self, node: ast.AST) -> Meaning:
        """What an expression stands for; `UNKNOWN` is the usual answer."""
        match node:
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute(value=value, attr=attr):
                return _attribute(self.meaning(value), attr)
            case ast.Call():
                return self._called(node)
            case ast.Set() | ast.SetComp():
                return Meaning(("builtins.set",), is_instance=True)
            case ast.BinOp(left=left, right=right):
                known = self.meaning(left)
                return known if known.is_instance else _as_set(self.meaning(right))
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self.meaning(value)
        return UNKNOWN

    def _named(self, name: str) -> Meaning:
        scope = self._owner(name)
        if scope is not None:
            return scope._bound_once(name)  # noqa: SLF001 - its own kind
        if name in self.outer:
            value = self.outer[name]
        elif hasattr(builtins, name):
            value = getattr(builtins, name)
        else:
            return UNKNOWN
        return _meaning_of(value, outer=True)

    def _owner(self, name: str) -> "Scope | None":
        scope: Scope | None = self
        while scope is not None and name not in scope.bound:
            scope = scope.parent
        return scope

    def _bound_once(self, name: str) -> Meaning:
        found = self.bound[name]
        if len(found) != 1 or found[0] is None or name in self._asked:
            return UNKNOWN
        if isinstance(found[0], Meaning):
            return found[0]
        self._asked.add(name)
        try:
            return self.meaning(found[0])
        finally:
            self._asked.discard(name)

    def _called(self, node: ast.Call) -> Meaning:
        called = self.meaning(node.func)
        if called.kind is not None:
            return _instance(called.kind)
        match node.func:
            case ast.Attribute(value=value, attr=attr) if attr in _SET_METHODS:
                return _as_set(self.meaning(value))
        return UNKNOWN

    def _annotated(self, argument: ast.arg) -> Meaning | None:
        annotation = argument.annotation
        if isinstance(annotation, ast.Subscript):
            annotation = annotation.value
        if annotation is None:
            return None
        around = self.parent or Scope(self.outer)
        kind = around.meaning(annotation).kind
        return _instance(kind) if kind is not None else None

    def _bind_all(self, node: ast.AST) -> None:
        """Note what a statement binds, without entering the functions in it."""
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self._bind(name, node)
                return
            case ast.Lambda():
                return
            case ast.ClassDef(name=name):
                self._bind(name, None)
                return
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                self._freed.update(names)  # not bound here, wherever it is assigned
            case ast.Import(names=imported):
                for alias in imported:
                    path = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._bind(alias.asname or path, _imported(path))
            case ast.ImportFrom(module=module, names=imported, level=level):
                for alias in imported:  # a relative one is the author's own
                    how = None if level else _imported(f"{module}.{alias.name}")
                    self._bind(alias.asname or alias.name, how)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._bind(name, value)
                self._bind_all(value)
                return
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.AST() as value):
                self._bind(name, value)
                self._bind_all(value)
                return
            case ast.AugAssign(target=ast.Name(), value=value):
                self._bind_all(value)  # the name is bound elsewhere, and stays of its kind
                return
            case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)):
                self._bind(name, value)
                self._bind_all(value)
                return
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                self._bind(name, value)
                self._bind_all(value)
                return
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                self._bind(name, None)
            case ast.ExceptHandler(name=str(name)):
                self._bind(name, None)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self._bind(name, None)
        for child in ast.iter_child_nodes(node):
            self._bind_all(child)

    def _bind(self, name: str, how: ast.AST | Meaning | None) -> None:
        if name not in self._freed:
            self.bound.setdefault(name, []).append(how)


def surroundings(function: FunctionType) -> dict[str, Any]:
    """What a function sees beyond its own names, without the builtins."""
    closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {**function.__globals__, **dict(_filled(closure))}


def _filled(closure: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, cell in closure:
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue


def _parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    for rest in (arguments.vararg, arguments.kwarg):
        if rest is not None:
            yield ast.arg(rest.arg)  # a tuple or a dict, whatever its annotation says


def _imported(path: str) -> Meaning:
    """What an import inside of a function binds; a module that is not loaded has its name only."""
    value: Any = sys.modules.get(path, MISSING)
    if value is MISSING:
        module, _, name = path.rpartition(".")
        value = inspect.getattr_static(sys.modules.get(module), name, MISSING)
    known = _meaning_of(value, outer=True) if value is not MISSING else UNKNOWN
    return Meaning((path, *known.names), value, known.is_instance, is_outer=True)


def _attribute(owner: Meaning, attr: str) -> Meaning:
    names = tuple(f"{name}.{attr}" for name in owner.names)
    if not issubclass(type(owner.value), (ModuleType, type)):
        return Meaning(names, is_outer=owner.is_outer)
    value = inspect.getattr_static(owner.value, attr, MISSING)
    if issubclass(type(value), (staticmethod, classmethod)):
        value = value.__func__
    if value is MISSING:
        return Meaning(names, is_outer=owner.is_outer)
    known = _meaning_of(value, outer=owner.is_outer)
    return Meaning((*names, *known.names), value, known.is_instance, owner.is_outer)


def _meaning_of(value: Any, *, outer: bool) -> Meaning:
    # By its type alone: a proxy that is asked for an attribute, or its class, may run anything.
    kind = type(value)
    if issubclass(kind, ModuleType):
        return Meaning((_ALIASES.get(value.__name__, value.__name__),), value, is_outer=outer)
    if issubclass(kind, type):
        return Meaning(_class_names(value), value, is_outer=outer)
    if not issubclass(kind, _FUNCTIONS):
        return Meaning(_class_names(kind), value, is_instance=True, is_outer=outer)
    owner = getattr(value, "__self__", None)
    if owner is None:
        return Meaning((_path(value),), value, is_outer=outer)
    owners = _meaning_of(owner, outer=outer).names  # of a built-in function it is the module
    return Meaning(tuple(f"{name}.{value.__name__}" for name in owners), value, is_outer=outer)


def plain_function(value: Any) -> FunctionType | None:
    """The function written in Python behind a function and its decorators, if there is one."""
    if not issubclass(type(value), _FUNCTIONS):
        return None
    behind = inspect.unwrap(value)
    return behind if isinstance(behind, FunctionType) else None


def _instance(kind: type) -> Meaning:
    """Something made in the function. A generator made there is seeded, or found at its making."""
    names = _class_names(kind)
    return UNKNOWN if "random.Random" in names else Meaning(names, is_instance=True)


def _as_set(known: Meaning) -> Meaning:
    return known if known.is_set else UNKNOWN


def _class_names(kind: type) -> tuple[str, ...]:
    return tuple(_path(base) for base in kind.__mro__ if base is not object)


def _path(value: Any) -> str:
    module = getattr(value, "__module__", None) or ""
    name = getattr(value, "__qualname__", value.__name__)
    return f"{_ALIASES.get(module, module)}.{name}"
