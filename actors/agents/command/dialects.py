"""How each program says what it does: readers of the frames that it writes, one JSON a line.

A reader takes one frame and gives what it means; frames it does not know mean nothing, since
programs add new ones with every release. Nothing in a frame is trusted to be of the right type.
Only whole messages are read where a program writes them both whole and in parts.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from actors.agents.command.events import (
    TOTAL,
    Doing,
    Ended,
    Event,
    Limited,
    Said,
    Session,
    Spent,
    moment,
)
from actors.agents.kit.usage import Usage

Frame = Mapping[str, Any]
Reader = Callable[[Frame], Iterator[Event]]

_NOTHING: Final[Frame] = MappingProxyType({})
_WORDS: Final = 200


def lines(frame: Frame) -> Iterator[Event]:
    """Our own: what any script can write that wants to be understood.

    `{"type": "session", "id": …}`, `{"type": "message", "text": …}`,
    `{"type": "progress", "message": …, "fraction": …}`,
    `{"type": "usage", "input_tokens": …, "output_tokens": …, "cost_usd": …}` (of the whole turn),
    `{"type": "rate_limit", "resets_at": …}`, and
    `{"type": "result", "ok": true, "text": …, "code": …}` as the last one.
    """
    match frame.get("type"):
        case "session":
            yield from _session(frame.get("id"))
        case "message":
            yield Said(_text(frame.get("text")))
        case "progress":
            yield Doing(_text(frame.get("message"))[:_WORDS], _number(frame.get("fraction")))
        case "usage":
            yield Spent(TOTAL, _usage(frame))
        case "rate_limit":
            yield Limited(moment(frame.get("resets_at")))
        case "result":
            code = "" if frame.get("ok") is True else _text(frame.get("code")) or "failed"
            yield Ended(code, _text(frame.get("text")))


def claude(frame: Frame) -> Iterator[Event]:
    """`claude -p --output-format stream-json`."""
    yield from _session(frame.get("session_id"))
    match frame.get("type"):
        case "assistant":
            yield from _claude_message(_part(frame, "message"))
        case "rate_limit_event":
            # The other states ("allowed", "allowed_warning", …) are news and no refusal.
            info = _part(frame, "rate_limit_info")
            if info.get("status") == "rejected":
                yield Limited(moment(info.get("resetsAt")))
        case "result":
            yield from _claude_result(frame)


def _claude_message(message: Frame) -> Iterator[Event]:
    for block in _list(message.get("content")):
        if block.get("type") == "text":
            yield Said(_text(block.get("text")))
        elif block.get("type") == "tool_use":
            yield Doing(_tool(block.get("name"), _part(block, "input")))
    if message.get("usage") and message.get("id"):  # each block's frame repeats it
        yield Spent(_text(message.get("id")), _claude_usage(_part(message, "usage")))


def _claude_result(frame: Frame) -> Iterator[Event]:
    usage = _claude_usage(_part(frame, "usage"))
    yield Spent(TOTAL, usage.model_copy(update={"cost_usd": _number(frame.get("total_cost_usd"))}))
    kind = _text(frame.get("subtype"))
    failed = frame.get("is_error") is True or kind != "success"
    yield Ended(
        code=(kind if kind not in ("", "success") else "error") if failed else "",
        text=_text(frame.get("result")),
        is_incomplete=kind in ("error_max_turns", "error_max_budget_usd"),
    )


def _claude_usage(usage: Frame) -> Usage:
    return Usage(
        input_tokens=_count(usage.get("input_tokens")),
        output_tokens=_count(usage.get("output_tokens")),
        cache_read_tokens=_count(usage.get("cache_read_input_tokens")),
        cache_write_tokens=_count(usage.get("cache_creation_input_tokens")),
    )


def codex(frame: Frame) -> Iterator[Event]:
    """`codex exec --json`."""
    match frame.get("type"):
        case "thread.started" | "thread.resumed":
            yield from _session(frame.get("thread_id"))
        case "item.started" | "item.completed" as kind:
            item = _part(frame, "item")
            if item.get("type") == "agent_message":
                if kind == "item.completed":
                    yield Said(_text(item.get("text")))
            elif kind == "item.started":
                yield Doing(_tool(item.get("type"), item))
        case "turn.completed":
            usage = _part(frame, "usage")
            cached = _count(usage.get("cached_input_tokens"))  # they are among the input's
            read = Usage(
                input_tokens=max(0, _count(usage.get("input_tokens")) - cached),
                output_tokens=_count(usage.get("output_tokens")),
                cache_read_tokens=cached,
            )
            yield Spent(TOTAL, read)
            yield Ended()
        case "turn.failed":
            yield Ended("turn_failed", _text(_part(frame, "error").get("message")))
        case "error":  # e.g. that it connects anew; what ends a turn is said with the turn
            yield Doing(_text(frame.get("message"))[:_WORDS])


def gemini(frame: Frame) -> Iterator[Event]:
    """`gemini --output-format stream-json`."""
    match frame.get("type"):
        case "init":
            yield from _session(frame.get("session_id") or frame.get("sessionId"))
        case "message" if frame.get("role") == "assistant":
            yield Said(_text(frame.get("content")), is_part=frame.get("delta") is True)
        case "tool_use":
            yield Doing(_tool(frame.get("tool_name"), _part(frame, "parameters")))
        case "result":
            stats = _part(frame, "stats")
            cached = _count(stats.get("cached"))
            read = Usage(
                input_tokens=max(0, _count(stats.get("input_tokens")) - cached),
                output_tokens=_count(stats.get("output_tokens")),
                cache_read_tokens=cached,
            )
            yield Spent(TOTAL, read)
            error = _part(frame, "error")
            failed = frame.get("status") != "success"
            yield Ended(
                (_text(error.get("type")) or "error") if failed else "",
                _text(error.get("message")),
            )


def opencode(frame: Frame) -> Iterator[Event]:
    """`opencode run --format json`; it says nothing when it is done, it just ends."""
    yield from _session(frame.get("sessionID"))
    part = _part(frame, "part")
    match frame.get("type"):
        case "text":
            yield Said(_text(part.get("text")))
        case "tool_use":
            yield Doing(_tool(part.get("tool"), _part(_part(part, "state"), "input")))
        case "step_finish":
            yield Spent(_text(part.get("id")), _opencode_usage(part))
        case "error":
            error = _part(frame, "error")
            said = _text(_part(error, "data").get("message")) or _text(error.get("message"))
            yield Ended(_text(error.get("name")) or "error", said)


def _opencode_usage(part: Frame) -> Usage:
    tokens = _part(part, "tokens")
    cache = _part(tokens, "cache")
    return Usage(
        input_tokens=_count(tokens.get("input")),
        output_tokens=_count(tokens.get("output")) + _count(tokens.get("reasoning")),
        cache_read_tokens=_count(cache.get("read")),
        cache_write_tokens=_count(cache.get("write")),
        cost_usd=_number(part.get("cost")),
    )


DIALECTS: Final[Mapping[str, Reader]] = MappingProxyType(
    {"lines": lines, "claude": claude, "codex": codex, "gemini": gemini, "opencode": opencode}
)


def _session(value: Any) -> Iterator[Session]:
    text = _text(value)
    if 0 < len(text) <= _WORDS and text.isprintable() and not text.startswith("-"):
        yield Session(text)


def _tool(name: Any, given: Frame) -> str:
    """A tool and what it is used on."""
    named = ("command", "file_path", "path", "pattern", "query", "url", "description")
    about = next((text for key in named if (text := _text(given.get(key)))), "")
    return " ".join(f"{_text(name) or 'tool'} {about}".split())[:_WORDS]


def _usage(frame: Frame) -> Usage:
    return Usage(
        input_tokens=_count(frame.get("input_tokens")),
        output_tokens=_count(frame.get("output_tokens")),
        cache_read_tokens=_count(frame.get("cache_read_tokens")),
        cache_write_tokens=_count(frame.get("cache_write_tokens")),
        cost_usd=_number(frame.get("cost_usd")),
    )


def _part(frame: Frame, name: str) -> Frame:
    found = frame.get(name)
    return found if isinstance(found, dict) else _NOTHING


def _list(value: Any) -> list[Frame]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < 1e12 else None  # noqa: PLR2004 - JSON's Infinity is none
