"""`beadflow analytics …`: what happened in a period. From a server, or from the stores without one.

Times and periods are the server's; here they are only put into words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Group, Parameter

from cli import discovery, moments, records, table, when
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.output import Output

app = App(
    name="analytics",
    help="Count what happened in a period.",
    help_epilogue="Example:\n\n  beadflow analytics performance 7d",
)

Given = Annotated[Output, Parameter(parse=False)]
Length = Annotated[
    str | None,
    Parameter(name="PERIOD", help="How long: a number and m, h, d or w; 24h by default."),
]
Limit = Annotated[
    int | None, WHOLE, Parameter(name=["--limit", "-n"], help="At most so many groups.")
]

PLACE: Final = "/api/v1/analytics"

_SPAN: Final = Group("Which period", sort_key=50)
_GROUP_HELP = "What to divide it by."
_WORKFLOW_COLUMNS: Final = (
    table.Column("started", right=True),
    table.Column("ended", right=True),
    table.Column("completed", right=True),
    table.Column("failed", right=True),
    table.Column("success", right=True),
    table.Column("per hour", right=True),
    table.Column("queue p50", right=True),
    table.Column("queue p95", right=True),
    table.Column("run p50", right=True),
    table.Column("run p95", right=True),
)
_STEP_COLUMNS: Final = (
    table.Column("completed", right=True),
    table.Column("failed", right=True),
    table.Column("retried", right=True),
    table.Column("success", right=True),
    table.Column("p50", right=True),
    table.Column("p95", right=True),
    table.Column("tokens", right=True),
    table.Column("cost", right=True),
)
_AGENT_COLUMNS: Final = (
    table.Column("type"),
    table.Column("given", right=True),
    table.Column("handed on", right=True),
    table.Column("taken away", right=True),
    table.Column("busy", right=True),
    table.Column("load", right=True),
    table.Column("steps", right=True),
    table.Column("failed", right=True),
    table.Column("retried", right=True),
    table.Column("tokens", right=True),
    table.Column("cost", right=True),
)


@Parameter(name="*", group=_SPAN)
@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where the period begins or ends, where that is not now."""

    since: moments.Moment = None
    "From this moment on, such as -2d."

    until: moments.Moment = None
    "Up to this moment."

    def params(self, length: str | None) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "period": length,
            "since": moments.given("--since", self.since, now),
            "until": moments.given("--until", self.until, now),
        }


LAST: Final = Span()


@app.command(help_epilogue="Example:\n\n  beadflow analytics performance 7d --group-by activity")
def performance(
    length: Length = None,
    /,
    *,
    group_by: Annotated[
        Literal["activity", "agent", "minute", "hour", "day"] | None, Parameter(help=_GROUP_HELP)
    ] = None,
    limit: Limit = None,
    span: Span = LAST,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Show what a period came to: workflows, steps, times, and what models used."""
    answer = _ask("performance", where, {**span.params(length), "group_by": group_by}, limit)
    if out.json:
        out.envelope("analytics.performance", answer)
        return ExitCode.OK
    grouped = group_by is not None
    if not (grouped and out.form == "csv"):
        out.fields(_performance(answer))
    if grouped:
        if out.form != "csv":
            out.text("")
        heading = (table.Column(str(group_by)), *_STEP_COLUMNS)
        out.table(heading, [_work(each) for each in _groups(answer)])
    return _end(out, answer)


@app.command(help_epilogue="Example:\n\n  beadflow analytics workflows 30d --group-by day")
def workflows(
    length: Length = None,
    /,
    *,
    group_by: Annotated[
        Literal["type", "agent", "agent_type", "status", "priority", "minute", "hour", "day"],
        Parameter(help=_GROUP_HELP),
    ] = "type",
    limit: Limit = None,
    span: Span = LAST,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Show the workflows of a period by group."""
    answer = _ask("workflows", where, {**span.params(length), "group_by": group_by}, limit)
    if out.json:
        out.envelope("analytics.workflows", answer)
        return ExitCode.OK
    heading = (table.Column(group_by.replace("_", " ")), *_WORKFLOW_COLUMNS)
    rows = [(_key(each), *_counts(_part(each, "workflows"))) for each in _groups(answer)]
    out.table(heading, rows)
    if not rows:
        out.note("no workflows")
    return _end(out, answer)


@app.command(help_epilogue="Example:\n\n  beadflow analytics agents 24h")
def agents(
    length: Length = None,
    /,
    *,
    group_by: Annotated[Literal["agent", "agent_type"], Parameter(help=_GROUP_HELP)] = "agent",
    limit: Limit = None,
    span: Span = LAST,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Show what each agent did in a period."""
    answer = _ask("agents", where, {**span.params(length), "group_by": group_by}, limit)
    if out.json:
        out.envelope("analytics.agents", answer)
        return ExitCode.OK
    heading = (table.Column(group_by.replace("_", " ")), *_AGENT_COLUMNS)
    rows = [_agent(each) for each in _groups(answer)]
    out.table(heading, rows)
    if not rows:
        out.note("no agent did anything")
    return _end(out, answer)


@app.command(help_epilogue="Example:\n\n  beadflow analytics trends 7d --group-by day")
def trends(
    length: Length = None,
    /,
    *,
    group_by: Annotated[
        Literal["minute", "hour", "day"] | None, Parameter(help="How long a line of it is.")
    ] = None,
    span: Span = LAST,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Show how a period went, and how it compares with the one before."""
    answer = _ask("trends", where, {**span.params(length), "group_by": group_by}, None)
    if out.json:
        out.envelope("analytics.trends", answer)
        return ExitCode.OK
    buckets = [records.mapping(raw, "a bucket") for raw in answer.get("buckets", [])]
    heading = (table.Column("since"), *_WORKFLOW_COLUMNS)
    rows = [
        (when.moment(records.text(each, "since")), *_counts(_part(each, "workflows")))
        for each in buckets
    ]
    out.table(heading, rows)
    if out.form != "csv":
        out.text("")
        out.fields(_compared(answer))
    return ExitCode.OK


def _ask(what: str, where: Where, asked: Mapping[str, Any], limit: int | None) -> Mapping[str, Any]:
    params = {name: value for name, value in asked.items() if value is not None}
    if limit is not None:
        params["limit"] = limit
    with discovery.source(where) as source:
        return records.mapping(source.get(f"{PLACE}/{what}", params), "an answer")


def _end(out: Output, answer: Mapping[str, Any]) -> int:
    if answer.get("is_cut"):
        out.note("there are more groups than these")
    return ExitCode.OK


def _performance(answer: Mapping[str, Any]) -> dict[str, str]:
    found, done, spent = (_part(answer, name) for name in ("workflows", "steps", "usage"))
    ends = ("completed", "failed", "cancelled", "terminated")
    return {
        "period": _period(answer),
        "started": _number(found, "started"),
        "ended": f"{_number(found, 'ended')} ({_ends(found, ends)})",
        "success": _share(found),
        "per hour": _number(found, "per_hour"),
        "queue": _spread(found, "queue_s"),
        "run": _spread(found, "run_s"),
        "steps": _ends(done, ("completed", "failed", "retried")),
        "tokens": _tokens(spent),
        "cost": _cost(spent),
        "open now": _ends(_part(answer, "now"), tuple(_part(answer, "now"))),
    }


def _compared(answer: Mapping[str, Any]) -> dict[str, str]:
    now, then, change = (_part(answer, name) for name in ("total", "before", "change"))
    return {
        name.removesuffix("_s").replace("_", " "): _one_compared(
            now.get(name), then.get(name), change.get(name)
        )
        for name in now
    }


def _one_compared(now: Any, then: Any, change: Any) -> str:
    by = f", {change:+.1%}" if isinstance(change, int | float) else ""
    return f"{_shown(now)} (before: {_shown(then)}{by})"


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _period(answer: Mapping[str, Any]) -> str:
    span = _part(answer, "period")
    return (
        f"{when.moment(records.text(span, 'since'))} to {when.moment(records.text(span, 'until'))}"
    )


def _counts(found: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        _number(found, "started"),
        _number(found, "ended"),
        _number(found, "completed"),
        _number(found, "failed"),
        _share(found),
        _number(found, "per_hour"),
        _time(_part(found, "queue_s"), "p50"),
        _time(_part(found, "queue_s"), "p95"),
        _time(_part(found, "run_s"), "p50"),
        _time(_part(found, "run_s"), "p95"),
    )


def _work(group: Mapping[str, Any]) -> tuple[str, ...]:
    steps, spent = _part(group, "steps"), _part(group, "usage")
    return (
        _key(group),
        _number(steps, "completed"),
        _number(steps, "failed"),
        _number(steps, "retried"),
        _share(steps),
        _time(_part(steps, "seconds"), "p50"),
        _time(_part(steps, "seconds"), "p95"),
        _tokens(spent),
        _cost(spent),
    )


def _agent(group: Mapping[str, Any]) -> tuple[str, ...]:
    spent = _part(group, "usage")
    return (
        _key(group),
        records.text(group, "agent_type"),
        _number(group, "assignments"),
        _number(group, "handed_on"),
        _number(group, "taken_away"),
        _time(group, "busy_s"),
        _number(group, "load"),
        _number(group, "completed"),
        _number(group, "failed"),
        _number(group, "retried"),
        _tokens(spent),
        _cost(spent),
    )


def _groups(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [records.mapping(raw, "a group") for raw in answer.get("groups", [])]


def _part(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object within; nothing where it is null."""
    return records.mapping(found.get(name) or {}, name)


def _key(group: Mapping[str, Any]) -> str:
    return records.text(group, "key") or "-"


def _number(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return f"{value:g}" if isinstance(value, float) else str(value or 0)


def _share(found: Mapping[str, Any]) -> str:
    value = found.get("success_rate")
    return f"{value:.1%}" if isinstance(value, int | float) else ""


def _time(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return when.duration(value) if isinstance(value, int | float) else ""


def _spread(found: Mapping[str, Any], name: str) -> str:
    times = _part(found, name)
    shown = (f"{part} {_time(times, part)}" for part in ("p50", "p95", "p99", "max"))
    return ", ".join(shown) if times else ""


def _ends(found: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return ", ".join(f"{found.get(name, 0)} {name}" for name in names)


def _tokens(spent: Mapping[str, Any]) -> str:
    """What went into models and what came out of them."""
    if not spent.get("calls"):
        return ""
    return f"{spent.get('input_tokens', 0)} in, {spent.get('output_tokens', 0)} out"


def _cost(spent: Mapping[str, Any]) -> str:
    value = spent.get("cost_usd")
    return f"${value:.2f}" if isinstance(value, int | float) else ""
