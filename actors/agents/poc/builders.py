"""How a project is built: known by its files, as its runner of tests is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.agents.kit.files import read_toml
from actors.agents.kit.runners import SCRATCH

DIST: Final = "dist"
"""Where distributions are put, below the run's own directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """A build: what people call it, and what is run.

    Args:
        argv: program and arguments; `{scratch}` is the run's own directory.
        env: variables it needs to write nowhere else, and to ask no network.
    """

    name: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()


PYTHON: Final = Builder(
    name="build", argv=("pyproject-build", "--no-isolation", "--outdir", f"{SCRATCH}/{DIST}", ".")
)
CARGO: Final = Builder(
    name="cargo build",
    argv=("cargo", "build", "--offline"),
    env=(("CARGO_TARGET_DIR", f"{SCRATCH}/target"),),
)
GO: Final = Builder(
    name="go build",
    argv=("go", "build", "./..."),
    env=(("GOPROXY", "off"), ("GOCACHE", f"{SCRATCH}/go")),
)
NPM: Final = Builder(name="npm run build", argv=("npm", "run", "--if-present", "build"))
MAVEN: Final = Builder(name="mvn package", argv=("mvn", "-q", "-o", "-DskipTests", "package"))
MAKE: Final = Builder(name="make", argv=("make",))


def detect(root: Path) -> Builder | None:
    """The builder of a work tree; None where nothing is built. For a thread."""
    if _is_buildable(root) or (root / "setup.py").is_file():
        return PYTHON
    by_file = (
        ("Cargo.toml", CARGO),
        ("go.mod", GO),
        ("package.json", NPM),
        ("pom.xml", MAVEN),
        ("Makefile", MAKE),
    )
    return next((builder for name, builder in by_file if (root / name).is_file()), None)


def _is_buildable(root: Path) -> bool:
    """Whether it declares a project: one that only sets up tools is not built."""
    found = read_toml(root, "pyproject.toml")
    return "project" in found or "build-system" in found
