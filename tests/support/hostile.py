"""A repository that tries in many ways to have Git run a program, or to reach out of its tree.

Each trick has a canary of its own: a file outside the repository that is made when the trick works.
"""

import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

_CLEAN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Eve"), ("EMAIL", "eve@example.org"))
        },
    }
)
HOOKS: Final = (
    *("post-checkout", "pre-commit", "prepare-commit-msg", "commit-msg", "post-commit"),
    *("post-index-change", "reference-transaction", "post-rewrite", "applypatch-msg"),
)
ATTRIBUTES: Final = "*.f filter=f\n*.p filter=p\n*.o filter=a=b\n*.d diff=d\n*.m merge=m\n"


@dataclass(frozen=True, slots=True)
class Hostile:
    """The repository, and where its canaries would sing.

    Attributes:
        secret: a file outside that links in the repository lead to.
    """

    repo: Path
    canaries: Path
    secret: Path

    def sung(self) -> set[str]:
        """The tricks that worked."""
        return {path.name for path in self.canaries.iterdir()}

    def silence(self) -> None:
        for path in self.canaries.iterdir():
            path.unlink()


def git(where: Path, *args: str) -> str:
    """Git as anybody would run it, with the repository's own configuration in force."""
    return subprocess.run(
        ["git", *args], cwd=where, env=_CLEAN, check=True, capture_output=True, text=True
    ).stdout


def hostile(path: Path) -> Hostile:
    """Build it under a directory."""
    repo, canaries, outside = path / "repo", path / "canaries", path / "outside"
    for place in (canaries, outside):
        place.mkdir(parents=True)
    (outside / "secret.txt").write_text("secret\n", encoding="utf-8")
    made = Hostile(repo=repo, canaries=canaries, secret=outside / "secret.txt")
    git(path, "init", "--quiet", "--initial-branch=main", str(repo))
    _fill(made)
    _submodule(made, path / "inner")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "-m", "first")
    (repo / "a.m").write_text("one\nzwei\nthree\n", encoding="utf-8")
    git(repo, "commit", "--quiet", "-am", "second")
    _arm(made)
    made.silence()
    return made


def _fill(made: Hostile) -> None:
    for name in ("a.f", "a.p", "a.o", "a.d", "a.m", "plain.txt"):
        (made.repo / name).write_text("one\ntwo\nthree\n", encoding="utf-8")
    (made.repo / "out").symlink_to(made.secret.parent)
    (made.repo / "secret").symlink_to(made.secret)
    (made.repo / ".gitattributes").write_text(ATTRIBUTES, encoding="utf-8")


def _submodule(made: Hostile, inner: Path) -> None:
    git(made.repo.parent, "init", "--quiet", "--initial-branch=main", str(inner))
    (inner / "x.f").write_text("one\n", encoding="utf-8")
    git(inner, "add", "--all")
    git(inner, "commit", "--quiet", "-m", "inner")
    allowed = ("-c", "protocol.file.allow=always")
    git(made.repo, *allowed, "submodule", "--quiet", "add", str(inner), "sub")
    git(made.repo / "sub", "config", "core.fsmonitor", _song(made, "submodule"))


def _arm(made: Hostile) -> None:
    """Everything that makes Git run something, once the repository stands."""
    hooks = made.repo / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in HOOKS:
        (hooks / name).write_text(f"#!/bin/sh\n{_song(made, 'hook')}\n", encoding="utf-8")
        (hooks / name).chmod(0o755)
    (made.repo / ".git" / "info" / "attributes").write_text("*.i filter=f\n", encoding="utf-8")
    more = made.repo / ".git" / "more.config"
    more.write_text(f'[filter "p"]\n\tprocess = {_quoted(made, "include")}\n', encoding="utf-8")
    for name, trick in TRICKS.items():
        git(made.repo, "config", name, _song(made, trick))
    for name, value in SETTINGS.items():
        git(made.repo, "config", name, value)


TRICKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "core.fsmonitor": "fsmonitor",
        "filter.f.smudge": "smudge",
        "filter.f.clean": "clean",
        "filter.a=b.smudge": "odd-filter",
        "filter.a=b.clean": "odd-filter",
        "diff.external": "external-diff",
        "diff.d.command": "diff-command",
        "diff.d.textconv": "textconv",
        "merge.m.driver": "merge-driver",
        "gpg.program": "gpg",
        "core.pager": "pager",
        "core.editor": "editor",
        "core.sshCommand": "ssh",
        "core.alternateRefsCommand": "alternates",
        "hook.h.command": "configured-hook",
        "alias.status": "alias",
        "remote.origin.uploadpack": "upload-pack",
        "trailer.t.command": "trailer",
        "credential.helper": "credential",
    }
)
"""Keys that name programs, and the trick that each is."""

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "filter.f.required": "true",
        "filter.a=b.required": "true",
        "hook.h.event": "pre-commit",
        "commit.gpgSign": "true",
        "log.showSignature": "true",
        "include.path": "more.config",
        "submodule.recurse": "true",
        "remote.origin.url": "ext::sh -c true",
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
        "apply.whitespace": "error",
    }
)


def _song(made: Hostile, trick: str) -> str:
    """A program that makes the canary, and is as good a filter, pager or signer as any."""
    return f"touch {shlex.quote(str(made.canaries / trick))}; cat;:"


def _quoted(made: Hostile, trick: str) -> str:
    return f'"{_song(made, trick)}"'
