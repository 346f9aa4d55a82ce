"""The validation agent: shows whether a commit does what was asked.

It works on the files of a commit in a work tree of its own and never in the user's. It needs no
model and no network; what the project's tests do is theirs.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from actors.agents.kit.beating import BEAT_S, beating
from actors.agents.protocol import Agent, Task
from actors.agents.validation.acceptance import accept
from actors.agents.validation.coverage import gate
from actors.agents.validation.messages import (
    AcceptOutcome,
    AcceptRequest,
    CoverageOutcome,
    CoverageRequest,
    ReportRequest,
    ReviewOutcome,
    ReviewRequest,
    TestOutcome,
    TestRequest,
    Validation,
)
from actors.agents.validation.reporting import report
from actors.agents.validation.review import review
from actors.agents.validation.testing import run_tests
from actors.errors import NotFound
from actors.issues.messages import GetIssue, Issue
from actors.workflows.definition import ActivityFailure, RetryPolicy, activity
from supervision import ask

SILENT_S: Final = 12 * BEAT_S
LONG_S: Final = 7200.0
_AGAIN: Final = RetryPolicy(
    attempts=3, initial_s=1.0, non_retryable=("Conflict", "NotFound", "ValidationError")
)
_ASK_S: Final = 10.0


class ValidationConfig(BaseModel):
    """What an instance can be set up with."""

    model_config = ConfigDict(extra="forbid")

    tests_s: float = Field(
        default=1800.0, gt=0, le=LONG_S - 600, description="seconds that the tests may take"
    )
    tool_s: float = Field(
        default=300.0, gt=0, le=1800.0, description="seconds that one tool or command may take"
    )
    mypy_plugins: bool = Field(
        default=False,
        description="let mypy load the plug-ins that a project names, which are programs",
    )


class ValidationAgent(Agent):
    """Shows whether a commit does what was asked: tests, review, coverage, criteria."""

    agent_type = "validation"
    Config = ValidationConfig

    async def configure(self, config: BaseModel) -> None:
        """Take effect with the next task."""

    @activity(timeout_s=LONG_S, heartbeat_timeout_s=SILENT_S, retry=_AGAIN)
    async def run_tests(self, task: Task, request: TestRequest) -> TestOutcome:
        """Run the tests of a commit and store their results as JUnit."""
        deadline_s = self.config.tests_s
        if request.issue_id:
            await self._issue(request.issue_id)
        return await beating(task, lambda: run_tests(task, request, deadline_s=deadline_s))

    @activity(timeout_s=LONG_S, heartbeat_timeout_s=SILENT_S, retry=_AGAIN)
    async def static_review(self, task: Task, request: ReviewRequest) -> ReviewOutcome:
        """Review the changed lines with ruff, mypy and bandit; store the findings as SARIF."""
        config = self.config
        return await beating(
            task,
            lambda: review(task, request, deadline_s=config.tool_s, plugins=config.mypy_plugins),
        )

    @activity(timeout_s=1200.0, heartbeat_timeout_s=SILENT_S, retry=_AGAIN)
    async def coverage_gate(self, task: Task, request: CoverageRequest) -> CoverageOutcome:
        """Tell how many of the changed lines the tests run, and whether that is enough."""
        results, deadline_s = self.system.named("results"), self.config.tool_s
        return await beating(task, lambda: gate(task, results, request, deadline_s=deadline_s))

    @activity(timeout_s=LONG_S, heartbeat_timeout_s=SILENT_S, retry=_AGAIN)
    async def accept(self, task: Task, request: AcceptRequest) -> AcceptOutcome:
        """Check acceptance criteria, those of an issue or those given, with evidence for each."""
        text, deadline_s = await self._criteria(request), self.config.tool_s
        return await beating(task, lambda: accept(task, request, text, deadline_s=deadline_s))

    @activity(timeout_s=300.0, retry=_AGAIN)
    async def report(self, task: Task, request: ReportRequest) -> Validation:
        """Give the verdict with its reasons, store the report, open follow-up issues."""
        return await report(task, self.system.named("tracker"), request, actor=self.agent_id)

    async def _criteria(self, request: AcceptRequest) -> str:
        """The criteria of the issue, then those given."""
        if not request.issue_id:
            return request.criteria
        issue = await self._issue(request.issue_id)
        own = issue.row.get("acceptance_criteria")
        return f"{own if isinstance(own, str) else ''}\n{request.criteria}"

    async def _issue(self, issue_id: str) -> Issue:
        try:
            question = GetIssue(issue_id=issue_id)
            return await ask(self.system.named("tracker"), question, deadline_s=_ASK_S)
        except NotFound as error:
            raise ActivityFailure("unknown_issue", str(error), retryable=False) from error
