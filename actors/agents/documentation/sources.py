"""What of a repository is its packages, and what is its documentation: found from its file names.

Packages are what would be imported: directories with an `__init__.py` at the root, below `src`, or
where pyproject.toml says that they lie; and a single module that has the project's name. Tests,
examples and the like are none of the API. Nothing is imported and nothing is run.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from actors.agents.documentation.tree import Tree
from actors.workflows.definition import ActivityFailure

NO_API: Final = frozenset(
    {"benchmark", "benchmarks", "build", "dist", "doc", "docs", "example", "examples", "scripts"}
    | {"script", "test", "tests", "testing", "tools", "venv", "vendor", "node_modules", "conftest"}
)
_NAME: Final = re.compile(r"[^\W\d]\w*")
_UNREAD: Final = frozenset({".git", ".venv", "venv", "node_modules", "site-packages", "vendor"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package, or a module that is in none.

    Args:
        root: the directory that would be on `sys.path`, below the repository's; "" is the root.
    """

    root: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.root}/{self.name}" if self.root else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What there is to describe, and what describes it.

    Args:
        project: as pyproject.toml calls it, or "".
        scripts: commands that an installation has, and the functions behind them.
        documents: Markdown files, sorted.
        unread: documents in other formats, of which only the spelling is looked at.
    """

    project: str
    packages: tuple[Package, ...]
    scripts: Mapping[str, str]
    documents: tuple[str, ...]
    unread: tuple[str, ...]


def sources(tree: Tree, named: tuple[str, ...] = ()) -> Sources:
    """Find them.

    Args:
        tree: what they are looked for in.
        named: paths of packages, e.g. "src/orchard"; () has them found.

    Raises:
        ActivityFailure: one of those is no package ("no_such_package").
    """
    about = _pyproject(tree)
    project = about.get("project", {})
    name = project.get("name", "")
    packages = (
        tuple(_named(tree, path) for path in named) if named else tuple(_found(tree, about, name))
    )
    scripts = {**project.get("scripts", {}), **project.get("gui-scripts", {})}
    return Sources(
        project=name,
        packages=packages,
        scripts=scripts,
        documents=tuple(_documents(tree, ".md", ".markdown")),
        unread=tuple(_documents(tree, ".rst", ".adoc", ".txt")),
    )


def _pyproject(tree: Tree) -> dict[str, Any]:
    try:
        about = tomllib.loads(tree.text("pyproject.toml"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    return _of_types(about)


def _of_types(about: dict[str, Any]) -> dict[str, Any]:
    """Only what has the types it should have."""
    project = about.get("project")
    project = project if isinstance(project, dict) else {}
    kept: dict[str, Any] = {"name": str(project.get("name", ""))}
    for key in ("scripts", "gui-scripts"):
        found = project.get(key)
        if isinstance(found, dict):
            kept[key] = {k: v for k, v in found.items() if isinstance(v, str)}
    tools = about.get("tool")
    return {"project": kept, "tool": tools if isinstance(tools, dict) else {}}


def _named(tree: Tree, path: str) -> Package:
    place = PurePosixPath(path)
    package = Package(root="" if str(place.parent) == "." else str(place.parent), name=place.name)
    if not _is_there(tree, package.path):
        raise ActivityFailure(
            "no_such_package",
            f"{path!r} is neither a directory of Python files nor a module: name it by its path,"
            ' e.g. "src/orchard"',
            retryable=False,
        )
    return package


def _is_there(tree: Tree, path: str) -> bool:
    below = f"{path}/"
    return any(
        found == f"{path}.py" or (found.startswith(below) and found.endswith(".py"))
        for found in tree.paths
    )


def _found(tree: Tree, about: Mapping[str, Any], project: str) -> Iterator[Package]:
    for root in ("", "src", *_where(about)):
        prefix = f"{root}/" if root else ""
        module = project.replace("-", "_").lower()
        for path in tree.paths:
            name, _, rest = path.removeprefix(prefix).partition("/")
            if not path.startswith(prefix) or name.lower() in NO_API:
                continue
            if rest == "__init__.py" and _NAME.fullmatch(name):
                yield Package(root=root, name=name)
            elif not rest and module and name.lower() == f"{module}.py":
                yield Package(root=root, name=name.removesuffix(".py"))


def _where(about: Mapping[str, Any]) -> Iterator[str]:
    found: Any = about.get("tool", {})
    for key in ("setuptools", "packages", "find", "where"):
        found = found.get(key, {}) if isinstance(found, dict) else {}
    for place in found if isinstance(found, list) else ():
        root = str(PurePosixPath(str(place)))
        if root not in {"", ".", "src"} and ".." not in root.split("/"):
            yield root


def _documents(tree: Tree, *endings: str) -> Iterator[str]:
    for path in tree.paths:
        parts = PurePosixPath(path).parts
        is_listed = path.lower().endswith(endings) and _UNREAD.isdisjoint(parts)
        is_text = not path.lower().endswith(".txt") or parts[0] in {"doc", "docs"}
        if is_listed and is_text:
            yield path
