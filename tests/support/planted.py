"""A real Git repository with exactly these problems planted, for the agents to find.

Two commits, `base` and `head`: head makes counting ten times as slow, has a lint error on a new
line, and adds a function of which one branch is not tested. All the other problems are as old as
base. Whatever else an agent reports about it, it made up.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.support import planted_files

_IDENTITY: Final = MappingProxyType(
    {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))
    }
)
_MENDED: Final = ("// 10 - 1", "// 10")


@dataclass(frozen=True, slots=True)
class Spot:
    """A line of a file of head, from 1."""

    path: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """The repository, and what is wrong with it.

    Attributes:
        site: a directory as `site-packages` is, with metadata of what is declared; no code.
        base, head: ids of the two commits; head is what is checked out, on `main`.
        failing_test: its pytest id; None where it was mended.
        old_lint, new_lint: imports that nobody uses, on a line of base and on one of head.
        lint_rule: by which ruff reports both.
        untested: the lines of head that no test runs, and that base has not.
        broken_link, broken_anchor: where they are written, and `link` and `anchor` what they say.
        undocumented: the one public function without a docstring, by its full name.
        unused, missing: distributions: declared and not imported; imported and not declared.
        restrictive: the dependency whose licence (`licence`) the project's own does not go with.
        benchmark: what to run; it takes `slowdown` times as long at head.
        slower: the function to blame.
    """

    repo: Path
    site: Path
    base: str
    head: str
    failing_test: str | None
    old_lint: Spot
    new_lint: Spot
    lint_rule: str
    untested: tuple[Spot, ...]
    link: str
    broken_link: Spot
    anchor: str
    broken_anchor: Spot
    undocumented: str
    undocumented_at: Spot
    unused: str
    missing: str
    missing_at: Spot
    restrictive: str
    licence: str
    own_licence: str
    benchmark: tuple[str, ...]
    slowdown: float
    slower: str


def planted(path: Path, *, failing_test: bool = True) -> Planted:
    """Build it under an empty directory.

    Args:
        failing_test: False plants no test that fails.
    """
    repo, site = path / "orchard", path / "site"
    mended = {} if failing_test else {"orchard/prices.py": _MENDED}
    _git(path, "init", "--quiet", "--initial-branch=main", str(repo))
    base = _commit(repo, "Count apples", _replaced(planted_files.BASE, mended), day=1)
    head = _commit(repo, "Sell to traders", _replaced(planted_files.HEAD, mended), day=2)
    _install(site)
    test = "tests/test_prices.py::test_ten_apples_take_one_off"
    return Planted(
        repo=repo,
        site=site,
        base=base,
        head=head,
        failing_test=test if failing_test else None,
        old_lint=_spot(repo, "orchard/prices.py", "import os"),
        new_lint=_spot(repo, "orchard/counts.py", "import json"),
        lint_rule="F401",
        untested=(
            _spot(repo, "orchard/prices.py", "cheaper = "),
            _spot(repo, "orchard/prices.py", "return cheaper"),
        ),
        link="rest.md",
        broken_link=_spot(repo, "docs/guide.md", "(rest.md)"),
        anchor="guide.md#prices",
        broken_anchor=_spot(repo, "docs/index.md", "#prices"),
        undocumented="orchard.prices.basket",
        undocumented_at=_spot(repo, "orchard/prices.py", "def basket"),
        unused="plumlib",
        missing="quincelib",
        missing_at=_spot(repo, "orchard/shipping.py", "import quincelib"),
        restrictive="applelib",
        licence="GPL-3.0-only",
        own_licence="MIT",
        benchmark=("python", "bench.py"),
        slowdown=10.0,
        slower="orchard.counts.ripe",
    )


def _replaced(files: dict[str, str], replacements: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {
        name: text.replace(*replacements[name]) if name in replacements else text
        for name, text in files.items()
    }


def _commit(repo: Path, message: str, files: dict[str, str], *, day: int) -> str:
    """Write files and commit them, on a day of its own: the ids are the same each time."""
    for name, text in files.items():
        place = repo / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    at = f"2026-01-0{day}T12:00:00Z"
    _git(repo, "add", "--all")
    _git(repo, "commit", "--quiet", "-m", message, GIT_AUTHOR_DATE=at, GIT_COMMITTER_DATE=at)
    return _git(repo, "rev-parse", "HEAD").strip()


def _install(site: Path) -> None:
    for name, (version, licence) in planted_files.LICENCES.items():
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n"
            f"License-Expression: {licence}\n",
            encoding="utf-8",
        )
        (info / "RECORD").write_text("", encoding="utf-8")


def _spot(repo: Path, path: str, text: str) -> Spot:
    lines = (repo / path).read_text(encoding="utf-8").splitlines()
    (line,) = (number for number, found in enumerate(lines, 1) if text in found)
    return Spot(path, line)


def _git(cwd: Path, *args: str, **variables: str) -> str:
    env = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **_IDENTITY,
        **variables,
    }
    done = subprocess.run(
        ["git", *args], cwd=cwd, env=env, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout
