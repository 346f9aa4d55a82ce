"""The workflow `poc`: sandbox, change, build, tests, measurement, result."""

from actors.agents.command.messages import CommandReport, CommandRequest, Status
from actors.agents.command.workflow import command
from actors.agents.poc.agent import PocAgent
from actors.agents.poc.messages import (
    BenchmarkRequest,
    BuildRequest,
    ImplementRequest,
    Packaged,
    PackageRequest,
    PocRequest,
    SandboxReady,
    SandboxRequest,
    TestRequest,
)
from actors.workflows.context import Context
from actors.workflows.definition import workflow
from actors.workflows.execution import CancelledError
from actors.workflows.steps import ActivityError
from actors.workflows.waits import ChildError


@workflow(name="poc", agent_type="poc")
async def poc(ctx: Context, request: PocRequest) -> Packaged:
    """Try something out on a branch of its own, and say whether it works."""
    prepared = await ctx.activity(
        PocAgent.sandbox,
        SandboxRequest(ref=request.ref, branch=request.branch, install=request.install),
    )
    try:
        tried = await _try(ctx, request, prepared)
    except (ActivityError, ChildError, CancelledError) as error:
        tidy = PackageRequest(
            title=request.title, prepared=prepared, unfinished=str(error), drop_branch=True
        )
        await ctx.activity(PocAgent.package_result, tidy)
        raise
    return await ctx.activity(PocAgent.package_result, tried)


async def _try(ctx: Context, request: PocRequest, prepared: SandboxReady) -> PackageRequest:
    """Change, build, test and measure, as far as that is asked for."""
    implemented = built = tested = benchmarked = None
    unfinished = ""
    if request.patch or request.files or request.template:
        change = ImplementRequest(
            message=request.title,
            patch=request.patch,
            files=request.files,
            template=request.template,
        )
        implemented = await ctx.activity(PocAgent.implement, change)
    if request.prompt or request.command:
        unfinished = await _commanded(ctx, request, prepared.key)
    if request.build:
        built = await ctx.activity(PocAgent.build, BuildRequest(command=request.build_command))
    if request.test:
        suite = TestRequest(command=request.test_command, reruns=request.reruns)
        tested = await ctx.activity(PocAgent.test, suite)
    if request.benchmark:
        speed = BenchmarkRequest(
            baseline=request.baseline,
            benches=request.benches,
            rounds=request.rounds,
            tolerance=request.tolerance,
        )
        benchmarked = await ctx.activity(PocAgent.benchmark, speed)
    return PackageRequest(
        title=request.title,
        prepared=prepared,
        implemented=implemented,
        built=built,
        tested=tested,
        benchmarked=benchmarked,
        unfinished=unfinished,
        close=request.close,
    )


async def _commanded(ctx: Context, request: PocRequest, key: str) -> str:
    """Have the command agent change the same work tree; answers why it is not done, if so."""
    report: CommandReport = await ctx.child(
        command,
        CommandRequest(
            prompt=request.prompt,
            preset=request.preset,
            command=request.command,
            sandbox=key,
            commit_message=request.title,
        ),
    )
    return "" if report.status is Status.DONE else report.why or report.summary
