"""Reads what a project declares that it needs, without running anything of it. Pure.

A `setup.py` is a program and therefore not read. A manifest that cannot be parsed is kept with the
problem, because its absence from the comparison has to be visible.
"""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from actors.agents.kit.untrusted import plain
from actors.agents.research.facts import Dependency, Manifest

MAX_MANIFESTS: Final = 50
_MAX_DEPENDENCIES: Final = 200
_REQUIREMENTS: Final = re.compile(r"(?i)(?:.*[-_.])?requirements(?:[-_.].*)?\.(?:txt|in)")
_DEVELOPMENT: Final = re.compile(r"(?i)dev|test|lint|doc|typ(?:e|ing)|ci|bench")
_DEVELOPMENT_EXTRA: Final = re.compile(
    r"(?i)(?:dev|develop|development|tests?|testing|lint|linting|docs?|types?|typing|ci|qa|checks?"
    r"|bench|benchmarks?)(?:[-_.].*)?"
)  # "documentation" may well be something that a program does
_GO_REQUIRE: Final = re.compile(
    r"^\s*(?:require\s+)?([\w.~-]+\.[\w.~-]+/\S+|[\w.-]+\.\w+)\s+v(\S+)"
)
_CARET: Final = re.compile(r"[\^~](\d+)(?:\.(\d+))?.*")
_PROBLEMS: Final = (
    tomllib.TOMLDecodeError,
    configparser.Error,
    UnicodeDecodeError,
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
)

Read = tuple[list[Dependency], str | None]


def is_development(extra: str) -> bool:
    """Whether an extra of this name is for those who work on the project."""
    return bool(_DEVELOPMENT_EXTRA.fullmatch(extra))


def reader_for(path: str) -> tuple[str, Callable[[str, str], Read]] | None:
    """The ecosystem and the parser of a manifest with this path, or None if it is none."""
    name = PurePosixPath(path).name
    if name in _READERS:
        return _READERS[name]
    if _REQUIREMENTS.fullmatch(name) or (
        PurePosixPath(path).parent.name == "requirements" and name.endswith((".txt", ".in"))
    ):
        return "python", _requirements
    return None


def read_manifest(path: str, data: bytes) -> Manifest | None:
    """Parses the manifest at `path`, or answers None when the path is not a manifest's."""
    reader = reader_for(path)
    if reader is None:
        return None
    ecosystem, parse = reader
    dependencies: list[Dependency] = []
    requires_python = problem = None
    try:
        dependencies, requires_python = parse(data.decode("utf-8-sig"), path)
    except _PROBLEMS as err:
        problem = f"cannot be parsed ({type(err).__name__})"
    return Manifest.model_validate(
        {
            "path": plain(path),
            "ecosystem": ecosystem,
            "dependencies": dependencies[:_MAX_DEPENDENCIES],
            "requires_python": plain(requires_python, 100) if requires_python else None,
            "problem": problem,
        }
    )


def _pyproject(text: str, _: str) -> Read:
    document = tomllib.loads(text)
    project = document.get("project", {})
    found = [*_python(project.get("dependencies", []), "runtime")]
    for extra, lines in project.get("optional-dependencies", {}).items():
        found += _python(lines, "dev" if is_development(extra) else f"extra {plain(extra, 60)}")
    for lines in document.get("dependency-groups", {}).values():
        found += _python((line for line in lines if isinstance(line, str)), "dev")
    found += _python(document.get("build-system", {}).get("requires", []), "build")
    poetry = document.get("tool", {}).get("poetry", {})
    found += _poetry(poetry.get("dependencies", {}), "runtime")
    found += _poetry(poetry.get("dev-dependencies", {}), "dev")
    for group in poetry.get("group", {}).values():
        found += _poetry(group.get("dependencies", {}), "dev")
    requires = project.get("requires-python") or _poetry_python(poetry.get("dependencies", {}))
    return found, requires if isinstance(requires, str) else None


def _python(lines: Iterable[str], scope: str) -> list[Dependency]:
    found = []
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        found.append(_dependency(canonicalize_name(requirement.name), line, scope))
    return found


def _poetry(table: Mapping[str, Any], scope: str) -> list[Dependency]:
    return [
        _dependency(canonicalize_name(name), f"{name} {_version(value)}".strip(), scope)
        for name, value in table.items()
        if name != "python"
    ]


def _poetry_python(table: Mapping[str, Any]) -> str | None:
    """Poetry's caret and tilde as a requires-python that others can read."""
    stated = _version(table.get("python", ""))
    match = _CARET.fullmatch(stated)
    if match is None:
        return stated or None
    major, minor = int(match[1]), int(match[2] or 0)
    upper = f"{major}.{minor + 1}" if stated[0] == "~" and match[2] else str(major + 1)
    return f">={major}.{minor},<{upper}"


def _requirements(text: str, path: str) -> Read:
    name = PurePosixPath(path)
    scope = "dev" if _DEVELOPMENT.search(name.stem.replace("requirements", "")) else "runtime"
    lines = (line.split(" #")[0].split(" --hash")[0].strip(" \\\t") for line in text.splitlines())
    return _python((line for line in lines if line and line[0] not in "#-"), scope), None


def _setup_cfg(text: str, _: str) -> Read:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    options = parser["options"] if parser.has_section("options") else {}
    found = _python(options.get("install_requires", "").splitlines(), "runtime")
    if parser.has_section("options.extras_require"):
        for extra, lines in parser["options.extras_require"].items():
            scope = "dev" if is_development(extra) else f"extra {plain(extra, 60)}"
            found += _python(lines.splitlines(), scope)
    return found, options.get("python_requires")


def _package_json(text: str, _: str) -> Read:
    document = json.loads(text)
    found = []
    for key, scope in (("dependencies", "runtime"), ("devDependencies", "dev")):
        for name, version in document.get(key, {}).items():
            found.append(_dependency(name, f"{name} {version}", scope))
    return found, None


def _cargo(text: str, _: str) -> Read:
    document = tomllib.loads(text)
    found = []
    for key, scope in (
        ("dependencies", "runtime"),
        ("dev-dependencies", "dev"),
        ("build-dependencies", "build"),
    ):
        for name, value in document.get(key, {}).items():
            found.append(_dependency(name, f"{name} {_version(value)}".strip(), scope))
    return found, None


def _go_mod(text: str, _: str) -> Read:
    matches = (_GO_REQUIRE.match(line) for line in text.splitlines() if "// indirect" not in line)
    return [_dependency(m[1], f"{m[1]} v{m[2]}", "runtime") for m in matches if m], None


def _version(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("version", "")
    return value if isinstance(value, str) else ""


def _dependency(name: str, requirement: str, scope: str) -> Dependency:
    return Dependency(name=plain(name, 200), requirement=plain(requirement, 200), scope=scope)


_READERS: Final[dict[str, tuple[str, Callable[[str, str], Read]]]] = {
    "pyproject.toml": ("python", _pyproject),
    "setup.cfg": ("python", _setup_cfg),
    "package.json": ("npm", _package_json),
    "Cargo.toml": ("cargo", _cargo),
    "go.mod": ("go", _go_mod),
}
