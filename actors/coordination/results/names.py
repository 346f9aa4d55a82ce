"""Names of artifacts, results and steps: what may be one. Pure.

What may be an artifact's is said in `storage.artifact_names`.
"""

import mimetypes
import re
from typing import Final

from actors.errors import ValidationError
from storage.artifact_names import objection

WORD_CHARACTERS: Final = 200
MEDIA_TYPE_CHARACTERS: Final = 200
OUTPUT: Final = "output"
"""The type and the step of a workflow's own result, which it alone has."""

HANDED_OVER: Final = "handoff"
"""The type and the step of what is handed over with a workflow: only a handoff stores it."""

RESERVED: Final = {
    OUTPUT: "the workflow's own result, and stored by it alone",
    HANDED_OVER: "what is handed over with a workflow, and stored by its handoff alone",
}

UNKNOWN_MEDIA_TYPE: Final = "application/octet-stream"

_TYPE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]*")
_MEDIA_TYPE: Final = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*"
    r"( ?; ?[a-z0-9_.-]+=([\w.+-]+|\"[\w .+-]*\"))*",
    re.IGNORECASE | re.ASCII,
)
_KINDS: Final = mimetypes.MimeTypes()
for _suffix, _kind in {
    ".md": "text/markdown",
    ".jsonl": "application/x-ndjson",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".log": "text/plain",
    ".patch": "text/x-diff",
    ".diff": "text/x-diff",
    ".whl": "application/zip",
}.items():
    _KINDS.add_type(_kind, _suffix)


def parse_name(name: str) -> str:
    """An artifact's name, as it was given.

    Raises:
        ValidationError: it may not be one; the message says why.
    """
    why = objection(name)
    if why is not None:
        raise ValidationError(f"the name of an artifact {why}", field="name", value=name)
    return name


def parse_media_type(given: str | None, name: str) -> str:
    """The media type that was given, or the one that the name says.

    Raises:
        ValidationError: what was given is none.
    """
    if given is None:
        guessed, encoding = _KINDS.guess_type(name.rpartition("/")[2])
        return guessed if guessed and encoding is None else UNKNOWN_MEDIA_TYPE
    if len(given) > MEDIA_TYPE_CHARACTERS or _MEDIA_TYPE.fullmatch(given) is None:
        raise ValidationError(
            f"a media type is like text/plain, up to {MEDIA_TYPE_CHARACTERS} characters",
            field="media_type",
            value=given,
        )
    return given


def parse_result_type(result_type: str) -> str:
    """Raises `ValidationError`."""
    if len(result_type) > WORD_CHARACTERS or _TYPE.fullmatch(result_type) is None:
        raise ValidationError(
            f"a result type is 1 to {WORD_CHARACTERS} letters, digits, dots, colons, slashes,"
            " hyphens and underscores, and begins with a letter, a digit or an underscore",
            field="result_type",
            value=result_type,
        )
    return _but_reserved("result_type", result_type)


def parse_step(step: str) -> str:
    """Raises `ValidationError`."""
    return _but_reserved("step", parse_word("step", step))


def parse_word(field: str, word: str) -> str:
    """A name that others have given: of a step, an agent or its type. Raises `ValidationError`."""
    if not (0 < len(word) <= WORD_CHARACTERS and word.isprintable()):
        raise ValidationError(
            f"{field} is 1 to {WORD_CHARACTERS} printable characters", field=field, value=word
        )
    return word


def _but_reserved(field: str, word: str) -> str:
    if word in RESERVED:
        raise ValidationError(f"{word!r} is {RESERVED[word]}", field=field, value=word)
    return word
