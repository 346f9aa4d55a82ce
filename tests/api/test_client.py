"""A client that an ordinary generator makes of the description can use the server it came from."""

import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trio
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType

from api.app import create_app
from tests.api.site import Site, site
from tests.api.wire import door
from tests.support.world import git_repository

PACKAGE = "generated_client"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A place for the package, from which it can be imported."""
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def made(url: str, room: Path) -> None:
    """Generate the package from the document that the server gives."""
    config = Config.from_sources(
        ConfigFile(post_hooks=[]),
        MetaType.NONE,
        document_source=f"{url}/openapi.json",
        file_encoding="utf-8",
        overwrite=False,
        output_path=room / PACKAGE,
    )
    left_out = [error.detail or "" for error in generate(config=config)]
    # it has no word for answers in lines, and leaves these out
    assert [detail for detail in left_out if "application/x-ndjson" not in detail] == []


def part(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


def used(url: str) -> tuple[Any, Any, Any]:
    """Start a workflow, read it, and ask for one that is not there."""
    start, get = part("api.workflows.workflows_start"), part("api.workflows.workflows_get")
    body = part("models").StartRequest.from_dict(
        {"issue_title": "a sum", "workflow_type": "arithmetic", "variables": {"first": 1}}
    )
    with part("client").Client(base_url=url) as client:
        started = start.sync(client=client, body=body, idempotency_key="once")
        again = start.sync(client=client, body=body, idempotency_key="once")
        assert again.id == started.id
        read = get.sync(started.id, client=client)
        return started, read, get.sync("arithmetic-none", client=client)


async def test_a_generated_client_starts_and_reads_a_workflow(room: Path, tmp_path: Path) -> None:
    repo = git_repository(tmp_path / "repo")
    async with site(repo) as running, served(running) as url:
        await trio.to_thread.run_sync(made, url, room)
        started, read, none = await trio.to_thread.run_sync(used, url)
    assert isinstance(started, part("models").Workflow)
    assert (read.id, read.title, read.type_) == (started.id, "a sum", "arithmetic")
    assert isinstance(none, part("models").Problem)
    assert none.code == "not_found"


@asynccontextmanager
async def served(running: Site) -> AsyncIterator[str]:
    async with door(lambda closing: create_app(running.doors, closing)) as there:
        host, port = there.address
        yield f"http://{host}:{port}"
