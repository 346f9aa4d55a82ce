"""A system per test, and a watch over what it leaves behind."""

import threading
from collections.abc import AsyncIterator, Iterator

import pykka
import pytest

from supervision import System

from .support import Events, seeded


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    threads = set(threading.enumerate())
    yield
    left = [t for t in set(threading.enumerate()) - threads if "/" in t.name]  # actors' paths
    assert left == []
    assert pykka.ActorRegistry.get_all() == []


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def system(events: Events) -> AsyncIterator[System]:
    async with System.open(on_event=events, random=seeded(1)) as opened:
        yield opened
