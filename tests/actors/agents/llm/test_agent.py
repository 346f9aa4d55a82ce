"""The llm agent against a service on a real socket."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError as ModelError

from actors.agents.endpoint import ModelEndpoint
from actors.agents.kit.usage import Budget, Usage
from actors.agents.llm.address import endpoint_of
from actors.agents.llm.agent import ROOM
from actors.agents.llm.ledger import Ledger
from actors.agents.llm.messages import AnswerRequest, LlmConfig, Status
from actors.agents.site import Site
from actors.workflows.definition import ActivityFailure
from tests.actors.agents.llm.conftest import Bench
from tests.support.chat_server import USAGE, ChatServer, Turn, calls, cut, error, raw, text

TALK = {
    "type": "object",
    "properties": {"words": {"type": "array", "items": {"type": "string"}}},
    "required": ["words"],
    "additionalProperties": False,
}


async def failure(bench: Bench, **more: Any) -> ActivityFailure:
    with pytest.raises(ActivityFailure) as caught:
        await bench.ask(**more)
    return caught.value


async def test_a_question_is_answered_stored_and_accounted_for(
    bench: Bench, chat: ChatServer
) -> None:
    chat.says(text("They ", "talk."))
    answer = await bench.ask()
    assert (answer.status, answer.text, answer.turns) == (Status.ANSWERED, "They talk.", 1)
    assert answer.summary == "They talk. (parrot-1: 1 turn, 110 tokens, 0.0001 USD)"
    assert answer.markdown == "They talk.\n\n---\n\nparrot-1: 1 turn, 110 tokens, 0.0001 USD\n"
    assert answer.usage == Usage(input_tokens=100, output_tokens=10, cost_usd=0.00012)
    assert answer.metrics["turns"] == 1
    assert answer.metrics["output_tokens"] == 10
    assert answer.model == "parrot-1"
    assert bench.files["answer.md"] == b"They talk."
    assert [stored.name for stored in answer.artifacts] == ["answer.md", "transcript.json"]
    said = json.loads(bench.files["transcript.json"])
    assert [message["role"] for message in said] == ["system", "user", "assistant"]
    assert "answering: 5 characters" in bench.lines


async def test_the_model_looks_at_the_repository_with_its_tools(
    bench: Bench, chat: ChatServer
) -> None:
    chat.says(
        calls(("list_files", {"under": "src"}), ("search", {"text": "talk"})),
        calls(("read_file", {"path": "src/parrot.py"})),
        text("It says hello: src/parrot.py:2"),
    )
    answer = await bench.ask()
    assert answer.turns == 3
    first, second = chat.asked[1].body["messages"][-2:]
    assert (first["role"], first["tool_call_id"]) == ("tool", "c0")
    assert first["content"] == "src/cage.py\nsrc/parrot.py"
    assert second["content"] == "README.md:3: They talk.\nsrc/parrot.py:1: def talk() -> str:"
    assert chat.asked[2].last["content"] == '1: def talk() -> str:\n2:     return "hello"'
    assert [evidence.source for evidence in answer.evidence] == [
        'list_files({"under": "src"})',
        'search({"text": "talk"})',
        'read_file({"path": "src/parrot.py"})',
    ]
    assert '\n- `search({"text": "talk"})`\n' in answer.markdown
    assert answer.usage.tokens == 330
    assert 'read_file({"path": "src/parrot.py"})' in bench.lines


async def test_only_the_tools_that_are_allowed_are_offered(bench: Bench, chat: ChatServer) -> None:
    bench.config = {"tools": ["search", "list_files"]}
    chat.says(text("a"), text("b"), text("c"))
    await bench.ask()
    await bench.ask(task=bench.task(op="1"), tools=["search"])
    await bench.ask(task=bench.task(op="2"), tools=[])
    offered = [
        [tool["function"]["name"] for tool in asked.body.get("tools", [])] for asked in chat.asked
    ]
    assert offered == [["list_files", "search"], ["search"], []]
    refused = await failure(bench, task=bench.task(op="3"), tools=["read_file"])
    assert (refused.code, refused.retryable) == ("tool_not_allowed", False)


async def test_files_are_given_along_with_the_prompt(bench: Bench, chat: ChatServer) -> None:
    chat.says(text("yes"))
    await bench.ask("Is it short?", files=["src/cage.py"], system="Be kind.")
    system, user = chat.asked[0].body["messages"]
    assert user["content"] == "Is it short?\n\nThe file src/cage.py:\n<file>\nBARS = 12\n\n</file>"
    assert system["content"].endswith("Be kind.")


@pytest.mark.parametrize(
    "path",
    ["nowhere.py", "../outside.txt", "/etc/passwd", "way_out.txt", "untracked.txt", "src/.env"],
)
async def test_a_file_that_may_not_be_seen_is_not_given_along(
    bench: Bench, chat: ChatServer, path: str
) -> None:
    refused = await failure(bench, files=[path])
    assert (refused.code, refused.retryable) == ("no_such_file", False)
    assert not chat.asked


async def test_an_answer_of_a_form_is_checked(bench: Bench, chat: ChatServer) -> None:
    chat.says(text('{"words": ["hello"]}'))
    answer = await bench.ask(json_schema=TALK)
    assert answer.data == {"words": ["hello"]}
    assert json.loads(bench.files["answer.json"]) == answer.data
    told = chat.asked[0].body["response_format"]
    assert told["json_schema"] == {"name": "answer", "schema": TALK, "strict": True}
    assert '"words"' in chat.asked[0].body["messages"][0]["content"]


@pytest.mark.parametrize("wrong", ['{"words": 1}', '{"words": ["hello"', "Well: hello", "NaN"])
async def test_an_answer_that_does_not_fit_is_mended_once(
    bench: Bench, chat: ChatServer, wrong: str
) -> None:
    chat.says(text(wrong), text('```json\n{"words": []}\n```'))
    answer = await bench.ask(json_schema=TALK)
    assert (answer.data, answer.turns) == ({"words": []}, 2)
    assert chat.asked[1].last["content"].startswith("Your answer does not fit: ")


@pytest.mark.parametrize("wrong", ['"\\ud800"', "[" * 300 + "]" * 300], ids=["unicode", "deep"])
async def test_an_answer_that_cannot_be_stored_is_mended(
    bench: Bench, chat: ChatServer, wrong: str
) -> None:
    chat.says(text(wrong), text('"x"'))
    assert (await bench.ask(json_schema={})).data == "x"


async def test_an_answer_that_does_not_fit_twice_is_final_and_begun_anew_when_asked_for(
    bench: Bench, chat: ChatServer
) -> None:
    chat.says(text("no"), text("no again"), text('{"words": []}'))
    refused = await failure(bench, json_schema=TALK)
    assert (refused.code, refused.retryable) == ("bad_answer", False)
    answer = await bench.ask(json_schema=TALK)
    assert len(chat.asked[2].body["messages"]) == 2
    assert answer.usage.tokens == 330  # also what was in vain


@pytest.mark.parametrize(
    ("answer_format", "told"), [("json_object", {"type": "json_object"}), ("none", None)]
)
async def test_a_service_without_schemas_is_told_in_words(
    bench: Bench, chat: ChatServer, answer_format: str, told: Any
) -> None:
    bench.config = {"answer_format": answer_format}
    chat.says(text('{"words": []}'))
    await bench.ask(json_schema=TALK)
    assert chat.asked[0].body.get("response_format") == told
    assert '"words"' in chat.asked[0].body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (calls(("read_file", '{"path": ')), "error: the arguments: Invalid JSON"),
        (calls(("read_file", {"path": 1})), "error: path: Input should be a valid string"),
        (calls(("read_file", {})), "error: path: Field required"),
        (calls(("read_file", {"path": "x"})), "error: there is no file 'x'"),
        (calls(("read_file", {"path": "../outside.txt"})), "error: there is no file"),
        (calls(("read_file", {"path": "way_out.txt"})), "error: 'way_out.txt' cannot be read"),
        (calls(("read_file", {"path": "src/.env"})), "error: 'src/.env' may hold a secret"),
        (calls(("read_file", {"path": "data/blob.bin"})), "error: 'data/blob.bin' is no text"),
        (calls(("run_shell", {"command": "rm -r /"})), "error: there is no tool 'run_shell'"),
        (calls(("search", {"text": "x", "rm": 1})), "error: rm: Extra inputs"),
        (calls(("search", {"text": "hunter2"})), "(it is found nowhere)"),
        (calls(("search", {"text": "a secret of"})), "(it is found nowhere)"),
    ],
    ids=lambda value: "" if not isinstance(value, str) else value[:30],
)
async def test_a_call_that_makes_no_sense_is_answered_and_crashes_nothing(
    bench: Bench, chat: ChatServer, turn: Turn, said: str
) -> None:
    chat.says(turn, text("I see"))
    answer = await bench.ask()
    assert answer.status is Status.ANSWERED
    assert chat.asked[1].last["content"].startswith(said)
    refused = said.startswith("error: ")
    assert (len(answer.skipped), len(answer.evidence)) == ((1, 0) if refused else (0, 1))
    assert ("It has looked at:" in answer.markdown) is not refused
    assert ("It was refused:" in answer.markdown) is refused


async def test_more_calls_than_a_turn_may_have_are_refused(bench: Bench, chat: ChatServer) -> None:
    chat.says(calls(*[("list_files", {})] * 20), text("done"))
    assert (await bench.ask()).status is Status.ANSWERED
    answers = chat.asked[1].body["messages"][-20:]
    assert [a["content"] for a in answers[15:]][1:] == ["error: only 16 calls at once"] * 4


async def test_a_model_that_only_calls_tools_comes_to_its_last_turn(
    bench: Bench, chat: ChatServer
) -> None:
    bench.config = {"max_turns": 3}
    chat.says(*[calls(("list_files", {}))] * 3)
    answer = await bench.ask()
    assert answer.status is Status.OUT_OF_TURNS
    assert [asked.body.get("tool_choice") for asked in chat.asked] == [None, None, "none"]
    assert "answer.md" not in bench.files
    assert "transcript.json" in bench.files


@pytest.mark.parametrize(
    ("config", "more", "why"),
    [
        ({"answer_budget": {"tokens": 200}}, {}, "220 of 200 tokens are spent"),
        ({"budget": {"tokens": 200}}, {}, "220 of 200 tokens are spent"),
        ({}, {"budget": Budget(usd=0.0002)}, "0.0002 of 0.0002 USD are spent"),
    ],
)
async def test_a_budget_that_is_used_up_stops_the_next_turn(
    bench: Bench, chat: ChatServer, config: dict[str, Any], more: dict[str, Any], why: str
) -> None:
    bench.config = config
    chat.says(*[calls(("list_files", {}))] * 5)
    answer = await bench.ask(**more)
    assert (answer.status, len(chat.asked)) == (Status.OUT_OF_BUDGET, 2)
    assert why in answer.summary


async def test_the_agent_s_budget_is_for_all_questions_and_outlives_it(
    bench: Bench, chat: ChatServer
) -> None:
    bench.config = {"budget": {"tokens": 300}}
    chat.says(text("1"), text("2"), text("3"), text("4"))
    found = [await bench.ask(task=bench.task(op=str(number))) for number in range(4)]
    assert [answer.status for answer in found] == [*[Status.ANSWERED] * 3, Status.OUT_OF_BUDGET]
    assert "agent llm-1" in found[3].summary
    bench.config = {"budget": {"tokens": 300, "window_s": 1e-9}}
    assert (await bench.ask(task=bench.task(op="5"))).text == "4"


@pytest.mark.parametrize(
    ("finish", "status"), [("length", Status.CUT_OFF), ("content_filter", Status.WITHHELD)]
)
async def test_an_answer_that_is_not_whole_is_no_answer(
    bench: Bench, chat: ChatServer, finish: str, status: Status
) -> None:
    chat.says(text('{"words": []}', finish=finish))
    answer = await bench.ask(json_schema=TALK, max_tokens=7)
    assert (answer.status, answer.data) == (status, None)
    assert chat.asked[0].body["max_tokens"] == 7


async def test_no_turn_is_asked_twice_after_a_crash(bench: Bench, chat: ChatServer) -> None:
    chat.says(calls(("list_files", {})), error(400, "odd"))
    assert (await failure(bench)).code == "model_refused"
    chat.says(text("There are some."))
    answer = await bench.ask()
    assert len(chat.asked) == 3
    assert [m["role"] for m in chat.asked[2].body["messages"]] == [
        *("system", "user", "assistant", "tool"),
    ]
    assert (answer.turns, answer.usage.tokens) == (2, 220)


async def test_an_answer_that_was_there_is_given_again_without_asking(
    bench: Bench, chat: ChatServer
) -> None:
    chat.says(text("once"))
    first = await bench.ask()
    assert await bench.ask() == first
    assert len(chat.asked) == 1


async def test_a_kept_conversation_that_is_damaged_is_begun_anew(
    bench: Bench, chat: ChatServer
) -> None:
    chat.says(text("once"), text("again"))
    first = await bench.ask()
    (kept,) = (bench.workspace / ROOM).glob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.write_text('{"messages": [')
    assert (first.text, (await bench.ask()).text) == ("once", "again")


async def test_a_service_that_says_at_once_is_asked_a_little_later(
    bench: Bench, chat: ChatServer
) -> None:
    chat.says(*[error(429, "slow down", {"Retry-After": "0"})] * 2)
    assert (await bench.ask()).wait_s == 1.0


@pytest.mark.parametrize("headers", [{"Retry-After": "90"}, {}], ids=["said", "unsaid"])
async def test_a_service_that_is_busy_is_to_be_asked_later_in_the_same_conversation(
    bench: Bench, chat: ChatServer, headers: dict[str, str]
) -> None:
    busy = [error(429, "slow down", headers)] * (1 if headers else 2)
    chat.says(calls(("list_files", {})), *busy, text("at last"))
    later = await bench.ask()
    assert later.status is Status.LATER
    assert later.wait_s == (90.0 if headers else 30.0)
    assert "slow down" in later.summary
    assert bench.files == {}
    answer = await bench.ask(task=bench.task(op="7"), conversation=later.conversation)
    assert (answer.text, answer.turns, answer.usage.tokens) == ("at last", 2, 220)


async def test_a_service_that_is_busy_from_the_first_turn_is_asked_again_later(
    bench: Bench, chat: ChatServer
) -> None:
    chat.says(error(429, "slow down", {"Retry-After": "50"}), text("at last"))
    later = await bench.ask()
    assert (later.status, later.turns) == (Status.LATER, 0)
    answer = await bench.ask(task=bench.task(op="7"), conversation=later.conversation)
    assert (answer.text, answer.turns) == ("at last", 1)


async def test_a_conversation_of_another_workflow_or_question_is_not_gone_on_with(
    bench: Bench, chat: ChatServer
) -> None:
    chat.says(text("once"))
    known = (await bench.ask()).conversation
    other = bench.task(workflow_id="wf-2")
    assert (await failure(bench, task=other, conversation=known)).code == "no_such_conversation"
    asked = await failure(bench, prompt="Else?", conversation=known)
    assert asked.code == "no_such_conversation"
    for odd in ("../../etc/passwd", "x", "0" * 64):
        assert (await failure(bench, conversation=odd)).code == "no_such_conversation"


@pytest.mark.parametrize(
    ("turn", "code", "retryable"),
    [
        (error(500), "model_failed", True),
        (cut("half"), "model_unreachable", True),
        (raw(b"data: {"), "bad_reply", True),
        (error(401), "model_denied", False),
        (error(400, code="context_length_exceeded"), "context_too_long", False),
    ],
    ids=["500", "cut", "broken", "401", "long"],
)
async def test_a_model_that_cannot_be_asked_is_a_failure_of_the_step(
    bench: Bench, chat: ChatServer, turn: Turn, code: str, retryable: bool
) -> None:
    chat.says(turn, turn)
    failed = await failure(bench)
    assert (failed.code, failed.retryable) == (code, retryable)


async def test_without_a_model_it_says_what_is_missing(bench: Bench) -> None:
    bench.model = None
    failed = await failure(bench)
    assert (failed.code, failed.retryable) == ("no_model", False)
    health = await bench.agent.health_check()
    assert (health.healthy, health.message) == (True, failed.message)


async def test_its_health_names_the_model_and_the_circuit(bench: Bench, chat: ChatServer) -> None:
    agent = bench.agent
    health = await agent.health_check()
    assert health.healthy
    assert health.details == {"model": "parrot", "url": chat.url, "circuit": "closed"}
    breaker = agent.breakers.of(chat.endpoint().service)
    for _ in range(5):
        with pytest.raises(OSError, match="away"), breaker.guarding("/"):
            raise OSError("away")
    health = await agent.health_check()
    assert (health.healthy, health.message) == (False, "away")


async def test_another_model_of_the_same_address_has_no_known_price(
    bench: Bench, chat: ChatServer
) -> None:
    bench.config = {"model": "macaw"}
    chat.says(text("x"))
    answer = await bench.ask()
    assert chat.asked[0].body["model"] == "macaw"
    assert answer.usage.cost_usd is None


async def test_a_configuration_may_name_what_the_operator_has_named(
    bench: Bench, chat: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARROT_KEY", "hunter2-key")
    bench.model = None
    bench.more = {"model_urls": (chat.url,), "environment": ("PARROT_KEY",)}
    bench.config = {"url": chat.url, "model": "m", "key_variable": "PARROT_KEY", "input_price": 10}
    chat.says(text("x"))
    answer = await bench.ask()
    assert chat.asked[0].headers["authorization"] == "Bearer hunter2-key"
    assert answer.usage.cost_usd == 0.001
    assert "hunter2" not in answer.model_dump_json()


@pytest.mark.parametrize(
    "config",
    [
        {"url": "http://169.254.169.254/v1", "model": "m"},
        {"url": "https://elsewhere.example/v1", "model": "m", "key_variable": "PATH"},
        {"key_variable": "PATH"},
        {"url": "http://open.example/v1", "model": "m", "key_variable": "KEY"},
    ],
    ids=["address", "both", "key", "open"],
)
async def test_a_configuration_that_names_anything_else_is_refused(
    bench: Bench, config: dict[str, Any]
) -> None:
    bench.config = config
    bench.more = {"model_urls": ("http://open.example/v1",), "environment": ("KEY",)}
    failed = await failure(bench)
    assert (failed.code, failed.retryable) == ("model_not_allowed", False)
    assert not (await bench.agent.health_check()).healthy


def test_the_settings_key_is_not_sent_to_another_address() -> None:
    own = ModelEndpoint(url="https://own.example/v1", model="m", key_variable="OWN_KEY")
    site = Site(repo=Path(), workspace=Path(), model=own, model_urls=("https://b.example/v1",))
    assert endpoint_of(LlmConfig(), site).key_variable == "OWN_KEY"
    other = LlmConfig(url="https://b.example/v1", model="m")
    assert endpoint_of(other, site).key_variable == ""
    with pytest.raises(ActivityFailure, match="key_variable"):
        endpoint_of(other.model_copy(update={"key_variable": "OWN_KEY"}), site)


@pytest.mark.parametrize(
    "config",
    [
        {"url": "localhost"},
        {"url": "http://a:hunter2@h"},
        {"key_variable": "sk-hunter2"},
        {"tools": ["shell"]},
        {"max_turns": 0},
        {"input_price": -1},
        {"mode": "m"},
        {"answer_format": "xml"},
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        LlmConfig(**config)


@pytest.mark.parametrize(
    "request_",
    [
        {"prompt": ""},
        {"prompt": "x", "json_schema": {"pattern": "(a+)+$"}},
        {"prompt": "x", "json_schema": {"description": "y" * 70_000}},
        {"prompt": "x", "json_schema": {"default": "\ud800"}},
        {"prompt": "x", "temperature": 3},
        {"prompt": "x", "tools": ["shell"]},
        {"prompt": "x", "files": ["f"] * 51},
        {"prompt": "x", "model": "m"},
    ],
    ids=lambda given: str(given)[:60],
)
def test_a_question_that_cannot_be_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        AnswerRequest(**request_)


async def test_a_conversation_is_only_found_among_the_ledger_s_own(
    bench: Bench, chat: ChatServer
) -> None:
    chat.says(text("x"))
    known = (await bench.ask()).conversation
    ledger = Ledger(bench.workspace / ROOM)
    assert ledger.find(known) is not None
    (bench.workspace / ROOM / f"{known}.json").rename(bench.workspace / "llm" / "moved.json")
    assert ledger.find("../moved") is None


async def test_much_text_is_a_file_and_too_many_files_are_refused(
    bench: Bench, chat: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.agents.llm.report.TEXT_CHARACTERS", 3)
    monkeypatch.setattr("actors.agents.llm.question.FILES_CHARACTERS", 30)
    chat.says(text("They talk."))
    assert (await bench.ask(files=["README.md"])).text == "The"
    assert bench.files["answer.md"] == b"They talk."
    assert (await failure(bench, files=["README.md", "src/cage.py"])).code == "too_much"


async def test_old_conversations_are_forgotten(bench: Bench, chat: ChatServer) -> None:
    chat.says(text("x"))
    await bench.ask()
    ledger = Ledger(bench.workspace / ROOM)
    (kept,) = (bench.workspace / ROOM).glob("*.json")
    dated = kept.stat().st_mtime
    assert ledger.sweep(dated + 7 * 86400 - 1) == 0
    assert ledger.sweep(dated + 7 * 86400 + 1) == 1
    assert ledger.sweep(dated) == 0
    await bench.agent.initialize()


async def test_guessed_tokens_are_said_to_be_guessed(bench: Bench, chat: ChatServer) -> None:
    chat.says(calls(("list_files", {}), usage=None), text("x", usage=USAGE))
    assert not (await bench.ask()).is_counted
