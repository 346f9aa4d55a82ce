"""The planted repository, and tasks of activities that run without a coordinator."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from actors.agents.endpoint import ModelEndpoint
from actors.agents.protocol import Task
from actors.agents.site import Site
from tests.support.planted import Planted, planted


@dataclass
class Desk:
    """Gives tasks, and keeps what they store and say."""

    repo: Path
    workspace: Path
    commands: tuple[str, ...] = ()
    model: ModelEndpoint | None = None
    stored: dict[str, bytes] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def site(self) -> Site:
        return Site(
            repo=self.repo,
            workspace=self.workspace,
            commands=self.commands,
            model=self.model,
        )

    def task(self, op: str = "0") -> Task:
        async def store(name: str, source: bytes | Path, media_type: str | None) -> dict[str, Any]:
            data = source if isinstance(source, bytes) else source.read_bytes()
            self.stored[name] = data
            return {
                "name": name,
                "version": 1,
                "sha256": hashlib.sha256(data).hexdigest(),
                "size": len(data),
                "media_type": media_type or "text/plain",
            }

        def note(message: str, *_: Any) -> None:
            self.said.append(message)

        return Task("wf-1", op, 1, self.site, note, _store=store)


@pytest.fixture(scope="session")
def there(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture
def desk(there: Planted, tmp_path: Path) -> Iterator[Desk]:
    yield from clean_desk(there, tmp_path)


def clean_desk(there: Planted, place: Path) -> Iterator[Desk]:
    """Nothing of what was run lies about afterwards."""
    yield Desk(there.repo, place / "workspace")
    left = [path for path in (place / "workspace").glob("*/*") if path.is_dir()]
    assert left == []
