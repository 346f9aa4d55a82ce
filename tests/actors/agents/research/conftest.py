import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.agents.research.index import LocalIndex, served


@pytest.fixture
def index() -> Iterator[LocalIndex]:
    with served() as running:
        yield running


def git(root: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments],
        cwd=root,
        check=True,
        capture_output=True,
        env={
            "PATH": "/usr/bin:/bin:/usr/local/bin",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_DATE": "2026-06-01T12:00:00Z",
            "GIT_COMMITTER_DATE": "2026-06-01T12:00:00Z",
        },
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A committed repository that declares and imports alpha, on Python 3.11 and later."""
    root = tmp_path / "project"
    (root / "src" / "app").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / ".github" / "workflows").mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        '[project]\nname = "app"\nrequires-python = ">=3.11"\ndependencies = ["alpha>=1"]\n'
        '[project.optional-dependencies]\ndev = ["pytest"]\n'
    )
    (root / "src" / "app" / "__init__.py").write_text("")
    (root / "src" / "app" / "store.py").write_text("import sqlite3\n\nimport alpha\n")
    (root / "tests" / "test_store.py").write_text("import pytest\nfrom app import store\n")
    (root / ".github" / "workflows" / "ci.yml").write_text("on: push\n")
    (root / "README.md").write_text("# App\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Begin")
    return root
