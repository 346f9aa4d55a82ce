"""A small repository, a model's service, and an agent that has both."""

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from actors.agents.endpoint import ModelEndpoint
from actors.agents.kit.chat import client
from actors.agents.llm.agent import LlmAgent
from actors.agents.llm.messages import Answer, AnswerRequest, LlmConfig
from actors.agents.protocol import Task
from actors.agents.site import Site
from actors.retrying import Retries
from supervision import Named
from tests.support.chat_server import ChatServer, chat_server
from tests.support.world import git_repository

FILES = {
    "README.md": "# Parrots\n\nThey talk.\n",
    "src/parrot.py": 'def talk() -> str:\n    return "hello"\n',
    "src/cage.py": "BARS = 12\n",
    "src/.env": "TOKEN=hunter2\n",
    "data/blob.bin": "a\0b",
}


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _asks_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = Retries(attempts=2, initial_s=0.0, maximum_s=0.0, deadline_s=5.0)
    opening = client.chat_client
    monkeypatch.setattr(
        "actors.agents.llm.agent.chat_client",
        lambda *given, **more: opening(*given, **more, retries=at_once),
    )


@pytest.fixture(scope="module")
def parrots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with files that are tracked, one that is not, and a link that leads out."""
    top = tmp_path_factory.mktemp("parrots")
    (top / "outside.txt").write_text("a canary")
    root = git_repository(top / "repo")
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    (root / "way_out.txt").symlink_to("../outside.txt")
    subprocess.run(["git", "add", "--all", "--force"], cwd=root, check=True)
    (root / "untracked.txt").write_text("a secret of its own")
    return root


@dataclass
class Bench:
    """An agent and what its tasks leave behind."""

    root: Path
    workspace: Path
    model: ModelEndpoint | None
    config: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        return Site(repo=self.root, workspace=self.workspace, model=self.model, **self.more)

    @property
    def agent(self) -> LlmAgent:
        nobody: Named = None  # type: ignore[assignment] # the coordinator is not spoken to here
        config = LlmConfig(**self.config)
        return LlmAgent(agent_id="llm-1", coordinator=nobody, site=self.site, config=config)

    def task(self, workflow_id: str = "wf-1", op: str = "0") -> Task:
        def note(message: str, fraction: float | None, level: str, progress: bool) -> None:
            self.lines.append(message)

        async def store(name: str, source: bytes | Path, media_type: str | None) -> dict[str, Any]:
            assert isinstance(source, bytes)
            self.files[name] = source
            sha256 = hashlib.sha256(source).hexdigest()
            size, kind = len(source), media_type or "text/plain"
            return {"name": name, "version": 1, "sha256": sha256, "size": size, "media_type": kind}

        return Task(workflow_id, op, 1, self.site, note, _store=store)

    async def ask(
        self, prompt: str = "What do parrots do?", *, task: Task | None = None, **more: Any
    ) -> Answer:
        return await self.agent.answer(task or self.task(), AnswerRequest(prompt=prompt, **more))


@pytest.fixture
def bench(parrots: Path, tmp_path: Path, chat: ChatServer) -> Bench:
    return Bench(parrots, tmp_path / "workspace", chat.endpoint())
