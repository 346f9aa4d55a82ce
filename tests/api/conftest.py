"""Fixtures of the API's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from actors.auth.roles import Role
from tests.api.asgi import Header
from tests.api.locked import Locked, locked
from tests.api.site import SharedSite, shared_site
from tests.supervision.support import Events
from tests.support.world import git_repository


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[structlog.typing.EventDict]]:
    """What was logged meanwhile; tracebacks are not drawn for nobody."""
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def events() -> Events:
    """What the kernel told of a system that is opened with it."""
    return Events()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    """One running system for all tests of a module."""
    repo: Path = git_repository(tmp_path_factory.mktemp("shared") / "repo")
    with shared_site(repo) as running:
        yield running


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """One running system for all tests of a module, behind a door that asks for keys."""
    repo: Path = git_repository(tmp_path_factory.mktemp("locked") / "repo")
    with locked(repo) as found:
        yield found


@pytest.fixture(scope="module")
def operator(door: Locked) -> Header:
    return door.header(Role.OPERATOR, "ann")


@pytest.fixture(scope="module")
def admin(door: Locked) -> Header:
    return door.header(Role.ADMIN, "root")
