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
    SandboxRequest,
    TestRequest,
)
from actors.workflows.context import Context
from actors.workflows.definition import workflow


@workflow(name="poc", agent_type="poc")
async def poc(ctx: Context, request: PocRequest) -> Packaged:
    """Try something out on a branch of its own, and say whether it works."""
    sandbox = await ctx.activity(
        PocAgent.sandbox,
        SandboxRequest(ref=request.ref, branch=request.branch, install=request.install),
    )
    implemented = None
    if request.patch or request.files or request.template:
        implemented = await ctx.activity(
            PocAgent.implement,
            ImplementRequest(
                message=request.title,
                patch=request.patch,
                files=request.files,
                template=request.template,
            ),
        )
    unfinished = ""
    if request.prompt or request.command:
        unfinished = await _commanded(ctx, request, sandbox.key)
    built = tested = benchmarked = None
    if request.build:
        built = await ctx.activity(PocAgent.build, BuildRequest(command=request.build_command))
    if request.test:
        tested = await ctx.activity(
            PocAgent.test, TestRequest(command=request.test_command, reruns=request.reruns)
        )
    if request.benchmark:
        benchmarked = await ctx.activity(
            PocAgent.benchmark,
            BenchmarkRequest(
                baseline=request.baseline,
                benches=request.benches,
                rounds=request.rounds,
                tolerance=request.tolerance,
            ),
        )
    return await ctx.activity(
        PocAgent.package_result,
        PackageRequest(
            title=request.title,
            prepared=sandbox,
            implemented=implemented,
            built=built,
            tested=tested,
            benchmarked=benchmarked,
            unfinished=unfinished,
            close=request.close,
        ),
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
