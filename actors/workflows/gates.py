"""Gates: where a workflow waits until a person has said whether it may go on.

A gate is an issue of type gate, which the bridge makes once the history says that it is wanted
(`actors.coordination.gates`), and a durable wait for the signal that carries the answer. The name
of that signal is the gate's own, so that an answer never reaches another one, not even that of the
same place in a later run.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from actors.clock import rfc3339
from actors.workflows.execution import Execution
from actors.workflows.history import Kind
from actors.workflows.messages import GATE_SIGNAL
from actors.workflows.replay import GATE, Recorded
from actors.workflows.strand import Strand
from actors.workflows.waits import consume
from storage import payload

TITLE_BYTES: Final = 500
DESCRIPTION_BYTES: Final = 100_000


class Decision(BaseModel):
    """What became of a gate.

    Args:
        by: who has answered; "" where nobody knows, because the issue was closed elsewhere.
        why: what they said to it.
        at: when.
        issue_id: the gate's issue.
        timed_out: nobody has answered in time, so it counts as rejected.
    """

    model_config = ConfigDict(frozen=True)

    approved: bool
    by: str
    why: str
    at: datetime
    issue_id: str
    timed_out: bool = False


async def gate(
    execution: Execution, title: str, description: str, timeout_s: float | None
) -> Decision:
    """See `Context.gate`."""
    _check(title, description, timeout_s)
    op, record = execution.take(GATE)
    if record is not None and record.outcome is not None:
        return _decision(record.outcome.payload)
    strand = Strand.current()
    asked = await _asked(execution, op, record, timeout_s)

    async def wait() -> str:
        if record is None:
            body = {"title": title, "description": description, **asked}
            execution.journal.append(Kind.GATE_REQUESTED, op=op, payload=payload.encode(body))
        return await consume(execution, op, asked["signal"], strand)

    text = await execution.perform(op, GATE, "", wait, parkable=True, signal=asked["signal"])
    return _decision(text)


async def _asked(
    execution: Execution, op: str, record: Recorded | None, timeout_s: float | None
) -> dict[str, Any]:
    """What makes this gate another one than any before it, and when its time is over."""
    if record is not None and record.opened is not None:
        body = payload.decode(record.opened.payload)
        return {name: body[name] for name in ("signal", "expires_at") if name in body}
    await execution.unpaused()  # the time begins when the gate does
    now = execution.surroundings.now()
    signal = f"{GATE_SIGNAL}{execution.run}/{op}@{rfc3339(now)}"
    if timeout_s is None:
        return {"signal": signal}
    expires_at = rfc3339(_after(now, timeout_s))
    return {"signal": signal, "timeout_s": timeout_s, "expires_at": expires_at}


def _after(now: datetime, seconds: float) -> datetime:
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"a gate's time ends after the year 9999: {seconds} s") from error


def _check(title: object, description: object, timeout_s: object) -> None:
    """Refuse what no issue could be made of: it would be waited for in vain."""
    for name, text, most in (
        ("title", title, TITLE_BYTES),
        ("description", description, DESCRIPTION_BYTES),
    ):
        if not isinstance(text, str):
            raise TypeError(f"a gate's {name} is a text, not {text!r}")
        if "\0" in text or len(text.encode(errors="replace")) > most:
            raise ValueError(f"a gate's {name} has at most {most} bytes of UTF-8, and no NUL")
        if payload.plain_text(text) != text:
            raise ValueError(f"a gate's {name} holds half of a surrogate pair")
    if not str(title).strip():
        raise ValueError("a gate needs a title: it is the question that somebody answers")
    if timeout_s is None:
        return
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
        raise TypeError(f"timeout_s is a number of seconds, not {timeout_s!r}")
    if not 0 < timeout_s < float("inf"):
        raise ValueError(f"timeout_s is a positive number of seconds, not {timeout_s}")


def _decision(text: str) -> Decision:
    return Decision.model_validate(payload.decode(text))
