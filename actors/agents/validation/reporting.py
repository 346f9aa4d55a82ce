"""Draws everything together: the verdict, the follow-up issues, and the files of the report."""

from typing import Final

from actors.agents.kit.followups import MOST, Opened, open_followups
from actors.agents.kit.outcome import Outcome, Skipped, StoredFile
from actors.agents.kit.prose import prose
from actors.agents.protocol import Task
from actors.agents.validation.messages import ReportRequest, Validation, shown
from actors.agents.validation.report import render
from actors.agents.validation.verdict import follow_ups, judge
from supervision import Target

MARKDOWN: Final = "validation.md"
JSON: Final = "validation.json"
LABEL: Final = "validation"
_TOLD: Final = 20
_INSTRUCTION: Final = (
    "Say in a few sentences what this validation of a commit came to, what is wrong, and what has "
    "to be done first."
)


async def report(task: Task, tracker: Target, request: ReportRequest, *, actor: str) -> Validation:
    """Say what validation comes to; files and issues are durable when this returns.

    Args:
        task: stores the files.
        tracker: the actor that knows the issues.
        request: what was found out.
        actor: who is recorded as the creator of issues.
    """
    verdict, reasons = judge(request)
    wanted = follow_ups(request) if request.follow_ups else ()
    issues: tuple[Opened, ...] = ()
    if wanted:
        task.progress("opening follow-up issues", 0.3)
        issues = await open_followups(
            tracker, task, wanted, actor=actor, origin=request.issue_id, labels=(LABEL,)
        )
    parts = _parts(request)
    draft = Validation(
        summary=f"{verdict.value}: {' '.join(reason.text for reason in reasons)}",
        findings=shown([finding for part in parts for finding in part.findings]),
        artifacts=tuple(file for part in parts for file in part.artifacts),
        metrics={name: value for part in parts for name, value in part.metrics.items()},
        evidence=tuple(seen for part in parts for seen in part.evidence),
        skipped=(*(one for part in parts for one in part.skipped), *_left_out(len(wanted))),
        ref=request.ref,
        commit=_commit(request),
        verdict=verdict,
        reasons=reasons,
        criteria=request.acceptance.criteria if request.acceptance else (),
        issues=issues,
        markdown="",
    )
    draft = draft.model_copy(update={"words": await _words(task, draft)})
    whole = draft.model_copy(update={"markdown": render(draft, request)})
    task.progress("storing the report", 0.8)
    page = await task.artifact(MARKDOWN, whole.markdown.encode("utf-8", "replace"))
    data = await task.artifact(JSON, whole.model_dump_json(indent=2).encode())
    files = (StoredFile(**page), StoredFile(**data))
    return whole.model_copy(update={"artifacts": (*whole.artifacts, *files)})


async def _words(task: Task, draft: Validation) -> str:
    """What a model says about the facts; "" without one."""
    facts = {
        "verdict": draft.verdict,
        "reasons": draft.reasons,
        "findings": draft.findings[:_TOLD],
        "criteria": draft.criteria[:_TOLD],
        "not_checked": draft.skipped[:_TOLD],
    }
    return await prose(task, _INSTRUCTION, facts) or ""


def _parts(request: ReportRequest) -> list[Outcome]:
    every = (request.tests, request.review, request.coverage, request.acceptance)
    return [part for part in every if part is not None]


def _left_out(wanted: int) -> tuple[Skipped, ...]:
    if wanted <= MOST:
        return ()
    what = f"{wanted - MOST} follow-up issues"
    return (Skipped(what=what, why=f"one validation opens {MOST} at most"),)


def _commit(request: ReportRequest) -> str:
    named = (part.commit for part in (request.tests, request.review) if part is not None)
    return next(named, "")
