"""Real Git repositories for tests, made with the plain command."""

import os
import subprocess
from pathlib import Path


def git(place: Path, *args: str) -> str:
    """Runs Git as a user would who has no configuration of their own."""
    done = subprocess.run(
        ["git", *args],
        cwd=place,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_NAME": "Ada" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "ada@example.org" for who in ("AUTHOR", "COMMITTER")},
        },
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def make(place: Path, *, bare: bool = False) -> Path:
    place.mkdir(parents=True)
    git(place, "init", "--quiet", "--initial-branch=main", *(["--bare"] if bare else []))
    return place


def commit(place: Path, name: str, text: str = "x\n") -> str:
    file = place / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    git(place, "add", name)
    git(place, "commit", "--quiet", "-m", f"Add {name}")
    return git(place, "rev-parse", "HEAD")
