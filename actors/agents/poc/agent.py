"""The POC agent: a sandbox, a change in it, a build, its tests, a measurement, and the result.

It works on a branch and in a work tree of its own, needs no model and no network, and runs the
project's own tests and benchmarks with the rights of the server.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from actors.agents.kit.beating import BEAT_S
from actors.agents.poc.benchmark import benchmark
from actors.agents.poc.building import build
from actors.agents.poc.checking import check
from actors.agents.poc.implement import implement
from actors.agents.poc.messages import (
    Benchmarked,
    BenchmarkRequest,
    BuildRequest,
    Built,
    Checked,
    Implemented,
    ImplementRequest,
    Packaged,
    PackageRequest,
    PocRequest,
    SandboxReady,
    SandboxRequest,
    Tested,
    TestRequest,
)
from actors.agents.poc.packaging import package
from actors.agents.poc.sandboxes import open_for
from actors.agents.poc.testing import test
from actors.agents.protocol import Agent, Task
from actors.workflows.definition import RetryPolicy, activity

SILENT_S: Final = 12 * BEAT_S
LONG_S: Final = 7_200.0
_AGAIN: Final = RetryPolicy(attempts=3, initial_s=1.0, non_retryable=("ValidationError",))


class PocConfig(BaseModel):
    """What an instance can be set up with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    install: bool = Field(
        default=True, description="whether what a project declares is ever installed"
    )
    offline: bool = Field(
        default=False, description="install only what the installer has in its cache"
    )
    build_s: float = Field(default=900.0, gt=0, le=3_000.0, description="seconds of a build")
    tests_s: float = Field(
        default=1_800.0, gt=0, le=3_000.0, description="seconds of a run of the tests"
    )
    bench_s: float = Field(
        default=300.0, gt=0, le=3_000.0, description="seconds of one run of a benchmark"
    )


class PocAgent(Agent):
    """Tries a change out on a branch of its own: builds it, tests it, measures it."""

    agent_type = "poc"
    Config = PocConfig
    config: PocConfig

    @activity(timeout_s=900.0, retry=_AGAIN)
    async def check(self, task: Task, request: PocRequest) -> Checked:
        """Refuse what cannot be tried; the change is made where it is thrown away."""
        return await check(task, request)

    @activity(timeout_s=900.0, heartbeat_timeout_s=SILENT_S, retry=_AGAIN)
    async def sandbox(self, task: Task, request: SandboxRequest) -> SandboxReady:
        """Open a work tree on a branch of its own, with a virtual environment beside it."""
        return await open_for(
            task, request, install=self.config.install, offline=self.config.offline
        )

    @activity(timeout_s=300.0, retry=_AGAIN)
    async def implement(self, task: Task, request: ImplementRequest) -> Implemented:
        """Change files by a template, as they are given or by a patch, and commit them."""
        return await implement(task, request)

    @activity(timeout_s=LONG_S, heartbeat_timeout_s=SILENT_S, retry=_AGAIN)
    async def build(self, task: Task, request: BuildRequest) -> Built:
        """Build what is committed, and look into what comes of it."""
        return await build(task, request, deadline_s=self.config.build_s)

    @activity(timeout_s=LONG_S, heartbeat_timeout_s=SILENT_S, retry=_AGAIN)
    async def test(self, task: Task, request: TestRequest) -> Tested:
        """Run the tests, and again those that failed, to tell which are flaky."""
        return await test(task, request, deadline_s=self.config.tests_s)

    @activity(timeout_s=LONG_S, heartbeat_timeout_s=SILENT_S, retry=_AGAIN)
    async def benchmark(self, task: Task, request: BenchmarkRequest) -> Benchmarked:
        """Measure two commits in turns, and tell a difference in speed from noise."""
        return await benchmark(task, request, deadline_s=self.config.bench_s)

    @activity(timeout_s=300.0, retry=_AGAIN)
    async def package_result(self, task: Task, request: PackageRequest) -> Packaged:
        """Store patch and report, and close the sandbox when nothing in it would be lost."""
        return await package(task, request)
