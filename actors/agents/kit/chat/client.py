"""Asks one model, over HTTP, until there is an answer or no sense in asking on.

An answer comes as a stream where the service streams. Each try is cut off after the endpoint's
time, or when nothing has come for a minute; what is worth another try gets one, and a service that
keeps failing is left alone by all agents (`actors.breakers`). Nothing is compressed, redirects are
not followed, and the key goes nowhere but into the header.
"""

import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random, SystemRandom
from typing import Any, Final, TypeVar

import httpx2
import trio

from actors.agents.endpoint import PATH, ModelEndpoint
from actors.agents.kit.chat import wire
from actors.agents.kit.chat.failures import (
    ChatFailure,
    Complaint,
    refused,
    senseless,
    unreachable,
    wait_of,
)
from actors.agents.kit.chat.messages import ChatRequest, Reply
from actors.agents.kit.untrusted import plain
from actors.agents.kit.usage import Price, Usage
from actors.breakers import Breakers
from actors.clock import Clock, system_clock
from actors.errors import CircuitOpen
from actors.retrying import OnRetry, Retries, retrying

T = TypeVar("T")

RETRIES: Final = Retries(attempts=4, initial_s=0.5, maximum_s=8.0, deadline_s=45.0)
CONNECT_S: Final = 10.0
SILENCE_S: Final = 60.0

_REFUSED_FROM: Final = 300
_REPLY_BYTES: Final = 16 << 20
_COMPLAINT_BYTES: Final = 64 * 1024
_EVENTS: Final = "text/event-stream"
_LATER_NAMES: Final = {"max_tokens": "max_completion_tokens"}
_OPTIONAL: Final = frozenset({"response_format", "stream_options", "temperature"})


def _unheard(text: str) -> None:
    del text


def _untold(attempt: int, error: Exception, pause_s: float) -> None:
    del attempt, error, pause_s


class ChatClient:
    """See the module. Made by `chat_client`.

    Args:
        key: sent as a bearer token; "" for none.
        service: what its circuit is called.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        endpoint: ModelEndpoint,
        breakers: Breakers,
        *,
        key: str,
        retries: Retries,
        chance: Random,
        clock: Clock,
    ) -> None:
        self.endpoint = endpoint
        self._http = http
        self._breaker = breakers.of(endpoint.service)
        self._key = key
        self._retries = retries
        self._chance = chance
        self._clock = clock
        self._unsupported: set[str] = set()

    async def ask(
        self,
        request: ChatRequest,
        *,
        on_text: Callable[[str], None] = _unheard,
        on_retry: OnRetry = _untold,
    ) -> Reply:
        """Ask, and give the whole answer with what it cost.

        Args:
            request: what is asked.
            on_text: told each piece of the answer as it comes. When a try breaks off, the pieces
                of the next one begin anew.
            on_retry: told of tries that failed.

        Raises:
            ChatFailure: there is no answer.
        """
        return await retrying(
            lambda: self._guarded(request, on_text), self._retries, self._chance, on_retry=on_retry
        )

    async def _guarded(self, request: ChatRequest, on_text: Callable[[str], None]) -> Reply:
        try:
            with self._breaker.guarding(PATH, _is_down):
                return await self._adapted(request, on_text)
        except CircuitOpen as error:
            raise ChatFailure(
                "model_left_alone",
                error.message,
                retryable=True,
                retry_after_s=error.retry_after_s,
            ) from error

    async def _adapted(self, request: ChatRequest, on_text: Callable[[str], None]) -> Reply:
        """Ask once, or anew without a parameter that this very model does not take."""
        while True:
            known = len(self._unsupported)
            try:
                return await self._timed(request, on_text)
            except ChatFailure:
                if len(self._unsupported) == known:
                    raise

    async def _timed(self, request: ChatRequest, on_text: Callable[[str], None]) -> Reply:
        timeout_s = self.endpoint.timeout_s
        try:
            with trio.fail_after(timeout_s):
                reply = await self._once(request, on_text)
        except trio.TooSlowError as error:
            raise unreachable(TimeoutError(f"no answer within {timeout_s:g} s")) from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise unreachable(error) from error
        except (httpx2.InvalidURL, UnicodeError) as error:
            why = f"the model cannot be asked: {plain(str(error))}"
            raise ChatFailure("model_refused", why) from error
        return reply.model_copy(update={"usage": _priced(self.endpoint, reply.usage)})

    async def _once(self, request: ChatRequest, on_text: Callable[[str], None]) -> Reply:
        headers = {"Accept": f"{_EVENTS}, application/json", "Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        asking = self._http.stream(
            "POST", self.endpoint.completions_url, json=self._body(request), headers=headers
        )
        async with asking as response:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise senseless("it is compressed")
            if response.status_code >= _REFUSED_FROM:
                raise await self._refusal(response)
            gathering = wire.Gathering()
            if response.headers.get("content-type", "").partition(";")[0].strip() == _EVENTS:
                await self._gather(response, gathering, on_text)
            else:
                on_text(gathering.add(self._hidden(await _read(response, _REPLY_BYTES))))
            return gathering.reply(request)

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        sent = wire.body(request, self.endpoint.model, stream=True)
        for name in self._unsupported & sent.keys():
            value = sent.pop(name)
            if name in _LATER_NAMES:
                sent[_LATER_NAMES[name]] = value
        return sent

    async def _refusal(self, response: httpx2.Response) -> ChatFailure:
        complaint = Complaint.read(self._hidden(await _read(response, _COMPLAINT_BYTES, cut=True)))
        if complaint.code.startswith("unsupported_") and (
            complaint.param in _OPTIONAL or complaint.param in _LATER_NAMES
        ):
            self._unsupported.add(complaint.param)
        wait_s = wait_of(response.headers, self._clock())
        return refused(response.status_code, complaint, wait_s)

    async def _gather(
        self, response: httpx2.Response, gathering: wire.Gathering, on_text: Callable[[str], None]
    ) -> None:
        def take(event: httpx2.ServerSentEvent) -> bool:
            data = event.data.strip()
            if data and data != "[DONE]" and (text := gathering.add(self._hidden(data.encode()))):
                on_text(text)
            return data == "[DONE]"

        await _each(httpx2.EventSource(response), take)

    def _hidden(self, said: bytes) -> bytes:
        """What the service said without the key, which some quote."""
        return said.replace(self._key.encode(), b"***") if self._key else said


async def _read(response: httpx2.Response, cap_bytes: int, *, cut: bool = False) -> bytes:
    data = bytearray()

    def take(chunk: bytes) -> bool:
        data.extend(chunk)
        if len(data) > cap_bytes and not cut:
            raise senseless("it is too long")
        return len(data) > cap_bytes

    await _each(response.aiter_raw(), take)
    return bytes(data[:cap_bytes])


async def _each(items: AsyncIterable[T], take: Callable[[T], bool]) -> None:
    """Give out what comes until whoever takes it has had enough, or fails.

    The client's generators stand one in the other and do not close each other: left early they
    would lie about. A cancellation comes from the innermost one and ends them all.
    """
    failure: Exception | None = None
    with trio.CancelScope() as enough:
        try:
            async for item in items:
                if enough.cancel_called:
                    continue
                try:
                    has_enough = take(item)
                except Exception as error:  # noqa: BLE001 - raised below
                    failure, has_enough = error, True
                if has_enough:
                    enough.cancel()
        except httpx2.HTTPError:
            if not enough.cancel_called:
                raise
    if failure is not None:
        raise failure


def _priced(endpoint: ModelEndpoint, usage: Usage) -> Usage:
    """The usage with its cost; without prices that is not known."""
    if not endpoint.input_price and not endpoint.output_price:
        return usage
    read = endpoint.input_price
    return Price(input=read, output=endpoint.output_price, cache_read=read).of(usage)


def _is_down(error: Exception) -> bool:
    return isinstance(error, ChatFailure) and error.is_down


def key_of(endpoint: ModelEndpoint, environ: Mapping[str, str]) -> str:
    """The key that the operator has set.

    Raises:
        ChatFailure: there is none although one is named, or it can be no header's value.
    """
    if not endpoint.key_variable:
        return ""
    key = environ.get(endpoint.key_variable, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ChatFailure("no_key", "the variable that key_variable names holds no key")
    return key


def _opened(endpoint: ModelEndpoint, silence_s: float) -> httpx2.AsyncClient:
    timeout = httpx2.Timeout(silence_s, connect=CONNECT_S)
    try:
        # A proxy of the environment cannot reach this machine's loopback.
        return httpx2.AsyncClient(timeout=timeout, trust_env=not endpoint.is_local)
    except (OSError, ValueError, ImportError, httpx2.InvalidURL) as error:
        why = f"the environment's proxy or certificates cannot be used: {plain(str(error))}"
        raise ChatFailure("model_unreachable", why) from error


@asynccontextmanager
async def chat_client(
    endpoint: ModelEndpoint,
    breakers: Breakers,
    *,
    retries: Retries = RETRIES,
    silence_s: float = SILENCE_S,
    environ: Mapping[str, str] = os.environ,
    chance: Random | None = None,
    clock: Clock = system_clock,
) -> AsyncIterator[ChatClient]:
    """A client for one activity.

    Args:
        endpoint: where it asks.
        breakers: the circuits of the process.
        retries: how often it asks again.
        silence_s: a try is given up when nothing has come for so long.
        environ: where the key is.
        chance: gives the jitter of the waits.
        clock: what a `Retry-After` that names a moment is compared with.

    Raises:
        ChatFailure: the key is not there, or the environment's proxy cannot be used.
    """
    key = key_of(endpoint, environ)
    async with _opened(endpoint, silence_s) as http:
        yield ChatClient(
            http,
            endpoint,
            breakers,
            key=key,
            retries=retries,
            chance=chance or SystemRandom(),
            clock=clock,
        )
