"""Asks deptry what is imported and not declared, and what is declared and not imported.

deptry knows which modules a distribution brings from the environment that it runs in, which is not
the project's. So it is told what is known of the project's, and what it calls missing or transitive
is sorted anew: transitive is what something declared brings along.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from actors.agents.kit.files import read_toml
from actors.agents.kit.outcome import Finding, Level, Place, Skipped
from actors.agents.kit.toolbox import Toolbox
from actors.agents.kit.untrusted import plain
from actors.agents.research.graph import Node
from actors.agents.research.manifests import is_development

_DEADLINE_S: Final = 60.0
_MISSING: Final = "DEP001"
_UNUSED: Final = "DEP002"
_TRANSITIVE: Final = "DEP003"
_LEVELS: Final = {
    "DEP001": Level.ERROR,
    "DEP002": Level.WARNING,
    "DEP003": Level.WARNING,
    "DEP004": Level.WARNING,
    "DEP005": Level.NOTE,
}
_SAID: Final = {
    "DEP004": "is imported, but declared for development only",
    "DEP005": "is declared, but part of the standard library",
}
_WHAT: Final = "unused and missing dependencies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the project beforehand.

    Args:
        nodes: the graph of what is declared.
        scopes: where a distribution is declared, by its name.
        providers: distributions by the module that they bring, as far as that is known.
        lines: on which a distribution is declared, by path and name.
    """

    nodes: Mapping[str, Node]
    scopes: Mapping[str, str]
    providers: Mapping[str, str]
    lines: Mapping[tuple[str, str], int]


async def run_deptry(root: Path, known: Known) -> tuple[Finding, ...] | Skipped:
    """Runs it on the work tree; what the project configures for it in `pyproject.toml` holds.

    Args:
        root: the work tree, which is only read.
        known: what is known beforehand.
    """
    pyproject = read_toml(root, "pyproject.toml")
    given = await Toolbox(root).run(
        "deptry",
        ".",
        "--no-ansi",
        "--json-output",
        "/dev/stdout",
        *_module_names(known.nodes, pyproject),
        *_development_groups(pyproject),
        deadline_s=_DEADLINE_S,
        ok=(0, 1),
    )
    if isinstance(given, Skipped):
        return given.model_copy(update={"what": _WHAT})
    try:
        problems = json.loads(given.stdout)
    except ValueError:
        return Skipped(what=_WHAT, why=plain(_reason(given.why, given.stderr)))
    own = canonicalize_name(str(_table(pyproject, "project").get("name", "")))
    found = {
        _finding(problem, known)  # once, although a distribution may be declared several times
        for problem in problems
        if canonicalize_name(problem["module"]) != own  # an extra may name others of the project's
    }
    return tuple(sorted(found, key=lambda f: (f.rule, str(f.place), f.message)))


def _reason(why: str, stderr: bytes) -> str:
    """The last line of a traceback says what is wrong; the rest is not for people."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return f"deptry says: {lines[-1]}" if lines else why


def _finding(problem: Mapping[str, Any], known: Known) -> Finding:
    rule, named, where = problem["error"]["code"], problem["module"], problem["location"]
    path, line = plain(where["file"]), where["line"] or None
    level, message = _LEVELS.get(rule, Level.WARNING), problem["error"]["message"]
    if rule in {_MISSING, _TRANSITIVE}:
        rule, message = _undeclared(named, known)
        level = _LEVELS[rule]
    elif rule == _UNUSED:
        name = canonicalize_name(named)
        scope = known.scopes.get(name, "runtime")
        message = f"{name} is declared ({scope}), but not imported."
        line = known.lines.get((path, name))
        if scope.startswith("extra "):  # it may be run as a command
            level = Level.NOTE
    elif rule in _SAID:
        message = f"{named} {_SAID[rule]}."
    return Finding(
        tool="deptry",
        rule=rule,
        level=level,
        message=plain(message),
        place=Place(path=path, line=line, column=where["column"] or None),
    )


def _undeclared(module: str, known: Known) -> tuple[str, str]:
    guess = canonicalize_name(module)
    named = known.providers.get(module, guess)
    what = module if named == guess else f"{module} ({named})"
    if named not in known.nodes:
        return _MISSING, f"{what} is imported, but not declared."
    by = sorted(name for name, node in known.nodes.items() if named in node.requires)
    why = f": it comes with {', '.join(by[:3])}" if by else ""
    return _TRANSITIVE, f"{what} is imported, but not declared{why}."


def _table(document: Any, *names: str) -> dict[str, Any]:
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def _module_names(nodes: Mapping[str, Node], pyproject: dict[str, Any]) -> list[str]:
    """What each distribution brings; the project's own word comes before what is installed."""
    own = _table(pyproject, "tool", "deptry", "package_module_name_map")
    names = {
        name: node.copy.contents.import_names
        for name, node in nodes.items()
        if node.copy is not None and node.copy.contents.import_names
    }
    for name, modules in own.items():
        names[name] = (modules,) if isinstance(modules, str) else tuple(map(str, modules))
    if not names:
        return []
    said = ",".join(f"{name}={'|'.join(modules)}" for name, modules in sorted(names.items()))
    return ["--package-module-name-map", said]


def _development_groups(pyproject: dict[str, Any]) -> list[str]:
    """The extras that are for development, unless the project says it itself."""
    if "optional_dependencies_dev_groups" in _table(pyproject, "tool", "deptry"):
        return []
    extras = _table(pyproject, "project", "optional-dependencies")
    named = [extra for extra in extras if is_development(extra)]
    return ["--optional-dependencies-dev-groups", ",".join(named)] if named else []
