"""The second level of the cache: copies of workflows' records in Redis. Off unless a URL is set.

Whatever Redis does costs time only. It has 50 ms for an answer, and a circuit breaker: when it
keeps failing, nobody waits for it. What it gives is believed only when it is ours, unchanged, of
this life of the process and of this very workflow, which a keyed hash says, and when it is as new
as any, which the first level knows (`record_memory`). So a Redis that is dead, slow, full or wrong,
or that comes back with what it held an hour ago, never makes anybody see something old.

The password is in the URL, which is neither shown nor logged.
"""

import hashlib
import hmac
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
import trio

from actors.breakers import Breakers, Tolerance
from actors.coordination.messages import WorkflowRecord
from actors.coordination.record_memory import Count
from actors.errors import CircuitOpen, ValidationError
from storage import payload

SERVICE: Final = "redis"
TOLERANCE: Final = Tolerance(failures=20, window_s=60.0, reset_s=10.0)
"""More than the calls that are on their way at once: when it is this process that stood still for
50 ms, all of them are late."""
TIMEOUT_S: Final = 0.05
TTL_S: Final = 600.0
CONNECTIONS: Final = 2
LARGEST_BYTES: Final = 1024 * 1024
FORGETTING: Final = 10_000
"""Copies waiting to be removed; those beyond are left to their time to live."""
SCHEMES: Final = frozenset({"redis", "rediss", "unix"})

_VERSION_DIGITS: Final = 20
_MAC_BYTES: Final = 64
# An older copy never replaces a newer one, whichever comes first.
_PUT: Final = """
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, 20) > string.sub(ARGV[1], 1, 20) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

log = structlog.get_logger("beadflow.cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where Redis is.

    Args:
        url: `redis://[user:password@]host[:port][/db]`, `rediss://…` or `unix://…`.

    Raises:
        ValidationError: that is no such URL; it is not shown.
    """

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            found = parts.scheme in SCHEMES and bool(parts.hostname or parts.path)
            _ = parts.port
        except ValueError:
            found = False
        if not found:
            raise ValidationError(
                "redis_url begins with redis://, rediss:// or unix:// and names a server",
                field="redis_url",
            )

    @property
    def shown(self) -> str:
        """Without user and password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class RedisCache:
    """See the module. On the trio thread only.

    Args:
        address: where Redis is.
        home: this installation, whose keys are its own.
        breakers: where Redis has its circuit.
        count: told of hits, misses, copies dropped and calls that failed, of level "redis".

    Raises:
        ModuleNotFoundError: coredis is not installed.
    """

    def __init__(
        self, address: RedisAddress, *, home: str, breakers: Breakers, count: Count
    ) -> None:
        import coredis  # noqa: PLC0415 - an extra: who sets no URL need not have it
        import coredis.retry  # noqa: PLC0415

        self._address = address
        self._new_client: Callable[[], Any] = lambda: coredis.Redis.from_url(
            address.url,
            connect_timeout=TIMEOUT_S,
            stream_timeout=TIMEOUT_S,
            pool_timeout=TIMEOUT_S,
            max_connections=CONNECTIONS,
            decode_responses=False,
            verify_version=False,
            retry_policy=coredis.retry.NoRetryPolicy(),
        )
        self._prefix = f"beadflow:{home}:{secrets.token_hex(8)}:"
        self._secret = secrets.token_bytes(32)
        self._breaker = breakers.of(SERVICE, TOLERANCE)
        self._count = count
        self._client: Any = None
        self._forgetting: set[str] = set()
        self._has_to_forget = trio.Event()

    async def run(self) -> None:
        """Keeps the client, and removes what is to be forgotten, until it is cancelled."""
        while True:
            try:
                async with self._open() as client:
                    # nobody else has to wait for the connection to be made
                    await self._call("PING", client.ping)
                    self._client = client
                    await self._forget_on()
            except Exception as error:  # noqa: BLE001 - a library's; it costs speed, not the manager
                self._count("redis", "failed")
                log.warning("redis is not used now", why=_words(error))
            finally:
                self._client = None
            await trio.sleep(TOLERANCE.reset_s)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Any]:
        log.info("workflows are cached", redis=self._address.shown)
        async with self._new_client() as client:
            yield client

    async def get(self, workflow_id: str) -> tuple[int, WorkflowRecord] | None:
        """Gives a copy and its version, if there is one that is ours; it may be too old."""
        if self._client is None:
            return None
        found = await self._call("GET", lambda: self._client.get(self._key(workflow_id)))
        if found is None:
            return None
        if found is _NOTHING:
            self._count("redis", "miss")
            return None
        copy = self._parse(workflow_id, found)
        self._count("redis", "dropped" if copy is None else "hit")
        return copy

    async def put(self, workflow_id: str, version: int, record: WorkflowRecord) -> None:
        """Keeps a copy for ten minutes, unless there is a newer one."""
        if self._client is None:
            return
        value = self._format(workflow_id, version, record)
        if len(value) <= LARGEST_BYTES:
            args = [value, math.floor(TTL_S * 1000)]
            keys = [self._key(workflow_id)]
            await self._call("SET", lambda: self._client.eval(_PUT, keys=keys, args=args))

    def forget(self, workflow_ids: Iterable[str]) -> None:
        """Removes copies, some time soon."""
        self._forgetting.update(workflow_ids)
        if len(self._forgetting) > FORGETTING:
            self._forgetting.clear()
        self._has_to_forget.set()

    async def _forget_on(self) -> None:
        while True:
            await self._has_to_forget.wait()
            self._has_to_forget = trio.Event()
            keys, self._forgetting = [*map(self._key, self._forgetting)], set()
            if keys:
                await self._call("DEL", lambda: self._client.delete(keys))  # noqa: B023 - awaited

    async def _call(self, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """Gives what Redis answers, `_NOTHING` for nothing, None when it is not to be had."""
        try:
            with self._breaker.guarding(name), trio.fail_after(TIMEOUT_S):
                answer = await call()
        except CircuitOpen:
            return None
        except Exception as error:  # noqa: BLE001 - a library's; whatever it is, it costs speed only
            self._count("redis", "failed")
            log.debug("redis failed", command=name, why=_words(error))
            return None
        return _NOTHING if answer is None else answer

    def _key(self, workflow_id: str) -> str:
        return self._prefix + workflow_id

    def _format(self, workflow_id: str, version: int, record: WorkflowRecord) -> bytes:
        text = payload.encode(asdict(record)).encode()
        number = f"{version:0{_VERSION_DIGITS}d}".encode()
        return number + self._mac(workflow_id, number, text) + text

    def _mac(self, workflow_id: str, number: bytes, text: bytes) -> bytes:
        said = b"\0".join((workflow_id.encode("utf-8", "backslashreplace"), number, text))
        return hmac.new(self._secret, said, hashlib.sha256).hexdigest().encode()

    def _parse(self, workflow_id: str, value: object) -> tuple[int, WorkflowRecord] | None:
        """Reads a copy; None for what we did not write."""
        if not isinstance(value, bytes):
            return None
        number, rest = value[:_VERSION_DIGITS], value[_VERSION_DIGITS:]
        mac, text = rest[:_MAC_BYTES], rest[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(workflow_id, number, text)):
            return None
        return int(number), WorkflowRecord(**payload.decode(text.decode()))


_NOTHING: Final = object()


def _words(error: Exception) -> str:
    """Never the text: of an error in a URL it would hold the password."""
    return type(error).__name__
