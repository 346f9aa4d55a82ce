"""What an operation takes and answers, for those who describe it to others."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
STREAM: Final = "text/event-stream"
ANY_FILE: Final = "application/octet-stream"
FILE_MODEL: Final = bytes
"""Of answers and bodies that are files, as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation, as its route has it.

    Args:
        summary: what it does, in a few words.
        answer: type of the answer's body: a model, or a dataclass of which a dictionary is made;
            None for an answer without a body.
        status: of the ordinary answer.
        body: model of the request's body; None where it takes none.
        body_type: media type of that.
        query: model of the query string; None where it takes none.
        codes: what it may be refused with, besides what every operation of its kind may be
            (see `api.operations.problems`).
        headers: of the request, besides those that every operation takes.
        answer_headers: of the answer, besides those that every answer has.
        answer_type: media type of the answer.
        other_types: media types that the same may come in, too.
        lines: type of one line, where the answer may be asked for in lines.
        other_statuses: of ordinary answers without a body, such as 304.
        also: other statuses that the same body comes with.
        example: a body that would be taken.
        description: more of it, in Markdown.
    """

    summary: str
    answer: Any = None
    status: int = 200
    body: type[BaseModel] | type[bytes] | None = None
    body_type: str = JSON
    query: type[BaseModel] | None = None
    codes: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    answer_headers: tuple[str, ...] = ()
    answer_type: str = JSON
    other_types: tuple[str, ...] = ()
    lines: Any = None
    other_statuses: tuple[int, ...] = ()
    also: tuple[int, ...] = ()
    example: dict[str, Any] | None = None
    description: str = ""
