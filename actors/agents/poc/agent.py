"""The POC agent: a sandbox, a change in it, a build, its tests, a measurement, and the result.

It works on a branch and in a work tree of its own, needs no model and no network, and runs the
project's own tests and benchmarks with the rights of the server.
"""

from pydantic import BaseModel, ConfigDict

from actors.agents.poc.benchmark import benchmark
from actors.agents.poc.building import build
from actors.agents.poc.implement import implement
from actors.agents.poc.messages import (
    Benchmarked,
    BenchmarkRequest,
    BuildRequest,
    Built,
    Implemented,
    ImplementRequest,
    Packaged,
    PackageRequest,
    SandboxReady,
    SandboxRequest,
    Tested,
    TestRequest,
)
from actors.agents.poc.packaging import package
from actors.agents.poc.sandboxes import open_for
from actors.agents.poc.testing import test
from actors.agents.protocol import Agent, Task
from actors.workflows.definition import activity


class PocConfig(BaseModel):
    """How the POC agent makes its environments.

    Attributes:
        install: whether what a project declares is ever installed.
        offline: install only what the installer has in its cache.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    install: bool = True
    offline: bool = False


class PocAgent(Agent):
    """Tries a change out on a branch of its own: builds it, tests it, measures it."""

    agent_type = "poc"
    Config = PocConfig
    config: PocConfig

    @activity(timeout_s=900.0)
    async def sandbox(self, task: Task, request: SandboxRequest) -> SandboxReady:
        """Open a work tree on a branch of its own, with a virtual environment beside it."""
        return await open_for(
            task, request, install=self.config.install, offline=self.config.offline
        )

    @activity(timeout_s=300.0)
    async def implement(self, task: Task, request: ImplementRequest) -> Implemented:
        """Change files by a template, as they are given or by a patch, and commit them."""
        return await implement(task, request)

    @activity(timeout_s=1_200.0)
    async def build(self, task: Task, request: BuildRequest) -> Built:
        """Build what is committed, and look into what comes of it."""
        return await build(task, request)

    @activity(timeout_s=7_200.0)
    async def test(self, task: Task, request: TestRequest) -> Tested:
        """Run the tests, and again those that failed, to tell which are flaky."""
        return await test(task, request)

    @activity(timeout_s=7_200.0)
    async def benchmark(self, task: Task, request: BenchmarkRequest) -> Benchmarked:
        """Measure two commits in turns, and tell a difference in speed from noise."""
        return await benchmark(task, request)

    @activity(timeout_s=300.0)
    async def package_result(self, task: Task, request: PackageRequest) -> Packaged:
        """Store patch and report, and close the sandbox when nothing in it would be lost."""
        return await package(task, request)
