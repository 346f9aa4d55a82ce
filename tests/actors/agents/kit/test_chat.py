"""The client of chat completions, against a service on a real socket."""

import json
import random
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.agents.endpoint import ModelEndpoint
from actors.agents.kit.chat.client import chat_client
from actors.agents.kit.chat.failures import ChatFailure
from actors.agents.kit.chat.messages import (
    ChatMessage,
    ChatRequest,
    Finish,
    Reply,
    Role,
    ToolCall,
    ToolOffer,
)
from actors.agents.kit.chat.wire import Gathering
from actors.breakers import Breakers
from actors.retrying import Retries
from tests.support.chat_server import (
    USAGE,
    ChatServer,
    Turn,
    calls,
    cut,
    error,
    hang,
    paced,
    raw,
    text,
    whole,
)

AT_ONCE = Retries(attempts=3, initial_s=0.0, maximum_s=0.0, deadline_s=30.0)
ONCE = Retries(attempts=1, initial_s=0.0, maximum_s=0.0)
HELLO = ChatRequest(messages=(ChatMessage(role=Role.USER, content="hello there"),))
OFFER = ToolOffer(name="look", description="Look.", parameters={"type": "object"})


class Heard:
    """What a caller hears while it waits."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.retries: list[str] = []

    def text(self, piece: str) -> None:
        self.pieces.append(piece)

    def retry(self, attempt: int, failure: Exception, pause_s: float) -> None:
        assert isinstance(failure, ChatFailure)
        self.retries.append(f"{attempt} {failure.code}")


async def ask(
    chat: ChatServer,
    request: ChatRequest = HELLO,
    *,
    heard: Heard | None = None,
    retries: Retries = ONCE,
    breakers: Breakers | None = None,
    environ: Any = (),
    endpoint: ModelEndpoint | None = None,
    silence_s: float = 10.0,
) -> Reply:
    opening = chat_client(
        endpoint or chat.endpoint(),
        breakers or Breakers(),
        retries=retries,
        silence_s=silence_s,
        environ=dict(environ),
        chance=random.Random(1),
        clock=lambda: datetime(2026, 3, 1, tzinfo=UTC),
    )
    heard = heard or Heard()
    async with opening as client:
        return await client.ask(request, on_text=heard.text, on_retry=heard.retry)


async def failure(chat: ChatServer, turn: Turn, **more: Any) -> ChatFailure:
    chat.says(turn)
    with pytest.raises(ChatFailure) as caught:
        await ask(chat, **more)
    return caught.value


async def test_an_answer_comes_in_pieces_and_is_counted(chat: ChatServer) -> None:
    chat.says(text("Hello", ", ", "you"))
    heard = Heard()
    reply = await ask(chat, heard=heard)
    assert (reply.message.content, reply.finish) == ("Hello, you", Finish.STOP)
    assert heard.pieces == ["Hello", ", ", "you"]
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (100, 10)
    assert reply.usage.cost_usd == 0.00012
    assert (reply.model, reply.is_counted) == ("parrot-1", True)


async def test_what_is_sent_is_the_protocol_s(chat: ChatServer) -> None:
    chat.says(text("yes"))
    request = ChatRequest(
        messages=(
            ChatMessage(role=Role.USER, content="look"),
            ChatMessage(
                role=Role.ASSISTANT,
                tool_calls=(ToolCall(id="c1", name="look", arguments="{}"),),
            ),
            ChatMessage(role=Role.TOOL, content="seen", tool_call_id="c1"),
        ),
        tools=(OFFER,),
        may_use_tools=False,
        answer_format={"type": "json_object"},
        max_tokens=5,
        temperature=0.5,
    )
    await ask(chat, request)
    (asked,) = chat.asked
    assert asked.path == "/v1/chat/completions"
    assert "authorization" not in asked.headers
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.body == {
        "model": "parrot",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "temperature": 0.5,
        "tool_choice": "none",
        "tools": [{"type": "function", "function": OFFER.model_dump()}],
        "response_format": {"type": "json_object"},
        "messages": [
            {"role": "user", "content": "look"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "look", "arguments": "{}"},
                    }
                ],
            },
            {"role": "tool", "content": "seen", "tool_call_id": "c1"},
        ],
    }


async def test_tool_calls_are_put_together_from_their_pieces(chat: ChatServer) -> None:
    chat.says(calls(("look", {"path": "a"}), ("find", '{"broken')))
    reply = await ask(chat)
    assert reply.finish is Finish.TOOL_CALLS
    assert reply.message.tool_calls == (
        ToolCall(id="c0", name="look", arguments='{"path": "a"}'),
        ToolCall(id="c1", name="find", arguments='{"broken'),
    )


async def test_a_service_that_does_not_stream_answers_as_well(chat: ChatServer) -> None:
    chat.says(whole("all of it"))
    heard = Heard()
    reply = await ask(chat, heard=heard)
    assert reply.message.content == "all of it"
    assert heard.pieces == ["all of it"]


@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]},
        {"content": "in parts", "reasoning_content": "hm", "audio": None},
        {"content": None, "refusal": "in parts"},
    ],
    ids=["parts", "more-fields", "refusal"],
)
async def test_dialects_of_the_protocol_are_read(chat: ChatServer, message: dict[str, Any]) -> None:
    chat.says(whole("", choices=[{"message": message, "finish_reason": "eos"}]))
    assert (await ask(chat)).message.content == "in parts"


async def test_calls_without_index_or_id_with_arguments_as_objects_are_read(
    chat: ChatServer,
) -> None:
    wanted = [
        {"function": {"name": "look", "arguments": {"path": "a"}}},
        {"id": "x", "function": {"name": "look", "arguments": "{}"}},
    ]
    chat.says(whole("", choices=[{"message": {"tool_calls": wanted}, "finish_reason": "stop"}]))
    reply = await ask(chat)
    assert reply.finish is Finish.TOOL_CALLS
    assert [(c.id, c.arguments) for c in reply.message.tool_calls] == [
        ("call_0", '{"path": "a"}'),
        ("x", "{}"),
    ]


async def test_a_service_that_counts_nothing_is_counted_by_letters(chat: ChatServer) -> None:
    chat.says(text("12345678", usage=None))
    reply = await ask(chat)
    assert not reply.is_counted
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 2)


async def test_cached_tokens_are_counted_apart_and_once(chat: ChatServer) -> None:
    chat.says(text("x", usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 60}}))
    usage = (await ask(chat)).usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.tokens) == (40, 60, 110)


async def test_without_prices_nobody_says_what_it_cost(chat: ChatServer) -> None:
    chat.says(text("x"))
    endpoint = chat.endpoint(input_price=0.0, output_price=0.0)
    assert (await ask(chat, endpoint=endpoint)).usage.cost_usd is None


@pytest.mark.parametrize(
    ("turn", "code", "is_down"),
    [
        (error(400, "odd"), "model_refused", False),
        (error(400, code="context_length_exceeded"), "context_too_long", False),
        (error(401), "model_denied", False),
        (error(402), "quota_exhausted", False),
        (error(404, "no such model"), "model_refused", False),
        (error(429, type="insufficient_quota"), "quota_exhausted", False),
        (error(301, headers={"Location": "http://127.0.0.1:1/"}), "model_refused", False),
    ],
    ids=["400", "long", "401", "402", "404", "quota", "redirect"],
)
async def test_what_asking_again_cannot_mend_is_asked_once(
    chat: ChatServer, turn: Turn, code: str, is_down: bool
) -> None:
    found = await failure(chat, turn, retries=AT_ONCE)
    assert (found.code, found.retryable, found.is_down) == (code, False, is_down)
    assert len(chat.asked) == 1


@pytest.mark.parametrize(
    ("turn", "code"),
    [
        (error(429), "model_busy"),
        (error(500), "model_failed"),
        (error(503), "model_failed"),
        (cut("half of"), "model_unreachable"),
        (raw(b'data: {"choices": [\n\n'), "bad_reply"),
        (raw(b"data: [1]\n\n"), "bad_reply"),
        (raw(b"data: [DONE]\n\n"), "bad_reply"),
        (raw(b""), "bad_reply"),
        (raw(b"<html>", "text/html"), "bad_reply"),
        (raw(b"[" * 100_000, "application/json"), "bad_reply"),
        (raw(b'data: {"error": {"message": "overloaded"}}\n\n'), "model_failed"),
        (raw(b"{}", "application/json", {"Content-Encoding": "gzip"}), "bad_reply"),
    ],
    ids=[
        *("429", "500", "503", "cut", "broken-json", "other-json", "nothing", "empty", "html"),
        *("deep", "error-in-stream", "compressed"),
    ],
)
async def test_what_asking_again_may_mend_is_asked_again(
    chat: ChatServer, turn: Turn, code: str
) -> None:
    chat.says(turn, text("now"))
    heard = Heard()
    assert (await ask(chat, retries=AT_ONCE, heard=heard)).message.content == "now"
    assert heard.retries == [f"1 {code}"]


async def test_an_answer_that_breaks_off_begins_anew_when_asked_again(chat: ChatServer) -> None:
    chat.says(cut("half of"), text("whole"))
    heard = Heard()
    assert (await ask(chat, retries=AT_ONCE, heard=heard)).message.content == "whole"
    assert heard.pieces[-1] == "whole"


async def test_tries_come_to_an_end(chat: ChatServer) -> None:
    chat.says(error(500), error(500), error(500), text("too late"))
    with pytest.raises(ChatFailure) as caught:
        await ask(chat, retries=AT_ONCE)
    assert caught.value.code == "model_failed"
    assert len(chat.asked) == 3


async def test_a_wait_longer_than_there_is_time_is_told_instead_of_waited_for(
    chat: ChatServer,
) -> None:
    headers = {"Retry-After": "120"}
    found = await failure(chat, error(429, headers=headers), retries=AT_ONCE)
    assert (found.code, found.retry_after_s) == ("model_busy", 120.0)
    assert len(chat.asked) == 1


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Sun, 01 Mar 2026 00:00:09 GMT"}, 9.0),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": "999999999"}, 86400.0),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
    ids=str,
)
async def test_the_wait_is_read_in_every_form(
    chat: ChatServer, headers: dict[str, str], wait_s: float | None
) -> None:
    assert (await failure(chat, error(429, headers=headers))).retry_after_s == wait_s


async def test_a_service_that_falls_silent_is_given_up(chat: ChatServer) -> None:
    found = await failure(chat, hang("well"), silence_s=0.05)
    assert (found.code, found.is_down) == ("model_unreachable", True)


async def test_an_answer_that_takes_too_long_in_all_is_given_up(chat: ChatServer) -> None:
    found = await failure(chat, hang("well"), endpoint=chat.endpoint(timeout_s=0.05))
    assert found.code == "model_unreachable"
    assert "no answer within 0.05 s" in found.message


async def test_slow_tokens_are_heard_as_they_come(chat: ChatServer) -> None:
    """Each piece is only said once the one before was heard."""
    steps = [threading.Event() for _ in range(3)]
    chat.says(paced(steps, "one ", "two ", "three"))
    steps[0].set()
    heard: list[str] = []

    def hear(piece: str) -> None:
        heard.append(piece)
        for step in steps[: len(heard) + 1]:
            step.set()

    async with chat_client(chat.endpoint(), Breakers(), retries=ONCE) as client:
        reply = await client.ask(HELLO, on_text=hear)
    assert heard == ["one ", "two ", "three"]
    assert reply.message.content == "one two three"


async def test_asking_can_be_cancelled_while_an_answer_comes(chat: ChatServer) -> None:
    chat.says(hang("well"))
    with trio.fail_after(5), trio.CancelScope() as scope:
        async with chat_client(chat.endpoint(), Breakers(), retries=ONCE) as client:
            await client.ask(HELLO, on_text=lambda _: scope.cancel())
    assert scope.cancelled_caught


async def test_a_service_that_keeps_failing_is_left_alone(chat: ChatServer) -> None:
    breakers = Breakers(now=lambda: 0.0)
    for _ in range(5):
        await failure(chat, error(500), breakers=breakers)
    with pytest.raises(ChatFailure) as caught:
        await ask(chat, breakers=breakers)
    assert caught.value.code == "model_left_alone"
    assert caught.value.retry_after_s is not None
    assert len(chat.asked) == 5
    (state,) = breakers.states()
    assert state.service == chat.url.removesuffix("/v1").replace("http://", "llm:")


async def test_refusals_do_not_count_against_the_service(chat: ChatServer) -> None:
    breakers = Breakers(now=lambda: 0.0)
    for turn in [error(429), error(400), error(401)] * 3:
        await failure(chat, turn, breakers=breakers)
    chat.says(text("still there"))
    assert (await ask(chat, breakers=breakers)).message.content == "still there"


async def test_nobody_there_is_told(chat: ChatServer) -> None:
    endpoint = ModelEndpoint(url="http://127.0.0.1:9/v1", model="m")
    with pytest.raises(ChatFailure) as caught:
        await ask(chat, endpoint=endpoint)
    assert caught.value.code == "model_unreachable"


@pytest.mark.parametrize(
    ("param", "sent"),
    [
        ("max_tokens", {"max_completion_tokens": 5}),
        ("temperature", {"max_tokens": 5}),
        ("stream_options", {"max_tokens": 5, "temperature": 0.5}),
    ],
)
async def test_a_parameter_that_a_model_does_not_take_is_left_out(
    chat: ChatServer, param: str, sent: dict[str, Any]
) -> None:
    chat.says(error(400, code="unsupported_parameter", param=param), text("well"))
    request = HELLO.model_copy(update={"max_tokens": 5, "temperature": 0.5})
    assert (await ask(chat, request)).message.content == "well"
    body = chat.asked[1].body
    assert param not in body
    assert {name: body[name] for name in sent} == sent


async def test_a_parameter_that_is_missed_all_the_same_is_refused(chat: ChatServer) -> None:
    chat.says(*[error(400, code="unsupported_parameter", param="max_tokens")] * 3)
    with pytest.raises(ChatFailure) as caught:
        await ask(chat, HELLO.model_copy(update={"max_tokens": 5}))
    assert caught.value.code == "model_refused"
    assert len(chat.asked) == 2


async def test_the_key_goes_into_the_header_and_nowhere_else(chat: ChatServer) -> None:
    chat.says(text("x"))
    endpoint = chat.endpoint(key_variable="PARROT_KEY")
    await ask(chat, endpoint=endpoint, environ={"PARROT_KEY": "hunter2-key"})
    (asked,) = chat.asked
    assert asked.headers["authorization"] == "Bearer hunter2-key"
    assert "hunter2" not in json.dumps(asked.body)


@pytest.mark.parametrize(
    "turn",
    [
        error(401, "wrong key: hunter2-key", code="hunter2-key"),
        raw(b'data: {"error": {"message": "wrong key: hunter2-key"}}\n\n'),
        raw(b"hunter2-key", "text/plain"),
    ],
    ids=["refusal", "stream", "text"],
)
async def test_a_key_that_a_service_quotes_is_not_shown(chat: ChatServer, turn: Turn) -> None:
    endpoint = chat.endpoint(key_variable="PARROT_KEY")
    environ = {"PARROT_KEY": "hunter2-key"}
    found = await failure(chat, turn, endpoint=endpoint, environ=environ)
    assert "hunter2" not in f"{found!r} {found.message} {found.__cause__!r}"


@pytest.mark.parametrize("environ", [{}, {"PARROT_KEY": " "}, {"PARROT_KEY": "a\nb"}], ids=str)
async def test_without_its_key_a_model_is_not_asked(
    chat: ChatServer, environ: dict[str, str]
) -> None:
    endpoint = chat.endpoint(key_variable="PARROT_KEY")
    with pytest.raises(ChatFailure) as caught:
        await ask(chat, endpoint=endpoint, environ=environ)
    assert (caught.value.code, caught.value.retryable) == ("no_key", False)
    assert "PARROT_KEY" not in caught.value.message
    assert not chat.asked


async def test_text_that_is_no_unicode_is_no_answer(chat: ChatServer) -> None:
    assert (await failure(chat, text("a\ud800b"))).code == "bad_reply"


@pytest.mark.parametrize(
    "usage", [7, [], {"prompt_tokens": "many"}, {"prompt_tokens": -1, "completion_tokens": 1e999}]
)
async def test_counts_that_are_none_do_not_spoil_an_answer(chat: ChatServer, usage: Any) -> None:
    chat.says(text("x", usage=usage))
    assert not (await ask(chat)).is_counted


async def test_what_a_model_thinks_aloud_is_no_part_of_its_answer(chat: ChatServer) -> None:
    chat.says(text("<think>", "\nhm </think", ">\n\n4", " <think>"))
    assert (await ask(chat)).message.content == "4 <think>"


async def test_an_environment_that_cannot_be_used_is_told(
    chat: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://:hunter2@proxy")
    endpoint = ModelEndpoint(url="https://h.example/v1", model="m")
    with pytest.raises(ChatFailure) as caught:
        await ask(chat, endpoint=endpoint)
    assert (caught.value.code, caught.value.retryable) == ("model_unreachable", False)
    assert "hunter2" not in caught.value.message


async def test_a_proxy_is_not_asked_for_this_machine(
    chat: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    chat.says(text("x"))
    assert (await ask(chat)).message.content == "x"


async def test_a_name_that_can_be_no_host_is_told(chat: ChatServer) -> None:
    endpoint = ModelEndpoint(url=f"http://{'a' * 70}..b/v1", model="m")
    with pytest.raises(ChatFailure):
        await ask(chat, endpoint=endpoint)


async def test_nobody_at_any_of_a_name_s_addresses_is_told(chat: ChatServer) -> None:
    endpoint = ModelEndpoint(url="http://localhost:9/v1", model="m")
    with pytest.raises(ChatFailure) as caught:
        await ask(chat, endpoint=endpoint)
    assert caught.value.code == "model_unreachable"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("choices", "delta", "message", "content", "tool_calls", "function", "usage"),
                    *("finish_reason", "index", "id", "name", "arguments", "error", "text"),
                    *("prompt_tokens", "completion_tokens", "prompt_tokens_details", "model"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(pieces=st.lists(JSON, min_size=1, max_size=4))
def test_whatever_a_service_says_is_an_answer_or_none(pieces: list[Any]) -> None:
    gathering = Gathering()
    try:
        for piece in pieces:
            gathering.add(json.dumps(piece))
        assert isinstance(gathering.reply(HELLO), Reply)
    except ChatFailure:
        pass


@given(
    arguments=st.lists(st.text(alphabet='{}":a', max_size=6), min_size=1, max_size=5),
    index=st.none() | st.just(0),
)
def test_a_call_s_pieces_are_joined_however_they_are_cut(
    arguments: list[str], index: int | None
) -> None:
    gathering = Gathering()
    for number, piece in enumerate(arguments):
        call: dict[str, Any] = {"function": {"arguments": piece}}
        if index is not None:
            call["index"] = index
        if not number:
            call |= {"id": "c", "function": {"name": "look", "arguments": piece}}
        gathering.add(json.dumps({"choices": [{"delta": {"tool_calls": [call]}}]}))
    gathering.add(json.dumps({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}))
    assert gathering.reply(HELLO).message.tool_calls == (
        ToolCall(id="c", name="look", arguments="".join(arguments)),
    )


async def test_an_answer_without_an_end_is_given_up(
    chat: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.agents.kit.chat.wire.MOST_CHARACTERS", 10)
    found = await failure(chat, text("12345", "67890", "1"))
    assert (found.code, "come to an end" in found.message) == ("bad_reply", True)
