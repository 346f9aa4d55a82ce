"""The lint: finds in the source of a workflow's function what a replay would not do again the same.

Pure. It reads the function and the plain functions of its module that it calls; what runs apart
from the replay is left alone: activities, and what is given to the context's operations to run. It
does not see everything, so that what it says is right: a name it cannot resolve is no finding.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from actors.workflows.lint import forbidden
from actors.workflows.lint.forbidden import Rule, rule_of
from actors.workflows.lint.naming import Meaning, Scope, plain_function, surroundings
from actors.workflows.lint.source import Definition, Page, source_of

DEPTH = 5
"""Calls of functions that call functions are followed so far."""

_APART = frozenset({"activity", "tx", "side_effect", "child", "step"})
"""Operations of the context, and of a saga, that run what they are given outside of the replay."""

_DATA = frozenset(
    {"os.environ", "os.environb", "os._Environ", "sys.stdin", "sys.stdout", "sys.stderr"}
)
"""Forbidden names that need not be called to be used."""

_IN_ORDER = frozenset(
    f"builtins.{name}" for name in ("list", "tuple", "enumerate", "iter", "zip", "map", "filter")
)
_IN_NO_ORDER = frozenset(
    f"builtins.{name}"
    for name in ("sorted", "min", "max", "sum", "any", "all", "len", "set", "frozenset")
)
_CONTAINERS = frozenset(
    {"builtins.list", "builtins.dict", "builtins.set", "builtins.bytearray", "collections.deque"}
)
_CHANGES = frozenset(
    {
        *("add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert"),
        *("pop", "popitem", "popleft", "remove", "reverse", "rotate", "setdefault", "sort"),
        *("update", "difference_update", "intersection_update", "symmetric_difference_update"),
    }
)
_CATCHES_ALL = frozenset(
    {"BaseException", "BaseExceptionGroup", "Cancelled", "NonDeterminismError"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One use of something forbidden.

    Args:
        rule: what a comment `# beadflow: allow <rule>` on that line says to permit it.
        what: what is done there.
        why: what goes wrong with it.
        instead: what to write.
        file: path of the source.
        line: in that file, from 1.
    """

    rule: str
    what: str
    why: str
    instead: str
    file: str
    line: int

    def __str__(self) -> str:
        """What, why and what instead, in one line."""
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.what} ({self.rule}): {self.why}; instead: {self.instead}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the lint says of one workflow. Without a source there was nothing to read."""

    findings: tuple[Finding, ...]
    has_source: bool


_UNREAD = Report(findings=(), has_source=False)


def lint(function: Callable[..., Any], is_apart: Callable[[object], bool]) -> Report:
    """Read a workflow's function.

    Args:
        function: the function itself.
        is_apart: whether a function is an activity or a workflow, which is only followed where it
            is called like a plain function.
    """
    plain = plain_function(function)
    if plain is None:
        return _UNREAD
    reading = _Reading(plain.__globals__, is_apart)
    try:
        has_source = reading.follow(plain, 0)
    except RecursionError:  # an expression of hundreds of operators: the code may run all the same
        return _UNREAD
    findings = sorted(reading.found.values(), key=lambda one: (one.file, one.line, one.what))
    return Report(findings=tuple(findings), has_source=has_source)


@dataclass(slots=True)
class _Reading:
    """All that is read for one workflow."""

    module: dict[str, Any]
    is_apart: Callable[[object], bool]
    found: dict[tuple[object, ...], Finding] = field(default_factory=dict)
    seen: set[object] = field(default_factory=set)

    def follow(self, function: FunctionType, depth: int) -> bool:
        """Read a function once; False if it has no source."""
        if function.__code__ in self.seen:
            return True
        self.seen.add(function.__code__)
        source = source_of(function)
        if source is None:
            return False
        node, page = source
        scope = Scope.of(node, surroundings(function))
        _Body(self, page, scope, depth).read(node.body)
        return True


class _Body(ast.NodeVisitor):
    """Reads the body of one function."""

    def __init__(self, reading: _Reading, page: Page, scope: Scope, depth: int) -> None:
        self._reading = reading
        self._page = page
        self._scope = scope
        self._depth = depth
        self._unordered: set[ast.AST] = set()

    def read(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    # --- names

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._use(node)
        elif not self._scope.is_local(node.id):
            self._find(forbidden.STATE, node, f"the write to {node.id}, which is not its own")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        elif not self._use(node):
            self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        self.read((node.value, node.slice))

    def _use(self, node: ast.expr, call: ast.Call | None = None) -> bool:
        """Look at a name, or at a chain of them; True if it was found to be forbidden."""
        known = self._scope.meaning(node)
        self._follow(node, known, is_call=call is not None)
        found = rule_of(known.names, _arguments(call)) if _is_used(known, call) else None
        if found is None:
            return False
        name, rule = found
        self._find(rule, node, _told(name, node))
        return True

    def _follow(self, node: ast.expr, known: Meaning, *, is_call: bool) -> None:
        nested = self._scope.nested(node.id) if isinstance(node, ast.Name) else None
        if nested is not None:
            self._enter(*nested)
            return
        function = plain_function(known.value)
        if function is None or self._depth == DEPTH:
            return
        is_near = function.__globals__ is self._reading.module
        if is_near and (is_call or not self._reading.is_apart(known.value)):
            self._reading.follow(function, self._depth + 1)

    def _enter(self, node: Definition, around: Scope) -> None:
        if node not in self._reading.seen:
            self._reading.seen.add(node)
            self._within(node, around).read(node.body)

    def _within(self, node: ast.AST, around: Scope) -> "_Body":
        scope = Scope.of(node, around.outer, around)
        return _Body(self._reading, self._page, scope, self._depth)

    # --- calls

    def visit_Call(self, node: ast.Call) -> None:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        if self._is_operation(node.func):
            self.read(argument for one in arguments for argument in self._given(one))
            return
        if not self._use(node.func, node) and not isinstance(node.func, ast.Name):
            self.visit(node.func.value if isinstance(node.func, ast.Attribute) else node.func)
        self._order_of_call(node)
        self._change_by_call(node)
        known = self._scope.meaning(node.func)
        if "contextlib.suppress" in known.names and any(map(self._catches_all, node.args)):
            self._find(forbidden.SWALLOW, node, f"{ast.unparse(node)}")
        self.read(arguments)

    def _is_operation(self, func: ast.expr) -> bool:
        match func:
            case ast.Attribute(value=ast.Name(id=name), attr=attr):
                return attr in _APART and self._scope.is_local(name)
        return False

    def _given(self, argument: ast.expr) -> Iterator[ast.expr]:
        """What of an operation's argument is evaluated here: all but the functions it runs."""
        known = self._scope.meaning(argument)
        match argument:
            case ast.Lambda():
                return
            case ast.Name(id=name) if self._scope.nested(name):
                return
            case ast.Name() | ast.Attribute() if known.is_function:
                return
            case ast.Call(func=func, args=[first, *rest]) if (
                "functools.partial" in self._scope.meaning(func).names
            ):
                yield from self._given(first)
                yield from (*rest, *(keyword.value for keyword in argument.keywords))
            case _:
                yield argument

    # --- what outlives the run

    def _change(self, node: ast.Attribute | ast.Subscript) -> None:
        root: ast.expr = node
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if isinstance(root, ast.Name) and self._scope.meaning(root).is_outer:
            self._find(forbidden.STATE, node, f"the write to {ast.unparse(node)}")

    def _change_by_call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Attribute(value=value, attr=attr) if attr in _CHANGES:
                known = self._scope.meaning(value)
                if known.is_outer and known.is_instance and _CONTAINERS & {*known.names}:
                    self._find(forbidden.STATE, node, f"{ast.unparse(node.func)}()")

    # --- order

    def _order_of_call(self, node: ast.Call) -> None:
        names = {*self._scope.meaning(node.func).names}
        if names & _IN_NO_ORDER or node in self._unordered:
            self._unordered.update(node.args)
            return
        is_join = isinstance(node.func, ast.Attribute) and node.func.attr == "join"
        for argument in node.args:
            if names & _IN_ORDER or is_join:
                self._order(argument)
            self._spread(argument)
        match node.func:
            case ast.Attribute(value=value, attr="pop") if not node.args:
                self._order(value)

    def _order(self, node: ast.expr) -> None:
        if self._scope.meaning(node).is_set:
            self._find(forbidden.SET_ORDER, node, f"the order of {ast.unparse(node)}")

    def _spread(self, node: ast.expr) -> None:
        if isinstance(node, ast.Starred):
            self._order(node.value)

    def visit_For(self, node: ast.For) -> None:
        self._order(node.iter)
        self.generic_visit(node)

    def visit_List(self, node: ast.List) -> None:
        self._sequence(node)

    def visit_Tuple(self, node: ast.Tuple) -> None:
        self._sequence(node)

    def _sequence(self, node: ast.List | ast.Tuple) -> None:
        for element in () if node in self._unordered else node.elts:
            self._spread(element)
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp) -> None:
        if node not in self._unordered:
            for generator in node.generators:
                self._order(generator.iter)
        self.generic_visit(node)

    # --- exceptions

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        catches_all = node.type is None or self._catches_all(node.type)
        if catches_all and not any(isinstance(statement, ast.Raise) for statement in node.body):
            caught = f" {ast.unparse(node.type)}" if node.type else ""
            self._find(forbidden.SWALLOW, node, f"except{caught} without a raise")
        self.generic_visit(node)

    def _catches_all(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Tuple):
            return any(map(self._catches_all, node.elts))
        return any(
            name.rpartition(".")[2] in _CATCHES_ALL for name in self._scope.meaning(node).names[:1]
        )

    # --- what is not evaluated with the body, or in a scope of its own

    def visit_With(self, node: ast.With) -> None:
        self._enters(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self._enters(node)

    def _enters(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            known = self._scope.meaning(item.context_expr)
            found = rule_of(known.names) if known.is_instance and known.is_outer else None
            if found is not None:
                self._find(found[1], item.context_expr, _told(found[0], item.context_expr))
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.read((node.target, node.value))

    def visit_arg(self, node: ast.arg) -> None:
        """Only its annotation would be left."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._defines(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._defines(node)

    def _defines(self, node: Definition) -> None:
        self.read((*node.decorator_list, *node.args.defaults, *node.args.kw_defaults))

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.read((*node.args.defaults, *node.args.kw_defaults))
        self._within(node, self._scope).read([node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.read((*node.decorator_list, *node.bases))
        self._within(node, self._scope).read(node.body)

    def _find(self, rule: Rule, node: ast.expr | ast.ExceptHandler, what: str) -> None:
        if rule.name in self._page.allowed(node):
            return
        key = (self._page.file, node.lineno, rule.name, what)
        self._reading.found[key] = Finding(
            rule=rule.name,
            what=what,
            why=rule.why,
            instead=rule.instead,
            file=self._page.file,
            line=node.lineno,
        )


def _is_used(known: Meaning, call: ast.Call | None) -> bool:
    """Whether that is more than a mention: a class in `isinstance`, a constant, an exception."""
    kind = known.kind
    if kind is not None:
        return call is not None and not issubclass(kind, BaseException)
    return call is not None or known.is_function or bool(_DATA & {*known.names})


def _arguments(call: ast.Call | None) -> int:
    return len(call.args) + len(call.keywords) if call else 0


def _told(name: str, node: ast.expr) -> str:
    name = name.removeprefix("builtins.").replace("os._Environ", "os.environ")
    name = name.replace("random.Random.", "random.")
    name = "open" if name == "io.open" else name
    written = ast.unparse(node)
    return name if name == written else f"{name}, written as {written}"
