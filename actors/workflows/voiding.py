"""Voiding: which events of a history still count once the workflow was retried.

Pure. A history is never changed: a retry adds the event `workflow_retried`, which says what no
longer counts, and whoever makes something of a history (the workflow's actor, a rerun) reads it
through `in_force`. That is the one place where events are left out.

A retry voids the operations whose failure ended the workflow, and what the code did after them,
told by the names of the operations: what stands behind them in the same strand, or in one that
theirs was forked from. What other branches did meanwhile keeps its results. Of a race that such a
failure has decided, the losers begin anew, too. Version markers stay: other branches may follow
them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.workflows.history import HistoryEvent, Kind
from actors.workflows.strand import place
from storage import payload

UNSURE = frozenset(
    {
        "uncertain",
        "start_to_close_timeout",
        "heartbeat_timeout",
        "result_not_json",
        "result_too_large",
        "result_of_wrong_type",
    }
)
"""Failures of an activity that may have had its effect, or has had it."""

_FAILED = frozenset({Kind.ACTIVITY_FAILED, Kind.TRANSACTION_FAILED, Kind.CHILD_FAILED})
_BEGUN = frozenset({Kind.ACTIVITY_STARTED, Kind.CHILD_STARTED})
_ENDED = _FAILED | {
    Kind.ACTIVITY_COMPLETED,
    Kind.TRANSACTION_COMPLETED,
    Kind.CHILD_COMPLETED,
    Kind.OPERATION_CANCELLED,
}

TOLD = (Kind.WORKFLOW_FAILED, Kind.WORKFLOW_RETRIED, Kind.OPERATION_CANCELLED, *_FAILED, *_BEGUN)
"""Kinds whose payloads are looked at here; those of all other events may be left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voided:
    """What a retry makes of the run of a failed workflow.

    Args:
        after: operations that are done again, with all that follows them.
        ops: others that are done again.
        begun: those whose beginning still counts: a child that goes on, an activity that must not
            be repeated before it was looked up.
        seq: the first event that no longer counts.
        undone: a saga was undone that the rest relies on: the run cannot go on, only a new one.
    """

    after: tuple[str, ...]
    ops: tuple[str, ...]
    begun: tuple[str, ...]
    seq: int
    undone: bool

    def covers(self, op: str) -> bool:
        """Whether what is recorded of an operation no longer counts."""
        return _is_void(op, self.after, self.ops)

    @property
    def body(self) -> dict[str, Any]:
        """What the event of the retry says of it."""
        said = {"after": self.after, "ops": self.ops, "begun": self.begun}
        return {"from": self.seq, **{name: list(ops) for name, ops in said.items() if ops}}


def in_force(events: Sequence[HistoryEvent]) -> Sequence[HistoryEvent]:
    """The events of a run that count, of all in order. The retries themselves are among them."""
    if not any(event.kind is Kind.WORKFLOW_RETRIED for event in events):
        return events
    kept: list[HistoryEvent] = []
    for event in events:
        if event.kind is Kind.WORKFLOW_RETRIED:
            kept = _without(kept, payload.decode(event.payload))
        kept.append(event)
    return kept


def taken(events: Sequence[HistoryEvent]) -> frozenset[str]:
    """The ids of children whose start no longer counts."""
    counting = in_force(events)
    if counting is events:
        return frozenset()
    return _started(events) - _started(counting)


def _started(events: Sequence[HistoryEvent]) -> frozenset[str]:
    return frozenset(
        payload.decode(event.payload)["workflow_id"]
        for event in events
        if event.kind is Kind.CHILD_STARTED
    )


def _without(events: Sequence[HistoryEvent], body: Mapping[str, Any]) -> list[HistoryEvent]:
    """Those that a retry leaves: a failed run's end is void in any case."""
    after, ops, begun = (body.get(name, ()) for name in ("after", "ops", "begun"))

    def counts(event: HistoryEvent) -> bool:
        if event.op in begun and event.kind in _BEGUN:
            return True
        return event.kind is not Kind.WORKFLOW_FAILED and not _is_void(event.op, after, ops)

    return [event for event in events if counts(event)]


def _is_void(op: str, after: Sequence[str], ops: Sequence[str]) -> bool:
    return op != "" and (op in ops or any(follows(op, mark) for mark in after))


def follows(op: str, mark: str) -> bool:
    """Whether an operation is another one, or what was recorded of it comes behind it.

    Behind it in the same strand, or in one that its strand was forked from; the fork itself, where
    that is a race, ends behind all in it.
    """
    here, there = place(op), place(mark)
    for index, (mine, others) in enumerate(zip(here, there, strict=False)):
        if mine != others:
            return index % 2 == 0 and mine > others
    return True  # the same, a race around it, or a branch below it


def voided(events: Sequence[HistoryEvent], children: Mapping[str, str]) -> Voided:
    """What a retry voids of a run that has failed.

    Args:
        events: of the run, all of them; payloads only of those that are `TOLD`.
        children: {child's id: status} of the workflow's children.
    """
    counting = in_force(events)
    end = events[-1]
    failed, since = _led_to(end, counting)
    after = tuple(mark for mark in (*failed, *since) if not _is_behind(mark, (*failed, *since)))
    lost = _lost(counting, after)
    void = [event for event in counting if _is_void(event.op, after, lost)]
    again = tuple(op for op in failed if op in after)
    return Voided(
        after=after,
        ops=lost,
        begun=_begun(void, again, lost, children),
        seq=min([event.seq for event in void], default=end.seq),
        undone=any(event.kind is Kind.COMPENSATION_STARTED for event in void),
    )


def _led_to(end: HistoryEvent, events: Sequence[HistoryEvent]) -> tuple[list[str], list[str]]:
    """The operations that failed, and those that the code did because of that."""
    body = payload.decode(end.payload)
    if "failed" in body:
        return body["failed"], body.get("since", [])
    message = body["message"]  # an older program has not said it
    for event in events:
        if event.kind in _FAILED:
            failure = payload.decode(event.payload)
            if f"failed with {failure['code']}: {failure['message']}" in message:
                return [event.op], []
    undone = [event.op for event in events if event.kind is Kind.COMPENSATION_STARTED]
    return [], undone[-1:]


def _is_behind(mark: str, marks: Sequence[str]) -> bool:
    return any(other != mark and follows(mark, other) for other in marks)


def _lost(events: Sequence[HistoryEvent], after: Sequence[str]) -> tuple[str, ...]:
    """Operations that ended because a race was over whose end is void; and what nobody ended."""
    races = [e for e in events if e.kind is Kind.BRANCH_CHOSEN and _is_void(e.op, after, ())]
    ended = {event.op for event in events if event.kind in _ENDED}
    found = {
        event.op
        for event in events
        if _has_lost(event, races)
        or (event.kind is Kind.ACTIVITY_SCHEDULED and event.op not in ended)
    }
    return tuple(sorted((op for op in found if not _is_void(op, after, ())), key=place))


def _has_lost(event: HistoryEvent, races: Sequence[HistoryEvent]) -> bool:
    if event.kind is not Kind.OPERATION_CANCELLED or not payload.decode(event.payload).get("lost"):
        return False
    return any(event.seq > race.seq and event.op.startswith(f"{race.op}.") for race in races)


def _begun(
    void: Sequence[HistoryEvent],
    failed: Sequence[str],
    lost: Sequence[str],
    children: Mapping[str, str],
) -> tuple[str, ...]:
    found: list[str] = []
    codes = {
        event.op: payload.decode(event.payload)["code"] for event in void if event.kind in _FAILED
    }
    for event in void:
        if event.kind is Kind.CHILD_STARTED and event.op in failed:
            status = children.get(payload.decode(event.payload)["workflow_id"])
            if status in ("failed", "completed"):
                found.append(event.op)
        elif event.kind is Kind.ACTIVITY_STARTED and event.op not in found:
            unsure = event.op in failed and codes.get(event.op) in UNSURE
            if unsure or event.op in lost:
                found.append(event.op)
    return tuple(found)
