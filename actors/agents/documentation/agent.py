"""The documentation agent: makes pages from code, and finds what in documents is missing or wrong.

It reads commits, never the user's work tree, and needs neither a model nor a network.
"""

from actors.agents.documentation.changes import api_changes
from actors.agents.documentation.config import DocumentationConfig
from actors.agents.documentation.generate import generate
from actors.agents.documentation.measure import measure
from actors.agents.documentation.messages import (
    ApiChanges,
    ApiChangesRequest,
    Coverage,
    CoverageRequest,
    DocumentationReport,
    Generated,
    GenerateRequest,
    ReportRequest,
    Review,
    ReviewRequest,
    Updated,
    UpdateRequest,
)
from actors.agents.documentation.report import report
from actors.agents.documentation.review import review
from actors.agents.documentation.update import update
from actors.agents.protocol import Agent, Task
from actors.workflows.definition import activity


class DocumentationAgent(Agent):
    """Writes the API reference, reviews documents, and brings them up to date on a branch."""

    agent_type = "documentation"
    Config = DocumentationConfig

    @activity(timeout_s=600.0)
    async def generate(self, task: Task, request: GenerateRequest) -> Generated:
        """Make the pages of the API reference, of the commands and of the settings."""
        return await generate(task, request)

    @activity(timeout_s=600.0)
    async def coverage(self, task: Task, request: CoverageRequest) -> Coverage:
        """Count what is described, and name the public things and options that are not."""
        return await measure(task, request)

    @activity(timeout_s=1800.0)
    async def review(self, task: Task, request: ReviewRequest) -> Review:
        """Check the spelling, links and anchors of documents, and run their code blocks."""
        return await review(task, request, self.config)

    @activity(timeout_s=900.0)
    async def api_changes(self, task: Task, request: ApiChangesRequest) -> ApiChanges:
        """Compare the public API of two commits, and word it for a changelog."""
        return await api_changes(task, request)

    @activity(timeout_s=900.0)
    async def update(self, task: Task, request: UpdateRequest) -> Updated:
        """Commit new pages, repairs and a changelog on a branch, and store the patch."""
        return await update(task, request)

    @activity(timeout_s=120.0)
    async def report(self, task: Task, request: ReportRequest) -> DocumentationReport:
        """Judge what the others came to, and store the report."""
        return await report(task, request)
