"""A system per test, and a watch over what it leaves behind."""

import sys
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


@pytest.fixture(autouse=True)
def threads_take_turns_as_they_do_in_a_server() -> Iterator[None]:
    """At the interpreter's own 5 ms, a busy loop leaves a thread a few turns a second."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def system(events: Events) -> AsyncIterator[System]:
    async with System.open(on_event=events, random=seeded(1)) as opened:
        yield opened
