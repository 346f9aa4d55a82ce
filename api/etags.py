"""ETag and If-Match: which state of an issue or a workflow a client has seen.

An issue's tag is its `updated_at`, so labels and comments, which do not move that, do not change it
either: who replaces fields is not held up by somebody's remark. A workflow's is its own
`updated_at`, which moves with its title, priority and variables, and not with what it does.

What a GET answers has a digest of the whole answer behind that (`api.conventions.freshness`), by
which a client asks whether anything at all has moved; If-Match does not look at it.

Most requests compare no tag. They are refused with an If-Match rather than done without a look at
it: whoever sends one relies on it.
"""

import re
from typing import Final

from quart import Request, request

from actors.coordination.messages import WorkflowRecord
from actors.errors import ValidationError
from actors.issues.messages import Issue

TAG_LIMIT: Final = 80
DIGEST_BYTES: Final = 8
SEPARATOR: Final = "~"
COMPARING: Final = frozenset({"issues.update", "workflows.update"})
"""Endpoints that compare If-Match, by `expected`."""

_DIGEST: Final = re.compile(rf"{SEPARATOR}[0-9a-f]{{{2 * DIGEST_BYTES}}}$")


def etag(issue: Issue | WorkflowRecord) -> str:
    return f'"{issue.updated_at}"'


async def refuse_unheeded() -> None:
    """Let no request in whose If-Match nobody would compare. Of what only reads, HTTP ignores it.

    Raises:
        ValidationError: there is one.
    """
    if request.method in ("GET", "HEAD") or "If-Match" not in request.headers:
        return
    if request.endpoint is not None and request.endpoint not in COMPARING:
        raise ValidationError(
            "If-Match is not compared here: only a PUT of a workflow or an issue is made to"
            " depend on a state; send this without it",
            field="If-Match",
            value=None,
        )


def expected(request: Request) -> str | None:
    """The `updated_at` that the client has seen; None where any will do.

    Raises:
        ValidationError: If-Match is no single strong tag. Several, or weak ones, cannot be what an
            answer of ours gave.
    """
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    text = given.strip()
    if len(text) > TAG_LIMIT or not _is_tag(text):
        raise ValidationError(
            'If-Match is the ETag of an earlier answer, such as "2026-01-02T03:04:05Z", or *',
            field="If-Match",
            value=None,
        )
    return _DIGEST.sub("", text[1:-1])


def _is_tag(text: str) -> bool:
    quoted = len(text) > 2 and text[0] == text[-1] == '"'  # noqa: PLR2004 - two quotes
    return quoted and '"' not in text[1:-1] and text.isprintable()
