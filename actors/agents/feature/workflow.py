"""The workflow `feature`: research, a person's word, a proof of concept, validation, documents.

The stages are the workflows of the agents themselves, run one after the other as parts of this one:
their steps are steps of one workflow, which goes from agent to agent as the next step needs it, and
all of them work on one branch.
"""

from typing import Final

from actors.agents.documentation.messages import DocumentationReport, DocumentationRequest
from actors.agents.documentation.workflow import documentation
from actors.agents.feature.messages import Feature, FeatureRequest
from actors.agents.feature.report import Course, proposal, report
from actors.agents.poc.agent import PocAgent
from actors.agents.poc.messages import Packaged
from actors.agents.poc.messages import Verdict as Tried
from actors.agents.poc.workflow import poc
from actors.agents.research.messages import ProjectReport, Report, ResearchRequest
from actors.agents.research.workflow import research
from actors.agents.validation.messages import Validation, ValidationRequest, Verdict
from actors.agents.validation.workflow import validation
from actors.workflows.context import Context
from actors.workflows.definition import workflow
from actors.workflows.gates import DESCRIPTION_BYTES, TITLE_BYTES, Decision

MORE: Final = "\n\n…"


@workflow(name="feature", agent_type="research", agents=("poc", "validation", "documentation"))
async def feature(ctx: Context, request: FeatureRequest) -> Feature:
    """Carry a change from the first question to a branch that is built, tested and documented.

    A person is asked before anything is built, and again where validation cannot tell.
    """
    course = Course()
    course.found = found = await _look_into(ctx, request)
    if ctx.version("checked before anybody is asked", 0, 1) > 0:
        await ctx.activity(PocAgent.check, request.trial())
    proposed = proposal(request, found)
    if not await _is_wanted(ctx, request, course, f"Build it? {request.title}", proposed):
        return report(request, course)
    course.tried = tried = await _try_out(ctx, request)
    if tried.verdict is Tried.FAIL:
        return report(request, course)
    course.judged = judged = await _validate(ctx, request, tried)
    if judged.verdict is Verdict.FAIL:
        return report(request, course)
    if judged.verdict is Verdict.NEEDS_HUMAN:
        title = f"Accept it? {request.title}"
        if not await _is_wanted(ctx, request, course, title, judged.markdown):
            return report(request, course)
    course.written = await _document(ctx, request, tried)
    return report(request, course)


async def _look_into(ctx: Context, request: FeatureRequest) -> ProjectReport | Report:
    question = request.question or request.title
    return await research(ctx, ResearchRequest(question=question, candidates=request.candidates))


async def _is_wanted(
    ctx: Context, request: FeatureRequest, course: Course, title: str, text: str
) -> bool:
    """Ask a person."""
    decision: Decision = await ctx.gate(
        _cut(title, TITLE_BYTES),
        description=_cut(text, DESCRIPTION_BYTES),
        timeout_s=request.decide_within_s,
    )
    course.decisions.append(decision)
    return decision.approved


async def _try_out(ctx: Context, request: FeatureRequest) -> Packaged:
    return await poc(ctx, request.trial())


async def _validate(ctx: Context, request: FeatureRequest, tried: Packaged) -> Validation:
    return await validation(
        ctx,
        ValidationRequest(
            ref=tried.commit,
            base=tried.base,
            command=request.test_command,
            minimum_coverage=request.minimum_coverage,
            issue_id=request.issue_id,
            criteria=request.criteria,
        ),
    )


async def _document(ctx: Context, request: FeatureRequest, tried: Packaged) -> DocumentationReport:
    return await documentation(
        ctx,
        DocumentationRequest(
            ref=tried.branch, base=tried.base, branch=tried.branch, pages=request.pages
        ),
    )


def _cut(text: str, most: int) -> str:
    """A text that a gate takes: at most so many bytes."""
    shown = text.replace("\0", "").encode(errors="replace")
    if len(shown) <= most:
        return shown.decode()
    return shown[: most - len(MORE.encode())].decode(errors="ignore") + MORE
