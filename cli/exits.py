"""Exit codes: the one table that commands return from and `beadflow help exit-codes` prints.

Scripts and agents branch on these numbers, so a number never changes its meaning.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says when it ends; `meaning` is the sentence a user reads."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CANCELLED = 3
    AUTH = 4
    UNSUCCESSFUL = 5
    NOT_FOUND = 6
    CONFLICT = 7
    PENDING = 8
    UNREACHABLE = 9
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "done (an empty list is done, too)",
    ExitCode.FAILED: "failed for a reason that has no code of its own",
    ExitCode.USAGE: "wrong usage: an unknown command or option, or a value that was refused",
    ExitCode.CANCELLED: "cancelled, or the server did not answer in time",
    ExitCode.AUTH: "not signed in, or not allowed",
    ExitCode.UNSUCCESSFUL: "the workflow ended, but not successfully",
    ExitCode.NOT_FOUND: "there is no such thing",
    ExitCode.CONFLICT: "somebody else was first, or the state does not allow it",
    ExitCode.PENDING: "not finished yet: ask again later",
    ExitCode.UNREACHABLE: "nobody is serving, or the server cannot serve now",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C; nothing was cancelled",
}

# Answers without an entry are FAILED, 507 among them: a full disk takes a person. 503 counts as
# unreachable: to a script, a server that cannot serve and one that is not there ask for the same
# thing, to come back later.
_BY_STATUS = {
    400: ExitCode.USAGE,
    401: ExitCode.AUTH,
    403: ExitCode.AUTH,
    404: ExitCode.NOT_FOUND,
    408: ExitCode.CANCELLED,
    409: ExitCode.CONFLICT,
    412: ExitCode.CONFLICT,
    422: ExitCode.USAGE,
    503: ExitCode.UNREACHABLE,
    504: ExitCode.CANCELLED,
}


# Not a matter of who was first: the code that should have answered is at fault; and there may be
# something to claim later.
_BY_CODE = {"query_failed": ExitCode.FAILED, "nothing_ready": ExitCode.PENDING}


def for_status(status: int, code: str = "") -> ExitCode:
    """The exit code of a refusal that came with this HTTP status, and perhaps a stable code."""
    return _BY_CODE.get(code) or _BY_STATUS.get(status, ExitCode.FAILED)
