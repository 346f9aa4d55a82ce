"""Which runner a repository's tests have, and how it is called.

A runner that can write JUnit is asked to; of the others their own output is read, or their exit
status alone. `{scratch}` in an argument is a directory of the run's own.
"""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

SCRATCH: Final = "{scratch}"
REPORT: Final = f"{SCRATCH}/junit.xml"
_FILE_LIMIT_BYTES: Final = 1 << 20


class Reads(StrEnum):
    """From what it is known what a run came to."""

    JUNIT = "junit"
    GO = "go"
    CARGO = "cargo"
    STATUS = "status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """How tests are run.

    Args:
        name: what people call it.
        argv: its program and arguments.
        reads: where its results are.
        reports: the JUnit files, paths or patterns below the root of the work tree.
        env: variables it needs for that.
        nothing: the status with which it says that there are no tests.
    """

    name: str
    argv: tuple[str, ...]
    reads: Reads = Reads.JUNIT
    reports: tuple[str, ...] = (REPORT,)
    env: Mapping[str, str] = field(default_factory=dict)
    nothing: int | None = None


PYTEST: Final = Runner(
    name="pytest",
    argv=(
        "pytest",
        "-q",
        f"--junitxml={REPORT}",
        "-o",
        "junit_family=xunit1",  # the one with files and lines
        "-o",
        f"cache_dir={SCRATCH}/pytest",
        "--rootdir=.",
        "--confcutdir=.",  # those of the user's work tree above are not this commit's
    ),
    nothing=5,
)
CARGO: Final = Runner(
    name="cargo test",
    argv=("cargo", "test", "--offline", "--no-fail-fast"),
    reads=Reads.CARGO,
    env={"CARGO_TARGET_DIR": f"{SCRATCH}/target"},
)
GO: Final = Runner(
    name="go test",
    argv=("go", "test", "-json", "./..."),
    reads=Reads.GO,
    env={"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOCACHE": f"{SCRATCH}/go"},
)
NPM: Final = Runner(
    name="npm test", argv=("npm", "test", "--silent"), reads=Reads.STATUS, reports=()
)
NODE: Final = Runner(
    name="npm test",
    argv=NPM.argv,
    env={
        "NODE_OPTIONS": f"--test-reporter=junit --test-reporter-destination={REPORT}",
    },
)
MAVEN: Final = Runner(
    name="mvn test",
    argv=("mvn", "--quiet", "--offline", "test"),
    reports=("target/surefire-reports/*.xml", "*/target/surefire-reports/*.xml"),
)
GRADLE: Final = Runner(
    name="gradle test",
    argv=("gradle", "--quiet", "--offline", "test"),
    reports=("build/test-results/test/*.xml", "*/build/test-results/test/*.xml"),
)
MAKE: Final = Runner(name="make test", argv=("make", "test"), reads=Reads.STATUS, reports=())


def detect(root: Path) -> tuple[Runner, ...]:
    """The runners of a work tree, the surest first. For a thread."""
    found = (find(root) for find in _FINDERS)
    return tuple(runner for runner in found if runner is not None)


def _pytest(root: Path) -> Runner | None:
    tool = _toml(root / "pyproject.toml").get("tool")
    configured = (
        (isinstance(tool, dict) and "pytest" in tool)
        or (root / "pytest.ini").is_file()
        or "[tool:pytest]" in _text(root / "setup.cfg")
        or "[pytest]" in _text(root / "tox.ini")
    )
    named = ("conftest.py", "test_*.py", "*_test.py")
    places = (root, root / "tests", root / "test")
    has_tests = any(next(place.glob(name), None) for place in places for name in named)
    return PYTEST if configured or has_tests else None


def _npm(root: Path) -> Runner | None:
    scripts = _json(root / "package.json").get("scripts")
    script = scripts.get("test") if isinstance(scripts, dict) else None
    if not isinstance(script, str) or "no test specified" in script:
        return None
    return NODE if re.match(r"node\s+--test\b", script) else NPM


def _make(root: Path) -> Runner | None:
    rule = re.compile(r"^test\s*:(?!=)", re.MULTILINE)
    return MAKE if any(rule.search(_text(root / n)) for n in ("Makefile", "GNUmakefile")) else None


def _by_file(name: str, runner: Runner) -> Callable[[Path], Runner | None]:
    return lambda root: runner if (root / name).is_file() else None


_FINDERS: Final[tuple[Callable[[Path], Runner | None], ...]] = (
    _pytest,
    _by_file("Cargo.toml", CARGO),
    _by_file("go.mod", GO),
    _npm,
    _by_file("pom.xml", MAVEN),
    _by_file("build.gradle", GRADLE),
    _by_file("build.gradle.kts", GRADLE),
    _make,
)


def _text(path: Path) -> str:
    """A file's text; "" of one that is no plain file of a size that such files have."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _FILE_LIMIT_BYTES:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_text(path) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
