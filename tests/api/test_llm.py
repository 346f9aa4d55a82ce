"""The llm agent through the API: a whole running system, and a model's service on a real socket."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from actors.agents.llm import dialogue
from actors.agents.llm.agent import LlmAgent
from actors.agents.llm.workflow import llm
from actors.facts import USAGE_RECORDED, LoggedFact
from tests.api.asgi import send_json
from tests.api.built_in import built_in, output
from tests.api.site import WORKFLOWS, Site
from tests.support.chat_server import ChatServer, calls, chat_server, error, hang, text
from tests.support.planted import Planted, planted

QUESTION = "What does this package do?"


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return planted(tmp_path_factory.mktemp("planted"))


def asking(repo: Path, data_dir: Path, **more: Any) -> AbstractAsyncContextManager[Site]:
    return built_in(repo, workflows=[llm], agents=[LlmAgent], data_dir=data_dir, **more)


def uses(seen: Sequence[LoggedFact]) -> list[LoggedFact]:
    return [fact for fact in seen if fact.type == USAGE_RECORDED]


async def get(site: Site, path: str) -> Any:
    answer = await site.call("GET", path)
    assert answer.status == 200, answer.body
    return answer.json()


async def test_a_question_about_a_repository_is_answered_over_http(
    repository: Planted, tmp_path: Path, chat: ChatServer
) -> None:
    chat.says(
        calls(("list_files", {"pattern": "*.toml"})),
        calls(("read_file", {"path": "pyproject.toml"})),
        text('{"answer": "It is planted."}'),
    )
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    async with asking(repository.repo, tmp_path, model=chat.endpoint()) as site:
        variables = {"prompt": QUESTION, "json_schema": schema}
        workflow_id = await site.done("llm", variables=variables)
        found = await get(site, f"{WORKFLOWS}/{workflow_id}")
        answered = await output(site, workflow_id)
        artifacts = (await get(site, f"{WORKFLOWS}/{workflow_id}/artifacts"))["data"]
        status = await get(site, "/api/v1/agents/llm-1/status")
        log = await site.running.until(lambda seen: len(uses(seen)) == 3)
    assert found["status"] == "completed"
    assert (status["metrics"]["tokens"], status["metrics"]["cost_usd"]) == (330, 0.00036)
    assert [fact.data["input_tokens"] for fact in uses(log)] == [100, 100, 100]
    assert answered["data"] == {"answer": "It is planted."}
    assert answered["usage"]["input_tokens"] == 300
    assert answered["metrics"]["cost_usd"] == pytest.approx(0.00036)
    assert [evidence["source"] for evidence in answered["evidence"]] == [
        'list_files({"pattern": "*.toml"})',
        'read_file({"path": "pyproject.toml"})',
    ]
    assert "name = " in chat.asked[2].last["content"]
    assert {each["name"]: each["sha256"] for each in artifacts} == {
        each["name"]: each["sha256"] for each in answered["artifacts"]
    }
    assert {each["name"] for each in artifacts} == {"answer.json", "transcript.json"}


async def test_a_busy_service_is_waited_for_with_a_durable_timer(
    repository: Planted, tmp_path: Path, chat: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogue, "LEAST_PAUSE_S", 0.0)
    monkeypatch.setattr(dialogue, "PAUSE_S", 0.0)
    monkeypatch.setattr(dialogue, "_WAITS", frozenset({"model_busy", "quota_exhausted"}))
    chat.says(calls(("list_files", {})), error(402, "no more today"), text("They talk."))
    async with asking(repository.repo, tmp_path, model=chat.endpoint()) as site:
        workflow_id = await site.done("llm", variables={"prompt": QUESTION})
        found = await get(site, f"{WORKFLOWS}/{workflow_id}")
        history = (await get(site, f"{WORKFLOWS}/{workflow_id}/history"))["data"]
        answered = await output(site, workflow_id)
    assert found["status"] == "completed"
    assert (answered["text"], answered["turns"], answered["usage"]["input_tokens"]) == (
        *("They talk.", 2, 200),
    )
    assert len(chat.asked) == 3
    assert "timer_fired" in [event["kind"] for event in history]


async def test_a_workflow_that_is_cancelled_stops_listening(
    repository: Planted, tmp_path: Path, chat: ChatServer
) -> None:
    chat.says(hang("Well, "), text("too late"))
    async with asking(repository.repo, tmp_path, model=chat.endpoint()) as site:
        started = await site.start("llm", variables={"prompt": QUESTION})
        workflow_id = started.json()["id"]
        await site.running.until(lambda seen: any(f.type == "step_progress" for f in seen))
        answer = await send_json(site.app, f"{WORKFLOWS}/{workflow_id}/cancel", {})
        assert answer.status < 300, answer.body
        (ended,) = await site.running.ended(workflow_id)
    assert ended.status == "cancelled"
    assert len(chat.asked) == 1


@pytest.mark.parametrize(
    ("turns", "code"),
    [([error(401, "who are you?")], "model_denied"), ([text("…", finish="length")], "cut_off")],
)
async def test_what_is_no_answer_fails_the_workflow_and_says_why(
    repository: Planted, tmp_path: Path, chat: ChatServer, turns: list[Any], code: str
) -> None:
    chat.says(*turns)
    async with asking(repository.repo, tmp_path, model=chat.endpoint()) as site:
        workflow_id = await site.done("llm", variables={"prompt": QUESTION})
        found = await get(site, f"{WORKFLOWS}/{workflow_id}")
    assert found["status"] == "failed"
    assert code in json.dumps(found)


async def test_without_a_model_the_agent_is_there_and_says_what_is_missing(
    repository: Planted, tmp_path: Path
) -> None:
    async with asking(repository.repo, tmp_path) as site:
        status = await get(site, "/api/v1/agents/llm-1/status")
        workflow_id = await site.done("llm", variables={"prompt": QUESTION})
        found = await get(site, f"{WORKFLOWS}/{workflow_id}")
        types = (await get(site, "/api/v1/agents/types"))["data"]
    assert status["health"]["healthy"]
    assert "no model is configured" in status["health"]["message"]
    assert found["status"] == "failed"
    assert "no_model" in json.dumps(found)
    (known,) = types
    assert known["activities"][0]["name"] == "answer"
    assert known["activities"][0]["input"]["properties"]["prompt"]["type"] == "string"


async def test_an_agent_is_set_up_anew_while_it_runs(
    repository: Planted, tmp_path: Path, chat: ChatServer
) -> None:
    chat.says(text("a"), text("b"))
    async with asking(repository.repo, tmp_path, model=chat.endpoint()) as site:
        await site.done("llm", variables={"prompt": "1"})
        config = {"config": {"model": "macaw", "tools": []}}
        answer = await site.call(
            "PUT",
            "/api/v1/agents/llm-1/config",
            headers=[("Content-Type", "application/json")],
            body=[json.dumps(config).encode()],
        )
        assert answer.status == 200, answer.body
        await site.done("llm", variables={"prompt": "2"})
        refused = [
            (await send_json(site.app, "/api/v1/agents", {"agent_type": "llm", "config": wrong}))
            for wrong in ({"url": "ftp://x"}, {"key_variable": "sk-hunter2"}, {"mode": "m"})
        ]
    assert [asked.body["model"] for asked in chat.asked] == ["parrot", "macaw"]
    assert "tools" not in chat.asked[1].body
    assert [answer.status for answer in refused] == [422, 422, 422]
    assert b"hunter2" not in b"".join(answer.body for answer in refused)


async def test_a_question_that_cannot_be_is_refused_at_the_door(repo: Path, tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [
        {},
        {"prompt": 1},
        {"prompt": "x", "json_schema": {"pattern": "a"}},
        {"prompt": "x", "json_schema": 1},
        {"prompt": "x", "budget": {"tokens": -1}},
        {"prompt": "x", "url": "http://elsewhere"},
    ]
    async with asking(repo, tmp_path / "data") as site:
        answers = [await site.start("llm", variables=variables) for variables in wrong]
    assert [answer.status for answer in answers] == [422] * len(wrong)
    assert {answer.json()["code"] for answer in answers} == {"validation_error"}
