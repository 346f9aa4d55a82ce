"""What the llm agent is asked, what it answers, and what it can be set up with."""

from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from actors.agents.endpoint import check_url, check_variable
from actors.agents.kit.outcome import Model, Outcome
from actors.agents.kit.schema import check_schema
from actors.agents.kit.spending import AgentBudget
from actors.agents.kit.usage import Budget, Usage
from actors.errors import ValidationError
from storage import payload
from storage.errors import PayloadError

PROMPT_CHARACTERS: Final = 200_000
SCHEMA_BYTES: Final = 64 * 1024
MOST_FILES: Final = 50
MOST_TURNS: Final = 100


class ToolName(StrEnum):
    """What the model may do with the repository; there is nothing else, and all of it reads."""

    LIST_FILES = "list_files"
    READ_FILE = "read_file"
    SEARCH = "search"


class AnswerRequest(Model):
    """A question.

    Attributes:
        files: of the repository, given along with the prompt.
        tools: what the model may do; None leaves it to the agent's configuration.
        json_schema: the form that the answer must have, as JSON.
        max_tokens: of one answer; not more than the agent's.
        budget: of this question, beside the agent's.
        conversation: what an answer that was to be continued later has named.
    """

    prompt: str = Field(min_length=1, max_length=PROMPT_CHARACTERS)
    system: str = Field(default="", max_length=PROMPT_CHARACTERS)
    files: tuple[str, ...] = Field(default=(), max_length=MOST_FILES)
    tools: tuple[ToolName, ...] | None = None
    json_schema: dict[str, Any] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    budget: Budget = Budget()
    conversation: str = Field(default="", max_length=100)

    @field_validator("json_schema")
    @classmethod
    def _is_understood(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        if schema is None:
            return None
        check_schema(schema)
        try:
            size = len(payload.encode(schema).encode())
        except PayloadError as error:
            raise ValueError(str(error)) from error
        if size > SCHEMA_BYTES:
            raise ValueError(f"it is longer than {SCHEMA_BYTES} bytes")
        return schema


class Status(StrEnum):
    """What became of a question.

    `later`: the service has to be left alone for a while; ask again with the conversation.
    """

    ANSWERED = "answered"
    LATER = "later"
    CUT_OFF = "cut_off"
    WITHHELD = "withheld"
    OUT_OF_BUDGET = "out_of_budget"
    OUT_OF_TURNS = "out_of_turns"


class Answer(Outcome):
    """What the model has said.

    Attributes:
        text: its last words; the whole of them is the artifact `answer.md`.
        markdown: the same to be shown, with what it relies on and what it took.
        data: the JSON of the answer, where a schema was given and it fits.
        model: who answered, as the service says.
        turns: how often the model was asked.
        usage: tokens and cost of all of them.
        is_counted: whether the service has counted the tokens; otherwise they are guessed.
        wait_s: seconds to wait before asking again, where the status is `later`.
        conversation: by which it is continued.
    """

    status: Status
    text: str = ""
    markdown: str = ""
    data: Any = None
    model: str = ""
    turns: int = 0
    usage: Usage = Usage()
    is_counted: bool = True
    wait_s: float | None = None
    conversation: str = ""


class LlmConfig(BaseModel):
    """How one agent asks. Whatever is left out is as the settings say under `[llm]`.

    Attributes:
        url: the settings' own, or one of their `urls`.
        key_variable: the settings' own, or a name in `environment` under `[agents]`.
        input_price: US dollars for a million tokens that are sent; output_price of the answered.
        timeout_s: seconds that one answer may take.
        system: what the model is told before each question.
        tools: what the model may do with the repository.
        answer_format: how a service is told of a schema; "none" says it in words only.
        max_turns: how often the model is asked for one answer.
        max_tokens: of one turn.
        answer_budget: of one question, with all its turns.
        budget: of all questions, within a time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = ""
    model: str = Field(default="", max_length=200)
    key_variable: str = ""
    input_price: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    output_price: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    timeout_s: float | None = Field(default=None, ge=1.0, le=3600.0)
    system: str = Field(default="", max_length=20_000)
    tools: tuple[ToolName, ...] = tuple(ToolName)
    answer_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    max_turns: int = Field(default=12, ge=1, le=MOST_TURNS)
    max_tokens: int = Field(default=8192, ge=1)
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    answer_budget: Budget = Budget(tokens=500_000)
    budget: AgentBudget = AgentBudget()

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        return _checked(check_url, url, "url") if url else url

    @field_validator("key_variable")
    @classmethod
    def _is_name(cls, name: str) -> str:
        return _checked(check_variable, name, "key_variable") if name else name


def _checked(check: Any, value: str, field: str) -> str:
    try:
        check(value, field)
    except ValidationError as error:
        raise ValueError(error.message) from None
    return value
