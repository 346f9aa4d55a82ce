"""What a model may do with the repository: three tools that read, and no others.

What a model asks for is nobody's word: names are looked up among the files that Git tracks, files
are opened without following links, words are searched for as they are (a pattern could take for
ever), and sizes are capped. A call that makes no sense gets an answer that says so: the model may
try again.
"""

import fnmatch
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from time import monotonic
from typing import Any, Final

import trio
from pydantic import BaseModel, ConfigDict, Field
from pydantic import ValidationError as ModelError

from actors import misfits
from actors.agents.kit.chat.messages import ToolCall, ToolOffer
from actors.agents.kit.files import Listing, Skips, read_file
from actors.agents.llm.messages import ToolName
from storage.payload import plain_text

READ_CHARACTERS: Final = 40_000
LINES: Final = 1000
REFUSED: Final = "error: "
"""How the answer to a call begins that was not done, and no other."""

NAMES: Final = 500
HITS: Final = 60
LINE_CHARACTERS: Final = 300
SEARCH_S: Final = 15.0

_BINARY_LOOK: Final = 8000
_KEPT_BACK: Final = re.compile(
    r"(^|/)(\.env(\..*)?|\.netrc|\.pypirc|\.npmrc|id_(rsa|dsa|ecdsa|ed25519)|credentials(\.json)?)$"
    r"|\.(pem|key|p12|pfx|jks|keystore|kdbx)$",
    re.IGNORECASE,
)


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ListFiles(_Arguments):
    """List the files of the repository."""

    under: str = Field(default="", max_length=500, description="only below this directory")
    pattern: str = Field(default="*", max_length=100, description="of the file's name, as *.py")


class ReadFile(_Arguments):
    """Read a file of the repository, or some of its lines, each with its number."""

    path: str = Field(max_length=1000, description="relative to the root, as list_files gives it")
    first_line: int = Field(default=1, ge=1)
    last_line: int | None = Field(default=None, ge=1)


class Search(_Arguments):
    """Find the lines of the repository's files that have some text in them."""

    text: str = Field(min_length=1, max_length=200, description="as it is; it is no pattern")
    under: str = Field(default="", max_length=500, description="only below this directory")
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Repository:
    """The files that a model may see; `listing` names them."""

    listing: Listing

    @property
    def paths(self) -> Iterator[str]:
        """All of them, but for those that are likely to hold a secret."""
        return (path for path in self.listing.paths if not _KEPT_BACK.search(path))

    def list_files(self, asked: ListFiles) -> str:
        found = [
            path
            for path in self._below(asked.under)
            if fnmatch.fnmatchcase(PurePosixPath(path).name, asked.pattern)
        ]
        more = f"\n(and {len(found) - NAMES} more)" if len(found) > NAMES else ""
        return "\n".join(found[:NAMES]) + more or "(there are none)"

    def read_file(self, asked: ReadFile) -> str:
        lines = self.text(asked.path).splitlines()
        last = min(asked.last_line or len(lines), asked.first_line + LINES - 1, len(lines))
        shown = [f"{number}: {lines[number - 1]}" for number in range(asked.first_line, last + 1)]
        text = "\n".join(shown)
        if len(text) > READ_CHARACTERS:
            return text[:READ_CHARACTERS] + "\n(cut off here: ask for fewer lines)"
        more = f"\n({len(lines) - last} more lines)" if last < len(lines) else ""
        return text + more or "(there are no such lines)"

    def search(self, asked: Search) -> str:
        until = monotonic() + SEARCH_S
        hits: list[str] = []
        for path in self._below(asked.under):
            trio.from_thread.check_cancelled()
            if monotonic() > until or len(hits) > HITS:
                break
            hits += self._hits(path, asked)
        more = "\n(there may be more)" if len(hits) > HITS or monotonic() > until else ""
        return "\n".join(hits[:HITS]) + more or "(it is found nowhere)"

    def text(self, path: str) -> str:
        """All of a file.

        Raises:
            LookupError: there is no such file, or it is none that can be read.
        """
        path = path.removeprefix("./")
        if path not in self.listing.paths:
            raise LookupError(f"there is no file {path[:200]!r}; list_files names them")
        if _KEPT_BACK.search(path):
            raise LookupError(f"{path!r} may hold a secret and is not shown")
        return self._read(path)

    def _read(self, path: str) -> str:
        skips = Skips()
        data = read_file(self.listing.root, path, skips)
        if data is None:
            raise LookupError(f"{path!r} cannot be read: {', '.join(skips.counts)}")
        if b"\0" in data[:_BINARY_LOOK]:
            raise LookupError(f"{path!r} is no text")
        return data.decode("utf-8", "replace")

    def _below(self, directory: str) -> Iterator[str]:
        prefix = (
            "" if directory.strip("./") == "" else directory.removeprefix("./").rstrip("/") + "/"
        )
        return (path for path in self.paths if path.startswith(prefix))

    def _hits(self, path: str, asked: Search) -> Iterator[str]:
        try:
            text = self._read(path)
        except LookupError:
            return
        wanted = asked.text.lower() if asked.ignore_case else asked.text
        if wanted not in (text.lower() if asked.ignore_case else text):
            return
        for number, line in enumerate(text.splitlines(), 1):
            if wanted in (line.lower() if asked.ignore_case else line):
                yield f"{path}:{number}: {line.strip()[:LINE_CHARACTERS]}"


_TABLE: Final[dict[ToolName, tuple[type[_Arguments], Callable[[Repository, Any], str]]]] = {
    ToolName.LIST_FILES: (ListFiles, Repository.list_files),
    ToolName.READ_FILE: (ReadFile, Repository.read_file),
    ToolName.SEARCH: (Search, Repository.search),
}


def offers(names: tuple[ToolName, ...]) -> tuple[ToolOffer, ...]:
    """What is offered to a model."""
    return tuple(
        ToolOffer(
            name=name.value,
            description=_TABLE[name][0].__doc__ or "",
            parameters=_TABLE[name][0].model_json_schema(),
        )
        for name in names
    )


def use(call: ToolCall, repository: Repository, names: tuple[ToolName, ...]) -> str:
    """Do what a model asks for, in a thread, and give what it is told."""
    if call.name not in names:
        known = ", ".join(names) or "none"
        return f"{REFUSED}there is no tool {call.name[:100]!r}; there are: {known}"
    takes, tool = _TABLE[ToolName(call.name)]
    try:
        said = plain_text(tool(repository, takes.model_validate_json(call.arguments or "{}")))
        return f"./{said}" if said.startswith(REFUSED) else said  # a file may be called so
    except ModelError as error:
        first = misfits.first(error)
        where = ".".join(map(str, first.place)) or "the arguments"
        return f"{REFUSED}{where}: {first.words}"
    except LookupError as error:
        return plain_text(f"{REFUSED}{error}")


def shown(call: ToolCall) -> str:
    """A call in one line, for people."""
    return f"{call.name}({' '.join(call.arguments.split())[:LINE_CHARACTERS]})"
