"""A server with the crash tests' workflows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.agents.research.index import LocalIndex, served
from tests.support.server import Server


@pytest.fixture
def index() -> Iterator[LocalIndex]:
    """A package index on loopback, which the commands under test are pointed at."""
    with served() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "beadflow.toml"
    path.write_text(f'plugins = ["{Path(__file__).with_name("flows.py")}"]\n')
    return path


@pytest.fixture
def server(repo: Path, config: Path) -> Iterator[Server]:
    """Not started yet; whatever still runs when the test ends is killed."""
    server = Server(repo, config)
    yield server
    if server.process is not None:
        server.kill()
