"""Presets: how headless coding programs are called, as data.

A preset is a program's name, the words it is called with in the first turn of a session and in a
later one, and the dialect it answers in. In a word, `{prompt}` stands for the prompt, `{session}`
for the session's id and `{value}` for an option's value; a prompt for which no word has a place
comes on stdin. Programs change their options: the version says what the words were written for,
and an agent's configuration may hold presets of its own, also by the names of these.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from actors.agents.kit.argv import Word
from actors.agents.kit.outcome import Model
from actors.errors import ValidationError

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]

PROMPT: Final = "{prompt}"
SESSION: Final = "{session}"
VALUE: Final = "{value}"

ARGUMENT_BYTES: Final = 120_000
"""As long as one word of a command can be on Linux, with some room left."""


class Preset(Model):
    """How a program is called, and how it answers.

    Attributes:
        version: what the words were written for.
        program: the name that the operator has allowed.
        first: words of a session's first turn.
        again: words of a later turn; () for a program that keeps no sessions.
        options: words for what a request may choose, by its name.
        dialect: how it says what it does.
        plain: what it writes that is no frame is said, too.
        verdict: whether it says in a frame how its turn ended, or by its exit status only.
        env: variables that it gets beside the usual ones.
        limit_texts: parts of what it says when it may do no more for a while.
    """

    version: str = ""
    program: str = Field(min_length=1, max_length=1_000, pattern=r"^[^\x00]+$")
    first: tuple[Word, ...] = Field(default=(), max_length=200)
    again: tuple[Word, ...] = Field(default=(), max_length=200)
    options: dict[Name, tuple[Word, ...]] = Field(default_factory=dict, max_length=100)
    dialect: Literal["lines", "claude", "codex", "gemini", "opencode"] = "lines"
    plain: bool = False
    verdict: Literal["frame", "status"] = "frame"
    env: dict[VariableName, Word] = Field(default_factory=dict, max_length=100)
    limit_texts: tuple[str, ...] = Field(default=(), max_length=20)

    @model_validator(mode="after")
    def _words_have_their_places(self) -> Self:
        if self.again and not any(SESSION in word for word in self.again):
            raise ValueError("again: no word holds {session}, so no session can be continued")
        for name, words in self.options.items():
            if words and not any(VALUE in word for word in words):
                raise ValueError(f"options.{name}: no word holds {VALUE}")
        return self

    @property
    def names_sessions(self) -> bool:
        """Whether the first turn can be told what its session is to be called."""
        return any(SESSION in word for word in self.first)

    def words(
        self, *, prompt: str, session: str, resumes: bool, options: Mapping[str, str]
    ) -> tuple[list[str], str]:
        """The argv of a turn, and what it gets on stdin.

        Raises:
            ValidationError: there is no such option, a value looks like an option itself, or the
                prompt is too long for a word.
        """
        template = self.again if resumes else self.first
        takes_prompt = any(PROMPT in word for word in template)
        if takes_prompt and len(prompt.encode()) > ARGUMENT_BYTES:
            raise ValidationError(
                f"{self.program} takes its prompt as a word, of {ARGUMENT_BYTES} bytes at most",
                field="prompt",
            )
        chosen = [word for name, value in options.items() for word in self._option(name, value)]
        places = {PROMPT: prompt, SESSION: session}
        words: list[str] = []
        for word in template:
            words += chosen if word == OPTIONS else [_filled(word, places)]
        if OPTIONS not in template:
            words += chosen
        return [self.program, *words], "" if takes_prompt else prompt

    def _option(self, name: str, value: str) -> list[str]:
        words = self.options.get(name)
        if words is None:
            known = ", ".join(sorted(self.options)) or "none"
            raise ValidationError(
                f"{self.program} has no option {name!r} here; it has: {known}",
                field=f"options.{name}",
                value=value,
            )
        if value.startswith("-") or "\0" in value:
            raise ValidationError(
                f"the value of option {name!r} must not begin with a dash",
                field=f"options.{name}",
                value=value,
            )
        return [word.replace(VALUE, value) for word in words]


OPTIONS: Final = "{options}"
"""A word in whose place the options stand; without it they come last."""


def _filled(word: str, places: Mapping[str, str]) -> str:
    """A word with its places filled; what fills one is not looked through again."""
    for place, value in places.items():
        before, found, after = word.partition(place)
        if found:
            return before + value + after
    return word


_CLAUDE: Final = ("-p", "--output-format", "stream-json", "--verbose", "{options}")
_CLAUDE_LIMITS: Final = ("usage limit reached", "you've hit your limit", "rate limit exceeded")

PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "claude": Preset(
            version="2.1",
            program="claude",
            first=(*_CLAUDE, "--session-id", SESSION),
            again=(*_CLAUDE, "--resume", SESSION),
            options={
                "model": ("--model", VALUE),
                "permission_mode": ("--permission-mode", VALUE),
                "allowed_tools": ("--allowedTools", VALUE),
                "disallowed_tools": ("--disallowedTools", VALUE),
                "max_turns": ("--max-turns", VALUE),
                "max_budget_usd": ("--max-budget-usd", VALUE),
                "append_system_prompt": ("--append-system-prompt", VALUE),
                "mcp_config": ("--mcp-config", VALUE),
            },
            dialect="claude",
            limit_texts=_CLAUDE_LIMITS,
        ),
        "codex": Preset(
            version="0.50",
            program="codex",
            first=("exec", "--json", "{options}", "-"),
            again=("exec", "--json", "{options}", "resume", SESSION, "-"),
            options={
                "model": ("--model", VALUE),
                "sandbox": ("--sandbox", VALUE),
                "profile": ("--profile", VALUE),
            },
            dialect="codex",
            limit_texts=("usage limit", "rate limit reached"),
        ),
        "gemini": Preset(
            version="0.20",
            program="gemini",
            first=("--output-format", "stream-json", "{options}"),
            again=("--output-format", "stream-json", "{options}", "--resume", SESSION),
            options={"model": ("--model", VALUE), "approval_mode": ("--approval-mode", VALUE)},
            dialect="gemini",
            limit_texts=("quota exceeded", "rate limit"),
        ),
        "opencode": Preset(
            version="1.0",
            program="opencode",
            first=("run", "--format", "json", "{options}", "--", PROMPT),
            again=("run", "--format", "json", "{options}", "--session", SESSION, "--", PROMPT),
            options={"model": ("--model", VALUE), "agent": ("--agent", VALUE)},
            dialect="opencode",
            verdict="status",
            limit_texts=("rate limit",),
        ),
    }
)


def plain_command(argv: tuple[str, ...]) -> Preset:
    """Any command: it gets the prompt on stdin, and its exit status is its verdict."""
    return Preset(program=argv[0], first=argv[1:], plain=True, verdict="status")
