"""Following the real server over both streams while it is killed: none missed, none twice."""

import json
import os
import random
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import httpx2
import pytest

from cli import stream
from tests.support.server import Server

pytestmark = pytest.mark.process

SEED = int(os.environ.get("BEADFLOW_SEED", str(random.randrange(2**32))))
EVENTS = "/api/v1/events"
ISSUES = "/api/v1/issues"
PATIENCE_S = 40.0
SILENCE_S = 10.0


class Reader(threading.Thread):
    """Reads the stream of whichever life of the server is there, and hangs up now and then."""

    def __init__(self, server: Server, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.seen: list[int] = []
        self.over = threading.Event()
        self.failure: BaseException | None = None
        self._server = server
        self._chance = chance

    @property
    def last(self) -> int:
        return self.seen[-1] if self.seen else 0

    def run(self) -> None:
        while not self.over.is_set():
            lives = self._chance.randrange(1, 60)
            try:
                with self._server.client() as client, closing(self.events(client)) as found:
                    for event in found:
                        self.seen.append(event["seq"])
                        lives -= 1
                        if not lives or self.over.is_set():
                            break
            except (httpx2.HTTPError, stream.StreamDropped, OSError):
                self.over.wait(0.02)  # the server is away
            except BaseException as error:  # noqa: BLE001 - for the test
                self.failure = error
                return

    def events(self, client: httpx2.Client) -> Iterator[Any]:
        raise NotImplementedError


class OverWebSocket(Reader):
    def events(self, client: httpx2.Client) -> Iterator[Any]:
        with closing(stream.frames(client, {"after": self.last}, silence_s=SILENCE_S)) as frames:
            for frame in frames:
                yield from frame or []
                if self.over.is_set():
                    return


class OverSse(Reader):
    def events(self, client: httpx2.Client) -> Iterator[Any]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(self.last)}
        with client.stream("GET", EVENTS, headers=headers) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


def test_streams_of_a_server_that_is_killed_miss_nothing_and_get_nothing_twice(
    server: Server,
) -> None:
    """BEADFLOW_STREAM_KILLS lives end by kill -9 while issues are written."""
    kills = int(os.environ.get("BEADFLOW_STREAM_KILLS", "1"))
    print(f"replay with BEADFLOW_SEED={SEED} BEADFLOW_STREAM_KILLS={kills}")
    chance = random.Random(SEED)
    server.start()
    readers = [kind(server, random.Random(chance.random())) for kind in (OverWebSocket, OverSse)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(kills):
            killer = threading.Timer(chance.uniform(0.1, 0.7), server.signal_kill)
            killer.start()
            write(server, 1000)
            killer.join()
            server.reap()
            server.start()
        write(server, 10)
        logged = everything(server)
        server.within(PATIENCE_S, lambda: all(has(reader, logged[-1]) for reader in readers))
    finally:
        for reader in readers:
            reader.over.set()
    assert len(logged) > 10
    for reader in readers:
        seen = reader.seen[:]
        assert seen[: len(logged)] == logged


def has(reader: Reader, last: int) -> bool:
    assert reader.failure is None, repr(reader.failure)
    return reader.last >= last


def write(server: Server, count: int) -> None:
    """Open issues, until the server is gone."""
    with suppress(httpx2.HTTPError), server.client() as client:
        for number in range(count):
            answer = client.post(ISSUES, json={"title": f"issue {number}", "actor": "t"})
            assert answer.status_code == 201, answer.text


def everything(server: Server) -> list[int]:
    """The numbers of the whole log, once it has all that was written."""
    found: list[int] = []
    more = True
    while more:
        page = server.get(EVENTS, after=found[-1] if found else 0, limit=1000)
        found += [event["seq"] for event in page["data"]]
        more = page["more"]
    return found
