"""The chat-completions protocol as JSON: what is sent, and what is read, whole or in pieces.

Services differ in what they leave out, so that reading bears with much: no usage, no `[DONE]`, tool
calls without an index, content in parts. It does not bear with an answer that just breaks off.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from pydantic import ValidationError as ModelError

from actors import misfits
from actors.agents.kit.chat.failures import Complaint, refused, senseless
from actors.agents.kit.chat.messages import (
    ChatMessage,
    ChatRequest,
    Finish,
    Reply,
    Role,
    ToolCall,
)
from actors.agents.kit.usage import Usage

MOST_CHARACTERS: Final = 4_000_000
"""Of one answer: no model writes so much."""

MOST_CALLS: Final = 64

_LETTERS_PER_TOKEN: Final = 4
_MOST_TOKENS: Final = 10**12
_THOUGHTS: Final = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)
"""What some models think aloud before they answer, and their services leave in the answer."""
_FINISHES: Final = {
    "function_call": Finish.TOOL_CALLS,
    "tool_calls": Finish.TOOL_CALLS,
    "length": Finish.LENGTH,
    "content_filter": Finish.CONTENT_FILTER,
}


def body(request: ChatRequest, model: str, *, stream: bool) -> dict[str, Any]:
    """What is sent to ask this."""
    sent: dict[str, Any] = {"model": model, "messages": [_message(m) for m in request.messages]}
    if stream:
        sent |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.max_tokens is not None:
        sent["max_tokens"] = request.max_tokens
    if request.temperature is not None:
        sent["temperature"] = request.temperature
    if request.tools:
        sent["tools"] = [
            {"type": "function", "function": tool.model_dump()} for tool in request.tools
        ]
        if not request.may_use_tools:
            sent["tool_choice"] = "none"
    if request.answer_format is not None:
        sent["response_format"] = request.answer_format
    return sent


def _message(message: ChatMessage) -> dict[str, Any]:
    sent: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if message.tool_call_id:
        sent["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        sent["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return sent


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Function(_Lenient):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(_Lenient):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Said(_Lenient):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(str(part.get("text") or "") for part in self.content)
        return self.content or self.refusal or ""


class _Choice(_Lenient):
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None


class _Piece(_Lenient):
    """An answer, or a piece of one."""

    choices: list[_Choice] | None = None
    usage: Any = None
    model: str | None = None
    error: Any = None


@dataclass(slots=True)
class _Wanted:
    """A tool call as far as it has come."""

    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""


class Gathering:
    """Puts one answer together from its pieces; a whole one is one piece."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: list[_Wanted] = []
        self._finish: str | None = None
        self._counted: Any = None
        self._model = ""
        self._size = 0

    def add(self, data: str | bytes) -> str:
        """Take a piece, and give the text in it.

        Raises:
            ChatFailure: it is none, the service says that it failed, or the answer is too long.
        """
        try:
            piece = _Piece.model_validate_json(data)
        except ModelError as error:
            raise senseless(misfits.first(error).words) from error
        if piece.error:
            raise refused(500, Complaint.of({"error": piece.error}))
        self._counted = piece.usage or self._counted
        self._model = piece.model or self._model
        if not piece.choices:
            return ""
        choice = piece.choices[0]
        self._finish = choice.finish_reason or self._finish
        return self._say(choice.message or choice.delta or _Said())

    def _say(self, said: _Said) -> str:
        self._size += len(said.text)
        if said.text:
            self._text.append(said.text)
        for call in said.tool_calls or ():
            self._call(call)
        if self._size > MOST_CHARACTERS or len(self._calls) > MOST_CALLS:
            raise senseless("it does not come to an end")
        return said.text

    def _call(self, piece: _Call) -> None:
        """Pieces of a call have its index; the first one alone has its id and its name."""
        said = piece.function or _Function()
        arguments = said.arguments
        text = arguments if isinstance(arguments, str) else _dumped(arguments)
        self._size += len(text)
        known = next(
            (c for c in self._calls if c.index is not None and c.index == piece.index), None
        )
        if known is None and piece.index is None and not piece.id and not said.name:
            known = self._calls[-1] if self._calls else None
        if known is None:
            known = _Wanted(index=piece.index)
            self._calls.append(known)
        known.id = known.id or piece.id or ""
        known.name = known.name or said.name or ""
        known.arguments += text

    @property
    def is_whole(self) -> bool:
        """Whether the service has said that the answer is at its end."""
        return self._finish is not None

    def reply(self, request: ChatRequest) -> Reply:
        """The answer.

        Raises:
            ChatFailure: there is none, or not to its end.
        """
        if not self.is_whole:
            raise senseless("it broke off")
        calls = tuple(
            ToolCall(id=call.id or f"call_{number}", name=call.name, arguments=call.arguments)
            for number, call in enumerate(self._calls)
        )
        text = _THOUGHTS.sub("", "".join(self._text))
        finish = _FINISHES.get(self._finish or "", Finish.STOP)
        if calls and finish is Finish.STOP:  # some services say "stop" then
            finish = Finish.TOOL_CALLS
        usage = self._usage()
        return Reply(
            message=ChatMessage(role=Role.ASSISTANT, content=text, tool_calls=calls),
            finish=finish,
            usage=usage or self._guess(request),
            is_counted=usage is not None,
            model=self._model,
        )

    def _usage(self) -> Usage | None:
        """What the service has counted; None where it does not count, or not in numbers."""
        counted = self._counted if isinstance(self._counted, dict) else {}
        asked, said = _count(counted.get("prompt_tokens")), _count(counted.get("completion_tokens"))
        if asked is None or said is None:
            return None
        details = counted.get("prompt_tokens_details")
        known = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
        cached = min(asked, known or 0)
        return Usage(input_tokens=asked - cached, output_tokens=said, cache_read_tokens=cached)

    def _guess(self, request: ChatRequest) -> Usage:
        asked = sum(len(message.content) for message in request.messages)
        return Usage(input_tokens=_tokens(asked), output_tokens=_tokens(self._size))


def _count(value: Any) -> int | None:
    """A number of tokens; None of what cannot be one."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return int(value) if 0 <= value <= _MOST_TOKENS else None


def _tokens(letters: int) -> int:
    return -(-letters // _LETTERS_PER_TOKEN)


def _dumped(arguments: dict[str, Any] | None) -> str:
    """Some services give the arguments as what they mean."""
    return "" if arguments is None else json.dumps(arguments)
