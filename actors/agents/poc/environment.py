"""The virtual environment of a sandbox: what the project declares, and the tools to try it with.

It stands beside the work tree and not in it. Where nothing can be installed (no index within
reach, no time), the environment stands without, and the answer says so: tools are then those of
the server's own Python.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio
from packaging.requirements import InvalidRequirement, Requirement

from actors.agents.kit.files import Skips, read_file, read_toml
from actors.agents.kit.outcome import Skipped
from actors.agents.kit.toolbox import Toolbox
from actors.agents.site import Site
from actors.agents.tools import ToolResult

TOOLS: Final = ("pytest", "build")
MAKE_S: Final = 120.0
INSTALL_S: Final = 600.0
_DECLARED: Final = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt")
_TESTING: Final = ("test", "tests", "testing")
_USER: Final = re.compile(r"(UV|PIP)_\w+|SSL_CERT_(FILE|DIR)|(HTTPS?|ALL|NO)_PROXY", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A virtual environment that stands.

    Args:
        path: its root.
        installed: requirements that were installed into it.
        skipped: what was not, and why.
    """

    path: Path
    installed: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = field(default=())

    @property
    def bins(self) -> Path:
        return self.path / ("Scripts" if os.name == "nt" else "bin")

    @property
    def packages(self) -> Path:
        """Where its packages lie."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.path / "lib" / version / "site-packages"


def environment_of(site: Site, name: str) -> Environment | None:
    """The environment that was prepared under a name; None when there is none."""
    path = _place(site, name)
    record = _load(path)
    return None if record is None else _environment(path, record)


def is_python(root: Path) -> bool:
    """Whether a work tree is a Python project."""
    return any((root / name).is_file() for name in _DECLARED)


async def prepare(
    site: Site, name: str, root: Path, *, install: bool, offline: bool
) -> Environment:
    """Have an environment for a work tree; one that stands and still fits is taken as it is.

    Args:
        site: in whose workspace it stands.
        name: the sandbox's.
        root: of the work tree; only its declarations are read.
        install: whether what is declared is installed.
        offline: install only what the installer has in its cache.
    """
    wanted = await trio.to_thread.run_sync(requirements, root) if install else ()
    terms = json.dumps([sys.executable, sys.version, install, offline, wanted])
    path = _place(site, name)
    record = _load(path)
    if record is None or record["terms"] != terms:
        done, missing = await _prepare_anew(path, wanted, install=install, offline=offline)
        record = {"terms": terms, "installed": done, "skipped": missing}
        await trio.to_thread.run_sync(_save, path, record)
    return _environment(path, record)


async def remove(site: Site, name: str) -> None:
    """Remove an environment; everything in it can be made again."""
    path = _place(site, name)
    await trio.to_thread.run_sync(lambda: shutil.rmtree(path, ignore_errors=True))


def requirements(root: Path) -> tuple[str, ...]:
    """What a work tree needs to be built and tested: declared, or tools. For a thread.

    Only what names a package of the index counts: no path, no address, no option.
    """
    project = read_toml(root, "pyproject.toml")
    declared = [
        *_texts(_at(project, "project", "dependencies")),
        *_texts(_at(project, "build-system", "requires")),
        *(text for name in _TESTING for text in _texts(_at(project, "dependency-groups", name))),
        *(text for name in _TESTING for text in _texts(_at(_extras(project), name))),
    ]
    if not project:
        data = read_file(root, "requirements.txt", Skips())
        declared += (data or b"").decode("utf-8", "replace").splitlines()
    if not declared and not is_python(root):
        return ()
    found = {text for line in declared if (text := _requirement(line))}
    return (*sorted(found), *TOOLS)


def _extras(project: Mapping[str, Any]) -> Any:
    return _at(project, "project", "optional-dependencies")


def _at(tree: Any, *names: str) -> Any:
    for name in names:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _texts(found: Any) -> Sequence[str]:
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def _requirement(line: str) -> str:
    try:
        found = Requirement(line.partition(" #")[0].strip())
    except InvalidRequirement:
        return ""
    return "" if found.url else str(found)


def _place(site: Site, name: str) -> Path:
    return site.workspace.absolute() / "environments" / name


def _load(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((path / "beadflow.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _save(path: Path, record: Mapping[str, Any]) -> None:
    path.mkdir(exist_ok=True)
    (path / "beadflow.json").write_text(json.dumps(record), encoding="utf-8")


def _environment(path: Path, record: Mapping[str, Any]) -> Environment:
    skipped = tuple(Skipped.model_validate(one) for one in record["skipped"])
    return Environment(path=path, installed=tuple(record["installed"]), skipped=skipped)


async def _prepare_anew(
    path: Path, wanted: Sequence[str], *, install: bool, offline: bool
) -> tuple[list[str], list[dict[str, str]]]:
    """Make an environment; answers what was installed, and what was not."""
    await trio.to_thread.run_sync(lambda: shutil.rmtree(path, ignore_errors=True))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # An installer takes settings from the directories above its own; none of these is ours.
    box = Toolbox(Path(path.anchor), env=_installers_variables())
    missing = await _make(box, path, with_pip=bool(wanted))
    if missing is None and wanted:
        missing = await _install(box, path, wanted, offline=offline)
    elif missing is None and not install:
        missing = Skipped(what="dependencies", why="they were not asked for")
    return ([], [missing.model_dump()]) if missing else (list(wanted), [])


def _installers_variables() -> dict[str, str]:
    """The settings of the user's installers, which name the index; none of the project's."""
    own = {name: value for name, value in os.environ.items() if _USER.fullmatch(name)}
    return {**own, "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}


async def _make(box: Toolbox, path: Path, *, with_pip: bool) -> Skipped | None:
    """Make an empty environment of the server's own Python; uv is the quicker one at it."""
    made = await box.run(
        "uv", "venv", "--quiet", "--python", sys.executable, str(path), deadline_s=MAKE_S
    )
    if isinstance(made, Skipped) or not made.ok:
        options = [] if with_pip else ["--without-pip"]  # making one with it takes seconds
        made = await box.run(sys.executable, "-m", "venv", *options, str(path), deadline_s=MAKE_S)
    return _unless_done(made, "virtual environment")


async def _install(
    box: Toolbox, path: Path, wanted: Sequence[str], *, offline: bool
) -> Skipped | None:
    python = str(Environment(path=path).bins / "python")
    options = ["--offline"] if offline else []
    done = await box.run(
        *("uv", "pip", "install", "--quiet", *options, "--python", python, "--", *wanted),
        deadline_s=INSTALL_S,
    )
    if isinstance(done, Skipped):
        options = ["--no-index"] if offline else []
        done = await box.run(
            *(python, "-m", "pip", "install", "--quiet", *options, "--", *wanted),
            deadline_s=INSTALL_S,
        )
    return _unless_done(done, "dependencies")


def _unless_done(done: ToolResult | Skipped, what: str) -> Skipped | None:
    if isinstance(done, Skipped):
        return done
    hint = "let the index be reached, or install what is declared beforehand"
    return None if done.ok else Skipped(what=what, why=done.why, install=hint)
