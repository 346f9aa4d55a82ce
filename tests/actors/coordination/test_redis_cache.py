"""With Redis as the second level: whatever it does, nothing old is seen, and nothing fails."""

from dataclasses import replace
from pathlib import Path
from typing import Self

import coredis
import pytest
import structlog
import trio

from actors.breakers import Breakers, State
from actors.coordination.record_memory import Limits
from actors.coordination.redis_cache import TOLERANCE, RedisAddress, RedisCache
from actors.errors import ValidationError
from tests.actors.coordination.test_record_memory import RECORD
from tests.support.cached import crash_the_manager, kill_the_writer, patient, storm
from tests.support.faults import crash_the_bus, until
from tests.support.redis import needs_redis, redis_server
from tests.support.world import Running, running_system

NO_MEMORY = Limits(records=0)
"""Every look goes to Redis."""


class Counted(dict[str, int]):
    def __call__(self, level: str, what: str) -> None:
        self[what] = self.get(what, 0) + 1


class Cache:
    """A cache that runs, and Redis as somebody else sees it."""

    def __init__(self, address: RedisAddress) -> None:
        self.counted = Counted()
        self.breakers = Breakers()
        self.cache = RedisCache(address, home="home", breakers=self.breakers, count=self.counted)

    async def __aenter__(self) -> Self:
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        self._nursery.start_soon(self.cache.run)
        await until(lambda: self.cache._client is not None)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(*error)

    @property
    def client(self) -> coredis.Redis[bytes]:
        client: coredis.Redis[bytes] = self.cache._client
        return client

    async def status(self, workflow_id: str = "w") -> tuple[int, str] | None:
        found = await self.cache.get(workflow_id)
        return found and (found[0], found[1].status)

    async def put(self, version: int, status: str, workflow_id: str = "w") -> None:
        record = replace(RECORD, id=workflow_id, status=status)
        await self.cache.put(workflow_id, version, record)


@needs_redis
async def test_a_copy_comes_back_as_it_was(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with Cache(server.address()) as at:
            record = replace(RECORD, title="Straße", variables={"a": [1, {"b": None}]})
            await at.cache.put("w", 7, record)
            assert await at.cache.get("w") == (7, record)
            assert await at.cache.get("v") is None
            assert at.counted == {"hit": 1, "miss": 1}


@needs_redis
async def test_an_older_copy_never_replaces_a_newer_one(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with Cache(server.address()) as at:
            await at.put(10, "paused")
            await at.put(9, "active")
            assert await at.status() == (10, "paused")
            await at.put(11, "completed")
            assert await at.status() == (11, "completed")


@needs_redis
async def test_copies_live_for_ten_minutes_and_are_removed_when_forgotten(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with Cache(server.address()) as at:
            await at.put(1, "active")
            (key,) = await at.client.keys("*")
            assert 590_000 < await at.client.pttl(key) <= 600_000
            at.cache.forget({"w"})
            with trio.fail_after(10):
                while await at.client.exists([key]):
                    await trio.sleep(0.002)


@needs_redis
@pytest.mark.parametrize("damage", ["flip", "cut", "other", "empty", "version", "list"])
async def test_a_value_that_is_not_ours_is_dropped(tmp_path: Path, damage: str) -> None:
    with redis_server(tmp_path) as server:
        async with Cache(server.address()) as at:
            await at.put(1, "active")
            await at.put(2, "paused", "v")
            mine, other = at.cache._key("w"), at.cache._key("v")
            value = await at.client.get(mine)
            theirs = await at.client.get(other)
            assert value is not None
            assert theirs is not None
            damaged = {
                "flip": value.replace(b"active", b"paused"),
                "cut": value[:-1],
                "other": theirs,
                "empty": b"",
                "version": b"9" * 20 + value[20:],
            }
            if damage == "list":
                await at.client.delete([mine])
                await at.client.lpush(mine, [b"1"])
            else:
                await at.client.set(mine, damaged[damage])
            assert await at.status() is None
            assert at.counted == ({"failed": 1} if damage == "list" else {"dropped": 1})


@needs_redis
async def test_what_a_former_life_left_is_not_found(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with Cache(server.address()) as before:
            await before.put(99, "active")
        async with Cache(server.address()) as at:
            assert await at.status() is None


@needs_redis
async def test_a_dead_redis_is_left_alone_and_used_again_when_it_is_back(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with Cache(server.address()) as at:
            await at.put(1, "active")
            server.kill()
            for _ in range(TOLERANCE.failures + 3):
                assert await at.status() is None
            breaker = at.breakers.of("redis")
            assert breaker.state().state is State.OPEN
            assert at.counted["failed"] == TOLERANCE.failures
            server.start()
            breaker._circuit.retry_at = 0.0
            await at.put(2, "paused")
            assert await at.status() == (2, "paused")
            assert breaker.state().state is State.CLOSED


@needs_redis
async def test_a_slow_redis_is_not_waited_for(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with Cache(server.address()) as at:
            await at.put(1, "active")
            server.freeze()
            assert await at.status() is None
            server.thaw()
            assert at.counted == {"failed": 1}
            with trio.fail_after(10):
                while await at.status() != (1, "active"):
                    await trio.sleep(0.01)


@needs_redis
async def test_a_full_redis_keeps_nothing_and_fails_nobody(tmp_path: Path) -> None:
    options = ("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    with redis_server(tmp_path, *options) as server:
        async with Cache(server.address()) as at:
            for number in range(5):
                await at.put(number, "active", f"w{number}")
            assert await at.status("w0") is None
            assert at.counted["failed"] >= 5


@needs_redis
async def test_a_wrong_password_is_not_told(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", "right") as server:
        with structlog.testing.capture_logs() as logged:
            async with Cache(server.address("hunter2")) as at:
                await at.put(1, "active")
                assert await at.status() is None
                assert at.counted["failed"] == 3
                told = f"{logged} {at.breakers.states()} {server.address('hunter2')!r}"
        assert "hunter2" not in told
        async with Cache(server.address("right")) as at:
            await at.put(1, "active")
            assert await at.status() == (1, "active")


@pytest.mark.parametrize("url", ["", "http://h", "redis://", "redis://h:port", "redis://[", "h"])
def test_a_url_that_is_none_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValidationError, match="redis_url begins with") as raised:
        RedisAddress(url=url)
    assert not url or f"{url}:" not in str(raised.value)


def test_the_address_is_shown_without_its_password() -> None:
    address = RedisAddress(url="redis://me:hunter2@host:6379/0")
    assert address.shown == "redis://host:6379/0"
    assert "hunter2" not in repr(address)


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.coordination.redis_cache.TIMEOUT_S", 0.5)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine this process stands still for 50 ms now and then."""
    soon = replace(TOLERANCE, reset_s=0.05)
    monkeypatch.setattr("actors.coordination.redis_cache.TOLERANCE", soon)


def looks(running: Running, outcome: str) -> float:
    return running.world.meters.cache_requests.labels("redis", outcome)._value.get()


@pytest.mark.usefixtures("patience")
@needs_redis
@pytest.mark.parametrize("memory", [NO_MEMORY, Limits(records=5)], ids=["alone", "below memory"])
async def test_a_change_is_seen_by_whoever_made_it(tmp_path: Path, memory: Limits) -> None:
    with redis_server(tmp_path) as server:
        async with running_system(
            tmp_path / "repo", workflows=[patient], redis=server.address(), cache=memory
        ) as running:
            await storm(running, crash_the_manager, crash_the_bus, kill_the_writer, seed=5)
            assert looks(running, "hit") > 0


@pytest.mark.usefixtures("patience")
@needs_redis
async def test_it_is_seen_while_redis_dies_comes_back_and_hangs(tmp_path: Path) -> None:
    """It comes back with what it held when it died: older than what was acknowledged since."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with redis_server(tmp_path, *options) as server:

        async def kill(_: Running) -> None:
            server.kill()

        async def restart(running: Running) -> None:
            server.start(*options)
            running.world.breakers.of("redis")._circuit.retry_at = 0.0

        async def freeze(_: Running) -> None:
            server.freeze()

        async def thaw(_: Running) -> None:
            server.thaw()

        async with running_system(
            tmp_path / "repo", workflows=[patient], redis=server.address(), cache=NO_MEMORY
        ) as running:
            await storm(running, kill, restart, freeze, thaw, seed=6)
            assert looks(running, "hit") > 0
            assert looks(running, "failed") > 0


@pytest.mark.usefixtures("patience")
@needs_redis
async def test_it_is_seen_while_somebody_puts_old_values_back(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:

        async def lie(_: Running) -> None:
            """Remember what there is, and put it back later, over and over."""
            async with coredis.Redis.from_url(server.address().url) as client:
                for key in await client.keys("beadflow:*"):
                    value = await client.get(key)
                    await liar.hset(b"old", {key: value or b""})
                for key, value in (await client.hgetall("old")).items():
                    await client.set(key, value)

        async with (
            coredis.Redis.from_url(server.address().url) as liar,
            running_system(
                tmp_path / "repo", workflows=[patient], redis=server.address(), cache=NO_MEMORY
            ) as running,
        ):
            await storm(running, lie, lie, lie, lie, seed=7)


async def test_without_a_server_all_goes_on(tmp_path: Path) -> None:
    nowhere = RedisAddress(url=f"unix://{tmp_path}/nobody.sock")
    async with running_system(
        tmp_path / "repo", workflows=[patient], redis=nowhere, cache=NO_MEMORY
    ) as running:
        await storm(running, pairs=100, seed=8)
        assert looks(running, "failed") > 0
        assert looks(running, "hit") == 0
