"""Streams whose connections are cut at any byte and whose door fails: none missed, none twice."""

import os
import random
from functools import partial
from pathlib import Path

import pytest
import trio

from actors.bus import CatchUp, log_line, tell_bus
from api.app import create_app
from supervision import ask
from tests.api.resuming import Client, OverSse, OverWebSocket
from tests.api.site import Site, site
from tests.api.wire import door

SEED = int(os.environ.get("BEADFLOW_SEED", str(random.randrange(2**32))))
CUTS = int(os.environ.get("BEADFLOW_STREAM_CUTS", "24"))
"""Of each client's connections, so many are cut off."""

PIECES = 40
PIECE = 3 + CUTS
DEADLINE_S = 60.0 + CUTS


async def write(there: Site, crash: trio.Event) -> None:
    """Log lines, in bursts."""
    bus = there.running.system.named("event_bus")
    for piece in range(PIECES):
        for _ in range(PIECE):
            text = "x" * 300
            tell_bus(bus, log_line(workflow_id="w", source="t", level="info", message=text, at=""))
        await ask(bus, CatchUp())
        if piece == PIECES // 2:
            crash.set()


async def test_clients_that_are_cut_off_miss_nothing_and_get_nothing_twice(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door fails once, too. BEADFLOW_STREAM_CUTS connections of each client are cut."""
    print(f"replay with BEADFLOW_SEED={SEED} BEADFLOW_STREAM_CUTS={CUTS}")
    monkeypatch.setattr("api.streams.following.NEAR", 200)
    chance = random.Random(SEED)
    async with site(repo) as there, door(partial(create_app, there.doors)) as front:
        clients = [
            Client(front, speech, random.Random(chance.random()), CUTS, "&topics=log")
            for speech in (OverWebSocket, OverSse, OverWebSocket, OverSse)
        ]
        crash = trio.Event()
        with trio.fail_after(DEADLINE_S):
            async with trio.open_nursery() as nursery:
                for client in clients:
                    nursery.start_soon(client.follow, PIECES * PIECE)
                nursery.start_soon(write, there, crash)
                await crash.wait()
                await front.crash()
        logged = [fact.seq for fact in there.running.log() if fact.type == "log"]
    assert len(logged) == PIECES * PIECE
    for client in clients:
        assert client.seen == logged
        assert client.connections >= CUTS
