"""What a watcher knows of a running workflow, as a pure reduction over its events.

`apply` never changes a Progress but returns the next one, because the live view draws from another
thread while events come in. An event seen twice (after a reconnect) changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from cli import printable, records, when
from cli.records import Event

StepState = Literal["running", "retrying", "done", "failed", "cancelled"]

_ENDING = frozenset(
    {
        "workflow_completed",
        "workflow_failed",
        "workflow_cancelled",
        "workflow_terminated",
        "workflow_dead_lettered",
    }
)
_STEPS = ("step_", "timer_", "child_", "gate_")
_OF_GATES = "beadflow.gate:"
"""With which the names of the signals begin that carry the answers of gates."""

_BEGINNING = frozenset({"workflow_queued", "workflow_started", "workflow_retried"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: where it is, who does it, and what it said last."""

    name: str
    state: StepState
    agent: str = ""
    attempt: int = 1
    started_at: datetime | None = None
    seconds: float | None = None
    message: str = ""
    fraction: float | None = None

    def elapsed_s(self, now: datetime) -> float | None:
        """Its own measure once it ended; until then the time since its start."""
        if self.seconds is not None or self.started_at is None:
            return self.seconds
        return max((now - self.started_at).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The steps in the order of their start, and the last thing the log said."""

    steps: tuple[Step, ...] = ()
    seq: int = 0
    said: str = ""
    ended: bool = False


def apply(progress: Progress, event: Event) -> Progress:
    """The progress after this event."""
    if event.seq <= progress.seq:
        return progress
    progress = replace(progress, seq=event.seq)
    if event.type.startswith(_STEPS):
        return replace(progress, steps=_with_step(progress.steps, event))
    if event.type == "log":
        return replace(progress, said=printable.line(records.text(event.data, "message")))
    if event.type in _ENDING or event.type in _BEGINNING:
        return replace(progress, ended=event.type in _ENDING)
    return progress


def apply_all(progress: Progress, events: Iterable[Event]) -> Progress:
    for event in events:
        progress = apply(progress, event)
    return progress


def describe(event: Event) -> str:
    """An event in one line, for those who do not watch on a terminal."""
    parts = (
        when.moment(event.at),
        f"{printable.line(event.type):<18}",
        _step_name(event) if event.type.startswith(_STEPS) else "",
        _labelled("agent", records.text(event.data, "agent_id")),
        _labelled("attempt", _later_attempt(event)),
        _labelled("issue", event.issue_id if event.type.startswith("issue_") else ""),
        _gate(event),
        _percent(records.number(event.data, "fraction")),
        _took(records.number(event.data, "seconds")),
        _labelled("until", when.moment(records.text(event.data, "fire_at"))),
        _labelled("signal", _signal_name(event)),
        printable.line(records.text(event.data, "level")),
        printable.line(records.text(event.data, "message")),
        printable.line(records.text(event.data, "reason")),
    )
    return " ".join(part for part in parts if part).rstrip()


def _with_step(steps: tuple[Step, ...], event: Event) -> tuple[Step, ...]:
    name = _step_name(event)
    if event.type == "step_cancelled":  # it names no activity, only the number
        name = next((s.name for s in steps if s.name.partition(" ")[0] == name), name)
    known = next((step for step in steps if step.name == name), None)
    after = _after(known or Step(name=name, state="running"), event)
    if known is None:
        return (*steps, after)
    return tuple(after if step.name == name else step for step in steps)


def _after(step: Step, event: Event) -> Step:
    data = event.data
    message = printable.line(records.text(data, "message")) or _gate(event)
    step = replace(
        step,
        agent=printable.line(records.text(data, "agent_id")) or step.agent,
        attempt=records.whole(data, "attempt") or step.attempt,
        message=message or step.message,
    )
    match event.type:
        case "step_started":
            began = replace(step, message=message, fraction=None, seconds=None)
            state: StepState = "running" if step.attempt <= 1 else "retrying"
            return replace(began, state=state, started_at=when.parse(event.at))
        case "step_progress":
            return replace(step, fraction=records.number(data, "fraction"))
        case "step_retried":
            return replace(step, state="retrying", fraction=None)
        case "timer_started" | "child_started" | "gate_requested":
            return replace(step, started_at=when.parse(event.at))
        case "step_completed" | "timer_fired" | "child_completed" | "gate_answered":
            return replace(step, state="done", fraction=None, seconds=_spent_s(step, event))
        case "step_failed" | "child_failed":
            return replace(step, state="failed", fraction=None, seconds=_spent_s(step, event))
        case "step_cancelled" | "gate_withdrawn":
            return replace(step, state="cancelled", fraction=None, seconds=_spent_s(step, event))
        case _:
            return step


def _spent_s(step: Step, event: Event) -> float | None:
    told = records.number(event.data, "seconds")
    ended_at = when.parse(event.at)
    if told is not None or ended_at is None:
        return told
    return step.elapsed_s(ended_at)


def _step_name(event: Event) -> str:
    step = printable.line(records.text(event.data, "step"))
    activity = printable.line(_what(event))
    # Steps are often plain numbers; then only the activity's name means something to a reader.
    return f"{step} {activity}".strip() if activity and activity not in step else step or activity


def _what(event: Event) -> str:
    """The activity's name, or what else the step is."""
    kind = event.type.partition("_")[0]
    match kind:
        case "timer" | "gate":
            return kind
        case "child":
            return f"{kind} {records.text(event.data, 'type')}".strip()
        case _:
            return records.text(event.data, "activity")


def _gate(event: Event) -> str:
    """The question of a gate and how to answer it, or what the answer was."""
    data = event.data
    title = printable.line(records.text(data, "title"))
    match event.type:
        case "gate_opened":
            return f"{title} (beadflow gate approve {printable.line(event.issue_id)})"
        case "gate_answered":
            word = "approved" if data.get("approved") is True else "rejected"
            by = _labelled("by", records.text(data, "by"))
            why = printable.line(records.text(data, "why"))
            return " ".join(part for part in (word, by, why) if part)
        case "gate_requested" | "gate_withdrawn":
            return title
        case _:
            return ""


def _signal_name(event: Event) -> str:
    named = event.type in {"workflow_signaled", "signal_consumed"}
    name = records.text(event.data, "name") if named else ""
    return "" if name.startswith(_OF_GATES) else name


def _later_attempt(event: Event) -> str:
    attempt = records.whole(event.data, "attempt") or 1
    return str(attempt) if attempt > 1 else ""


def _labelled(label: str, value: str) -> str:
    return f"{label} {printable.line(value)}" if value else ""


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.0%}"


def _took(seconds: float | None) -> str:
    return "" if seconds is None else f"in {when.duration(seconds)}"
