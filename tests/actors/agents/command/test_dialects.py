import json
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.agents.command.dialects import DIALECTS
from actors.agents.command.events import Doing, moment
from actors.agents.command.hearing import TEXT_CHARACTERS, Heard
from actors.agents.kit.usage import Usage


def hear(dialect: str, *frames: dict[str, Any], plain: bool = False) -> Heard:
    heard = Heard(DIALECTS[dialect], plain=plain)
    for frame in frames:
        heard.take(json.dumps(frame).encode())
    return heard


def outcome(heard: Heard) -> tuple[str, str, str | None]:
    return heard.session, heard.text, None if heard.ended is None else heard.ended.code


def test_claude_says_its_session_its_words_and_its_usage() -> None:
    tool = {"type": "tool_use", "name": "Bash", "input": {"command": "make test"}}
    words = {"type": "text", "text": "Hello"}

    def message(name: str, *content: dict[str, Any], **usage: int) -> dict[str, Any]:
        about = {"id": name, "content": list(content), "usage": usage}
        return {"type": "assistant", "message": about}

    heard = hear(
        "claude",
        {"type": "system", "subtype": "init", "session_id": "s-1"},
        {"type": "stream_event", "event": {"delta": {"text": "Hello"}}, "session_id": "s-1"},
        message("m1", tool, input_tokens=5),
        message("m1", words, input_tokens=5, cache_read_input_tokens=2),
        message("m2", output_tokens=3),
    )
    assert outcome(heard) == ("s-1", "Hello", None)
    assert heard.usage == Usage(input_tokens=5, output_tokens=3, cache_read_tokens=2)
    assert heard.tools == {"Bash": 1}
    heard.take(b'{"type": "result", "subtype": "success", "session_id": "s-2", "result": "Bye."}')
    assert outcome(heard) == ("s-2", "Bye.", "")
    assert heard.usage == Usage()


def test_codex_says_its_thread_its_items_and_how_its_turn_ended() -> None:
    message = {"id": "i2", "type": "agent_message", "text": "Done."}
    usage = {"input_tokens": 100, "cached_input_tokens": 60, "output_tokens": 7}
    heard = hear(
        "codex",
        {"type": "thread.started", "thread_id": "t-1"},
        {"type": "turn.started"},
        {"type": "item.started", "item": {"type": "command_execution", "command": "ls"}},
        {"type": "error", "message": "connecting anew"},
        {"type": "item.completed", "item": message},
        {"type": "turn.completed", "usage": usage},
    )
    assert outcome(heard) == ("t-1", "Done.", "")
    assert heard.usage == Usage(input_tokens=40, cache_read_tokens=60, output_tokens=7)
    failed = hear("codex", {"type": "turn.failed", "error": {"message": "no credit"}})
    assert outcome(failed) == ("", "no credit", "turn_failed")


def test_gemini_says_its_words_in_parts() -> None:
    heard = hear(
        "gemini",
        {"type": "init", "session_id": "g-1", "model": "m"},
        {"type": "message", "role": "user", "content": "Do it."},
        {"type": "message", "role": "assistant", "content": "Al", "delta": True},
        {"type": "message", "role": "assistant", "content": "l done.", "delta": True},
        {"type": "tool_use", "tool_name": "read_file", "parameters": {"path": "a.py"}},
        {"type": "result", "status": "success", "stats": {"input_tokens": 9, "output_tokens": 4}},
    )
    assert outcome(heard) == ("g-1", "All done.", "")
    assert heard.usage.tokens == 13
    error = {"type": "FatalTurnLimitedError", "message": "too many turns"}
    failed = hear("gemini", {"type": "result", "status": "error", "error": error})
    assert outcome(failed) == ("", "too many turns", "FatalTurnLimitedError")


def test_opencode_adds_up_its_steps_and_does_not_say_when_it_is_done() -> None:
    def step(part: str, cost: float) -> dict[str, Any]:
        tokens = {"input": 10, "output": 2, "reasoning": 1, "cache": {"read": 4, "write": 5}}
        about = {"id": part, "tokens": tokens, "cost": cost}
        return {"type": "step_finish", "sessionID": "o-1", "part": about}

    words = {"type": "text", "sessionID": "o-1", "part": {"text": "Fine."}}
    heard = hear("opencode", step("p1", 0.5), words, step("p2", 0.25))
    assert outcome(heard) == ("o-1", "Fine.", None)
    assert (heard.usage.tokens, heard.usage.cost_usd) == (44, 0.75)
    error = {"name": "ProviderAuthError", "data": {"message": "log in"}}
    failed = hear("opencode", {"type": "error", "sessionID": "o-1", "error": error})
    assert outcome(failed) == ("o-1", "log in", "ProviderAuthError")


def test_any_script_can_be_understood() -> None:
    heard = hear(
        "lines",
        {"type": "session", "id": "l-1"},
        {"type": "progress", "message": "half", "fraction": 0.5},
        {"type": "message", "text": "Nearly."},
        {"type": "usage", "input_tokens": 3, "cost_usd": 0.5},
        {"type": "rate_limit", "resets_at": "2026-01-01T00:00:00Z"},
        {"type": "result", "ok": False, "text": "No.", "code": "stuck"},
    )
    assert outcome(heard) == ("l-1", "No.", "stuck")
    assert heard.resets_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert heard.usage == Usage(input_tokens=3, cost_usd=0.5)


def test_what_is_no_frame_is_said_where_the_preset_wants_that() -> None:
    heard = Heard(DIALECTS["lines"], plain=True)
    for line in (b"one\r", b"{not json", b"\xff", b'"text"', b"{" * 9_000):
        heard.take(line)
    assert heard.text.startswith('one\n{not json\n\ufffd\n"text"\n{{{')
    assert heard.strays == 5
    quiet = hear("claude")
    quiet.take(b"a banner")
    assert (quiet.text, quiet.has_begun) == ("", False)


def test_only_the_end_of_long_words_is_kept() -> None:
    heard = hear("lines", {"type": "message", "text": "x" * 100_000 + "end"})
    assert len(heard.text) == TEXT_CHARACTERS
    assert heard.text.endswith("end")


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("odd", [None, 7, -1, "text", [], [7], {}, True, 1e400, "\ud800"], ids=repr)
def test_frames_of_the_wrong_types_hurt_nobody(dialect: str, odd: object) -> None:
    kinds = (
        *("assistant", "result", "rate_limit_event", "thread.started", "item.completed"),
        *("item.started", "turn.completed", "turn.failed", "message", "init", "tool_use"),
        *("text", "step_finish", "error", "usage", "session", "progress", "rate_limit", odd),
    )
    names = (
        *("message", "usage", "session_id", "rate_limit_info", "result", "subtype", "item"),
        *("error", "part", "sessionID", "stats", "content", "id", "text", "fraction", "resets_at"),
        *("total_cost_usd", "input_tokens", "cost_usd", "thread_id", "parameters"),
    )
    heard = Heard(DIALECTS[dialect])
    for kind in kinds:
        for name in names:
            heard.take(json.dumps({"type": kind, "role": "assistant", name: odd}).encode())
    assert heard.usage.tokens < 100


def test_a_session_that_could_be_an_option_is_none() -> None:
    for wrong in ("-rf", "", "a\nb", "x" * 300):
        assert hear("lines", {"type": "session", "id": wrong}).session == ""


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (1_800_000_000, datetime(2027, 1, 15, 8, tzinfo=UTC)),
        (1_800_000_000_000, datetime(2027, 1, 15, 8, tzinfo=UTC)),
        ("1800000000", datetime(2027, 1, 15, 8, tzinfo=UTC)),
        ("2027-01-15T08:00:00", datetime(2027, 1, 15, 8, tzinfo=UTC)),
        ("soon", None),
        (None, None),
        (float("nan"), None),
        (1e300, None),
    ],
    ids=repr,
)
def test_moments_are_read_in_the_forms_that_programs_use(value: object, at: object) -> None:
    assert moment(value) == at


@pytest.mark.parametrize("fraction", ["1" + "0" * 400, "1e999", "NaN", "true", "-1"])
def test_how_far_it_is_may_be_no_number(fraction: str) -> None:
    heard = Heard(DIALECTS["lines"])
    (event,) = heard.take(f'{{"type": "progress", "fraction": {fraction}}}'.encode())
    assert event == Doing("", None)
