"""W3C Trace Context: the trace that a request belongs to, taken and given back.

A request without a valid `traceparent` belongs to none, and none is made up: its request id is
enough to find it by.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from quart import Response, g, has_request_context
from werkzeug.datastructures import Headers

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
STATE_LIMIT: Final = 512
"""Characters of a state that is given back; a longer one is left out, as the standard allows."""

_PARENT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})"
    r"-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(?P<more>-[\x21-\x7e]*)?"
)
_STATE: Final = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a request stands in somebody's trace.

    Args:
        span_id: this request's own, by which a client finds it among its calls.
        state: what others want to have passed on; "" for nothing.
    """

    trace_id: str
    span_id: str
    flags: str
    state: str

    @property
    def parent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def of(headers: Headers | Mapping[str, str]) -> Trace | None:
    """The trace that a request's headers name, if they name one."""
    found = _PARENT.fullmatch(headers.get(TRACEPARENT, ""))
    if found is None or (found["version"] == "00" and found["more"]):
        return None
    state = headers.get(TRACESTATE, "")
    known = len(state) <= STATE_LIMIT and _STATE.fullmatch(state) is not None
    return Trace(found["trace"], secrets.token_hex(8), found["flags"], state if known else "")


def present() -> Trace | None:
    """The trace of the request that is being answered."""
    if not has_request_context():
        return None
    found: Trace | None = g.get("trace")
    return found


def words() -> dict[str, str]:
    """What a log line, or a problem, says of the present trace."""
    found = present()
    return {} if found is None else {"trace_id": found.trace_id}


def mark(response: Response) -> None:
    """Name the trace in the answer, with this request as its latest part."""
    found = present()
    if found is None:
        return
    response.headers[TRACEPARENT] = found.parent
    if found.state:
        response.headers[TRACESTATE] = found.state
