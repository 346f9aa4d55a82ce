"""The POC agent at work: its activities are called as its actor would call them."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from actors.agents.poc.agent import PocAgent, PocConfig
from actors.agents.protocol import Task
from actors.agents.site import Site
from supervision import Named
from tests.support.hostile import git
from tests.support.planted import Planted, planted

PLAIN = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"
"""Tests of repositories need none of the plug-ins that ours need, and begin in half the time."""


@dataclass
class Desk:
    """An agent, tasks for it, and the artifacts that it has stored."""

    site: Site
    agent: PocAgent
    stored: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def task(self, op: str = "0", workflow_id: str = "wf-1") -> Task:
        return Task(workflow_id, op, 1, self.site, self._note, _store=self._store)

    def _note(self, message: str, fraction: float | None, level: str, progress: bool) -> None:
        self.notes.append(message)

    async def _store(self, name: str, source: bytes | Path, kind: str | None) -> dict[str, Any]:
        content = source if isinstance(source, bytes) else source.read_bytes()
        self.stored[name] = content
        return {
            "name": name,
            "version": 1,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "media_type": kind or "application/octet-stream",
        }


@pytest.fixture
def desk_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Desk]:
    monkeypatch.setenv(PLAIN, "1")

    def at(repo: Path, commands: tuple[str, ...] = ()) -> Desk:
        workspace = tmp_path / "workspace"
        site = Site(repo=repo, workspace=workspace, commands=commands, environment=(PLAIN,))
        nobody: Named = None  # type: ignore[assignment] # the coordinator is not spoken to here
        config = PocConfig(install=False)
        agent = PocAgent(agent_id="poc-1", coordinator=nobody, site=site, config=config)
        return Desk(site=site, agent=agent)

    return at


@pytest.fixture
def desk(repo: Path, desk_at: Callable[[Path], Desk]) -> Desk:
    """At a repository with one empty commit."""
    return desk_at(repo)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture
def orchard(original: Planted, tmp_path: Path) -> Planted:
    """A copy, since branches are made in it."""
    copy = tmp_path / "orchard"
    shutil.copytree(original.repo, copy)
    return replace(original, repo=copy)


def commit_files(repo: Path, message: str, files: dict[str, str]) -> str:
    for name, text in files.items():
        place = repo / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "-m", message)
    return git(repo, "rev-parse", "HEAD").strip()
