import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from actors.agents.attempt import Pulse
from actors.agents.command.config import CommandConfig
from actors.agents.command.messages import Turn, TurnRequest
from actors.agents.command.turn import Turns
from actors.agents.protocol import Task
from actors.agents.site import Site
from tests.support.fake_cli import FakeCli


def git(where: Path, *words: str) -> str:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
    done = subprocess.run(["git", *who, *words], cwd=where, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


@dataclass
class Desk:
    """A repository, a fake program, and somebody who asks an agent for turns."""

    site: Site
    cli: FakeCli
    notes: list[str] = field(default_factory=list)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    pulse: Pulse = field(default_factory=Pulse)

    @property
    def sandbox(self) -> Path:
        return self.site.workspace / "worktrees" / "wf-1"

    def config(self, **more: Any) -> CommandConfig:
        usual = {"preset": "fake", "presets": {"fake": self.cli.preset}, "term_s": 0.0}
        return CommandConfig.model_validate({**usual, **more})

    def task(self, op: str = "0") -> Task:
        def note(message: str, fraction: float | None, level: str, progress: bool) -> None:
            self.notes.append(message)

        async def store(name: str, source: bytes | Path, media: str | None) -> dict[str, Any]:
            assert isinstance(source, bytes)
            self.artifacts[name] = source
            sha256 = hashlib.sha256(source).hexdigest()
            size, kind = len(source), media or ""
            return {
                "name": name, "version": 1, "sha256": sha256, "size": size, "media_type": kind
            }  # fmt: skip

        return Task("wf-1", op, 1, self.site, note, self.pulse, store)

    async def take(
        self, config: Mapping[str, Any] | None = None, op: str = "0", **request: Any
    ) -> Turn:
        """One turn."""
        request = {"prompt": "Do it."} | request
        turns = Turns(self.config(**(config or {})), "command-1")
        return await turns.take(self.task(op), TurnRequest(**request))


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit, made once."""
    repo = tmp_path_factory.mktemp("seed")
    git(repo, "init", "-q", "-b", "main")
    (repo / "README").write_text("hello\n")
    git(repo, "add", "README")
    git(repo, "commit", "-qm", "Begin")
    return repo


@pytest.fixture
def desk(seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    repo = shutil.copytree(seed, tmp_path / "repo")
    cli = FakeCli(tmp_path)
    monkeypatch.setenv("FAKE_CLI", cli.variable)
    site = Site(
        repo=repo,
        workspace=tmp_path / "workspace",
        commands=(str(cli.path), "sh", "true", "false"),
        environment=("FAKE_CLI",),
    )
    return Desk(site, cli)
