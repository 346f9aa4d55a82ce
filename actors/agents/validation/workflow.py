"""The validation workflow: tests, review, coverage and criteria, then the verdict over all."""

from actors.agents.validation.agent import ValidationAgent
from actors.agents.validation.messages import (
    AcceptRequest,
    CoverageRequest,
    ReportRequest,
    ReviewRequest,
    TestRequest,
    Validation,
    ValidationRequest,
)
from actors.workflows.context import Context
from actors.workflows.definition import workflow


@workflow(name="validation", agent_type="validation")
async def validation(ctx: Context, request: ValidationRequest) -> Validation:
    """Say whether a commit passes: run its tests, review what it changes, check its criteria."""
    minimum = request.minimum_coverage
    tests = await ctx.activity(
        ValidationAgent.run_tests,
        TestRequest(
            ref=request.ref,
            command=request.command,
            reports=request.reports,
            coverage=minimum is not None,
            base=request.base,
            issue_id=request.issue_id,
        ),
    )
    ref = tests.commit  # the branch may move on meanwhile
    review = await ctx.activity(
        ValidationAgent.static_review, ReviewRequest(ref=ref, base=request.base)
    )
    coverage = None
    if minimum is not None and review.base is not None:
        coverage = await ctx.activity(
            ValidationAgent.coverage_gate,
            CoverageRequest(ref=ref, base=review.base, coverage=tests.coverage, minimum=minimum),
        )
    acceptance = None
    if request.issue_id or request.criteria:
        acceptance = await ctx.activity(
            ValidationAgent.accept,
            AcceptRequest(ref=ref, issue_id=request.issue_id, criteria=request.criteria),
        )
    return await ctx.activity(
        ValidationAgent.report,
        ReportRequest(
            ref=request.ref,
            tests=tests,
            review=review,
            coverage=coverage,
            acceptance=acceptance,
            issue_id=ctx.issue_id,
            follow_ups=request.follow_ups,
        ),
    )
