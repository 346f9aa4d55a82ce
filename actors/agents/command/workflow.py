"""The command workflow: turn after turn until the work is done, or somebody has to look at it."""

from actors.agents.command.agent import CommandAgent
from actors.agents.command.messages import (
    CloseRequest,
    Closing,
    CommandReport,
    CommandRequest,
    Status,
    Turn,
    TurnRequest,
    Work,
)
from actors.agents.command.plan import WARN_SHARE, Another, End, plan, spent
from actors.agents.kit.outcome import Skipped
from actors.workflows.context import Context
from actors.workflows.definition import workflow


@workflow(name="command", agent_type="command")
async def command(ctx: Context, request: CommandRequest) -> CommandReport:
    """Have a headless coding program, or any command, do a piece of work on a branch of its own."""
    turns: list[Turn] = []
    waited_s = 0.0
    following: Another | End = Another(request.prompt)
    ctx.on_query("usage", lambda: spent(turns).model_dump())
    while isinstance(following, Another):
        if following.after_s:
            waited_s += following.after_s
            ctx.log(f"waiting {following.after_s:.0f} s for a limit to end")
            await ctx.sleep(following.after_s)
        asked = _turn(ctx, request, following.prompt, len(turns) + 1)
        turns.append(await ctx.activity(CommandAgent.turn, asked))
        _warn(ctx, request, turns)
        following = plan(request, turns, ctx.now())
    report = _report(turns, following, waited_s)
    if request.sandbox:
        return report  # somebody else works in it, too
    # Where it is not done, somebody has to look at what there is.
    close = CloseRequest(sandbox=asked.session, only_unused=report.status is not Status.DONE)
    closing = await ctx.activity(CommandAgent.close, close)
    return report.model_copy(update={"skipped": (*report.skipped, *_kept(closing))})


def _turn(ctx: Context, request: CommandRequest, prompt: str, number: int) -> TurnRequest:
    work = {name: getattr(request, name) for name in Work.model_fields}
    return TurnRequest(
        **{**work, "prompt": prompt},
        session=request.session or ctx.workflow_id,
        sandbox=request.sandbox,
        number=number,
    )


def _warn(ctx: Context, request: CommandRequest, turns: list[Turn]) -> None:
    """Say once that most of the budget is spent."""
    before, after = (request.budget.share(spent(some)) for some in (turns[:-1], turns))
    if before < WARN_SHARE <= after:
        ctx.log(f"{after:.0%} of the workflow's budget is spent", level="warning")


def _kept(closing: Closing) -> tuple[Skipped, ...]:
    return (Skipped(what="removing the work tree", why=closing.kept),) if closing.kept else ()


def _report(turns: list[Turn], end: End, waited_s: float) -> CommandReport:
    last, usage = turns[-1], spent(turns)
    count = f"{len(turns)} turn" + "s" * (len(turns) > 1)
    where = f" on {last.branch}" if last.branch else ""
    said = f": {end.why}" if end.why else ""
    return CommandReport(
        summary=f"{end.status.value} after {count}{where}, {usage}{said}",
        findings=tuple(finding for turn in turns for finding in turn.findings),
        skipped=tuple(skipped for turn in turns for skipped in turn.skipped),
        artifacts=tuple(file for turn in turns for file in turn.artifacts),
        metrics={**usage.metrics(), "turns": len(turns), "waited_seconds": waited_s},
        status=end.status,
        code=end.code,
        why=end.why,
        text=last.text,
        preset=last.preset,
        session=last.session,
        branch=last.branch,
        base=last.base,
        head=last.head,
        turns=len(turns),
        waited_s=waited_s,
        usage=usage,
        checklist=last.checklist,
    )
