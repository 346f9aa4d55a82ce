"""What is said to a language model, and what it says."""

from enum import StrEnum
from typing import Any

from actors.agents.kit.outcome import Model
from actors.agents.kit.usage import Usage


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class ToolCall(Model):
    """That the model wants a tool to be used; `arguments` is its text, which may be no JSON."""

    id: str
    name: str
    arguments: str


class ChatMessage(Model):
    """One message of a conversation.

    Attributes:
        tool_call_id: which call a message with the role `tool` answers.
    """

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


class ToolOffer(Model):
    """A tool that the model may use; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]


class ChatRequest(Model):
    """One question to the model.

    Attributes:
        tools: what it may ask to have done.
        may_use_tools: False has it answer although there are tools.
        answer_format: the protocol's `response_format`; None for free text.
        max_tokens: its answer ends after so many; None leaves it to the service.
    """

    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolOffer, ...] = ()
    may_use_tools: bool = True
    answer_format: dict[str, Any] | None = None
    max_tokens: int | None = None
    temperature: float | None = None


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


class Reply(Model):
    """One answer, whole.

    Attributes:
        model: who answered, as the service says.
        is_counted: whether the service has counted the tokens; otherwise there are taken to be
            four letters to one.
    """

    message: ChatMessage
    finish: Finish
    usage: Usage
    model: str = ""
    is_counted: bool = True
