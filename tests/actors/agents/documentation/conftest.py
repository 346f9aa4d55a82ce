import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.agents.documentation.tree import Tree
from actors.agents.kit.outcome import Finding
from actors.agents.protocol import Task
from actors.agents.site import Site
from tests.support.chat_server import ChatServer, chat_server
from tests.support.planted import Planted, planted


class Shelf(dict[str, bytes]):
    """Stands in for the store of artifacts."""

    async def store(
        self, name: str, source: bytes | Path, media_type: str | None
    ) -> dict[str, Any]:
        data = source if isinstance(source, bytes) else source.read_bytes()
        self[name] = data
        return {
            "name": name,
            "version": 1,
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": len(data),
            "media_type": media_type or "application/octet-stream",
        }


@pytest.fixture(scope="module")
def orchard(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """The planted repository; no test changes it."""
    return planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def task_in(tmp_path: Path, shelf: Shelf) -> Callable[[Path], Task]:
    """A task for an agent that works on a repository."""

    def made(repo: Path, **more: Any) -> Task:
        site = Site(repo=repo, workspace=tmp_path / "workspace", **more)
        return Task("wf-1", "0", 1, site, lambda *_: None, _store=shelf.store)

    return made


@pytest.fixture
def task(task_in: Callable[[Path], Task], orchard: Planted) -> Task:
    return task_in(orchard.repo)


def tree_in(root: Path, files: dict[str, str]) -> Tree:
    """Files as a commit would have them, without Git."""
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return Tree(path=root, commit="0" * 40, paths=tuple(sorted(files)))


def shown(findings: Iterable[Finding]) -> list[str]:
    return [f"{finding.place}: {finding.message}" for finding in findings]
