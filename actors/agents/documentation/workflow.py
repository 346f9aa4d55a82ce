"""The documentation workflow: pages, coverage, review, changes of the API, and the update."""

from actors.agents.documentation.agent import DocumentationAgent
from actors.agents.documentation.messages import (
    ApiChangesRequest,
    CoverageRequest,
    DocumentationReport,
    DocumentationRequest,
    GenerateRequest,
    ReportRequest,
    ReviewRequest,
    UpdateRequest,
)
from actors.workflows.context import Context
from actors.workflows.definition import workflow


@workflow(name="documentation", agent_type="documentation")
async def documentation(ctx: Context, request: DocumentationRequest) -> DocumentationReport:
    """Say what is missing or wrong in a project's documents, and mend what can be on a branch."""
    generated = await ctx.activity(
        DocumentationAgent.generate,
        GenerateRequest(
            ref=request.ref,
            packages=request.packages,
            pages=request.pages,
            branch=request.branch if request.update else None,
        ),
    )
    ref = generated.commit  # the branch may move on meanwhile
    coverage = await ctx.activity(
        DocumentationAgent.coverage,
        CoverageRequest(
            ref=ref, packages=request.packages, minimum_percent=request.minimum_percent
        ),
    )
    review = await ctx.activity(
        DocumentationAgent.review,
        ReviewRequest(
            ref=ref, packages=request.packages, checks=request.checks, run_code=request.run_code
        ),
    )
    changes = update = None
    if request.base is not None:
        changes = await ctx.activity(
            DocumentationAgent.api_changes,
            ApiChangesRequest(ref=ref, packages=request.packages, base=request.base),
        )
    if request.update:
        update = await ctx.activity(
            DocumentationAgent.update,
            UpdateRequest(
                ref=ref,
                packages=request.packages,
                branch=request.branch,
                pages=request.pages,
                repairs=review.repairs,
                changelog=changes.changelog if changes else "",
            ),
        )
    return await ctx.activity(
        DocumentationAgent.report,
        ReportRequest(
            generated=generated, coverage=coverage, review=review, changes=changes, update=update
        ),
    )
