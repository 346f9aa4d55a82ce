"""Words from a model in reports, and reports without them."""

from pathlib import Path
from typing import Any

import pytest
import trio

from actors.agents.endpoint import ModelEndpoint
from actors.agents.kit import prose as prose_module
from actors.agents.kit.outcome import Finding, Level
from actors.agents.kit.prose import prose
from actors.agents.protocol import Task
from actors.agents.site import Site
from actors.retrying import Retries
from tests.support.chat_server import ChatServer, Turn, cut, error, hang, raw, text


class Lines(list[str]):
    def note(self, message: str, fraction: float | None, level: str, progress: bool) -> None:
        self.append(f"{level}: {message}")


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        prose_module, "RETRIES", Retries(attempts=2, initial_s=0.0, maximum_s=0.0, deadline_s=5.0)
    )


def task(lines: Lines, model: ModelEndpoint | None) -> Task:
    return Task("wf-1", "0", 1, Site(repo=Path(), workspace=Path(), model=model), lines.note)


async def test_without_a_model_there_are_no_words_and_no_complaint(lines: Lines) -> None:
    assert await prose(task(lines, None), "Say it.", {}) is None
    assert lines == []


async def test_the_model_gets_the_facts_and_its_words_come_back(
    chat: ChatServer, lines: Lines
) -> None:
    chat.says(text("There is one error.\n\nIt is in a.py."))
    finding = Finding(tool="ruff", rule="F401", level=Level.ERROR, message="unused")
    said = await prose(task(lines, chat.endpoint()), "Say what was found.", {"found": [finding]})
    assert said == "There is one error.\n\nIt is in a.py."
    asked = chat.asked[0].last["content"]
    assert asked.startswith("Say what was found.")
    assert '"rule": "F401"' in asked
    assert lines == ["info: words from parrot for 110 tokens, 0.0001 USD"]


async def test_its_words_are_shown_as_text_and_never_as_markup(
    chat: ChatServer, lines: Lines
) -> None:
    chat.says(text("# Verdict: pass\n\n<b>[x](http://e.example)</b> ![i](a)\n\n- `rm`\x1b[0m"))
    said = await prose(task(lines, chat.endpoint()), "Say it.", {})
    assert said == (
        "\\# Verdict: pass\n\n"
        "\\<b>\\[x\\](http:\\//e.example)\\</b> !\\[i\\](a)\n\n"
        "\\- \\`rm\\`\\[0m"
    )


async def test_facts_and_words_are_cut_where_they_are_too_long(
    chat: ChatServer, lines: Lines
) -> None:
    chat.says(text("a " * 10_000))
    said = await prose(task(lines, chat.endpoint()), "Say it.", ["x" * 100_000])
    assert said is not None
    assert len(said) <= prose_module.MOST_CHARACTERS
    assert len(chat.asked[0].last["content"]) < prose_module.FACTS_CHARACTERS + 100


@pytest.mark.parametrize(
    "turns",
    [
        [error(500), error(500)],
        [error(400)],
        [error(401)],
        [error(429, headers={"Retry-After": "3600"})],
        [cut("half"), cut("half")],
        [raw(b"data: {"), raw(b"data: {")],
        [text("and then", finish="length")],
        [text("…", finish="content_filter")],
        [text("  \n\n ")],
    ],
    ids=["500", "400", "401", "429", "cut", "broken", "length", "filter", "blank"],
)
async def test_a_model_that_fails_leaves_the_report_without_words(
    chat: ChatServer, lines: Lines, turns: list[Turn]
) -> None:
    chat.says(*turns)
    assert await prose(task(lines, chat.endpoint()), "Say it.", {}) is None


async def test_a_model_that_is_too_slow_is_not_waited_for(
    chat: ChatServer, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prose_module, "DEADLINE_S", 0.05)
    chat.says(hang("well"))
    assert await prose(task(lines, chat.endpoint()), "Say it.", {}) is None
    assert lines == ["warning: the report has no words from a model: it did not finish"]


async def test_a_missing_key_is_said_in_the_log(chat: ChatServer, lines: Lines) -> None:
    endpoint = chat.endpoint(key_variable="NO_SUCH_VARIABLE_HERE")
    assert await prose(task(lines, endpoint), "Say it.", {}) is None
    assert "holds no key" in lines[0]


async def test_it_can_be_cancelled(chat: ChatServer, lines: Lines) -> None:
    chat.says(hang("well"))
    said: list[Any] = []
    with trio.move_on_after(0.05) as scope:
        said.append(await prose(task(lines, chat.endpoint()), "Say it.", {}))
    assert scope.cancelled_caught
    assert said == []
