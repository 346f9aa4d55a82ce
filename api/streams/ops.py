"""What a client asks over a WebSocket that it steers by itself: one JSON object in each frame."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, TypeAdapter
from pydantic import ValidationError as ModelError

from actors import misfits
from actors.errors import ValidationError
from actors.event_filter import EventFilter, check
from actors.feed import CUT, Lag
from api.body import parse_object
from api.models import Strict, words

ID: Final = r"^[A-Za-z0-9._:-]{1,64}$"
Names = Annotated[list[str], BeforeValidator(words), Field(max_length=100)]
SubscriptionId = Annotated[str, Field(strict=True, pattern=ID)]


class SubscribeOp(Strict):
    """Begin to send events, under an id that the client chooses."""

    op: Literal["subscribe"]
    id: SubscriptionId
    topics: Names = Field(default_factory=list)
    workflow: Names = Field(default_factory=list)
    issue: str | None = Field(default=None, strict=True)
    agent: str | None = Field(default=None, strict=True)
    after: int | None = Field(default=None, strict=True, ge=0, le=2**62)
    lag: Lag = CUT

    def filter(self) -> EventFilter:
        """Raises `ValidationError`."""
        wanted = EventFilter(
            topics=tuple(self.topics),
            workflow_ids=tuple(self.workflow),
            issue_id=self.issue,
            agent_id=self.agent,
        )
        check(wanted)
        return wanted


class UnsubscribeOp(Strict):
    """Send no more of it."""

    op: Literal["unsubscribe"]
    id: SubscriptionId


Op = Annotated[SubscribeOp | UnsubscribeOp, Field(discriminator="op")]
_OPS: Final[TypeAdapter[SubscribeOp | UnsubscribeOp]] = TypeAdapter(Op)
_KNOWN: Final[Sequence[str]] = ("subscribe", "unsubscribe")


def parse(frame: str | bytes) -> SubscribeOp | UnsubscribeOp:
    """What a frame asks for.

    Raises:
        BadBody: it is no JSON object.
        ValidationError: there is no such op, or a field is missing, unknown or wrong.
    """
    given = parse_object(frame if isinstance(frame, bytes) else frame.encode("utf-8", "replace"))
    if given.get("op") not in _KNOWN:
        raise ValidationError(f"op is one of {', '.join(_KNOWN)}", field="op", value=None)
    try:
        return _OPS.validate_python(given)
    except ModelError as error:
        first = misfits.first(error)
        where = ".".join(str(part) for part in first.place[1:])[:200]
        raise ValidationError(f"{where}: {first.words}", field=where, value=None) from error
