"""Runs the tests of what is committed, and again those that failed, to tell which are flaky."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

import trio

from actors.agents.kit.beating import beating
from actors.agents.kit.checkouts import Checkout
from actors.agents.kit.junit import Case, Status, results_of, write_cases
from actors.agents.kit.outcome import Evidence, Finding, Level, Skipped, StoredFile
from actors.agents.kit.runners import PYTEST, REPORT, Runner, detect
from actors.agents.kit.testrun import Run, run_suite
from actors.agents.poc.messages import Tested, TestRequest
from actors.agents.poc.workplace import commit_of, sandbox_of, trial
from actors.agents.protocol import Task

AGAIN: Final = 50
"""So many failing tests are run again by name; with more, all tests are."""

_ANY_REPORT: Final = (REPORT, "junit*.xml", "*/junit*.xml", "TEST-*.xml", "*/TEST-*.xml")


async def test(task: Task, request: TestRequest, *, deadline_s: float) -> Tested:
    """Run the tests that a request names, by its command or as such projects run them."""
    if request.command:
        task.site.check(request.command)
    sandbox = await sandbox_of(task, request.key)
    commit = await commit_of(task, sandbox, request.ref)
    async with trial(task, sandbox, commit, "test") as (checkout, box):
        runner = await _runner(request, checkout)
        if runner is None:
            nothing = Skipped(what="tests", why="no runner of tests is known for this project")
            return Tested(summary="No tests.", ok=None, commit=commit, skipped=(nothing,))

        async def run_all(suite: Runner) -> Run | Skipped:
            work = partial(run_suite, suite, box, checkout.scratch, deadline_s=deadline_s)
            return await beating(task, work)

        task.progress(f"testing with {runner.name}", 0.1)
        run = await run_all(runner)
        if isinstance(run, Skipped):
            return Tested(summary=f"{run}.", ok=None, commit=commit, skipped=(run,))
        flaky = await _flaky(task, request.reruns, runner, run, run_all)
        return await _outcome(task, commit, run, flaky)


async def _runner(request: TestRequest, checkout: Checkout) -> Runner | None:
    if request.command:
        return Runner(name=request.command[0], argv=request.command, reports=_ANY_REPORT)
    found = await trio.to_thread.run_sync(detect, checkout.path)
    return found[0] if found else None


async def _flaky(
    task: Task,
    reruns: int,
    runner: Runner,
    run: Run,
    again: Callable[[Runner], Awaitable[Run | Skipped]],
) -> frozenset[str]:
    """The tests that passed when what failed was run again."""
    failing = {case.id for case in run.cases if case.is_failure}
    flaky: set[str] = set()
    for number in range(reruns):
        left = sorted(failing - flaky)
        if not left:
            break
        task.progress(f"running {len(left)} failed tests again", 0.6 + 0.3 * number / reruns)
        second = await again(_only(runner, left))
        if isinstance(second, Skipped):
            break
        passed = {case.id for case in second.cases if case.status is Status.PASSED}
        flaky |= passed & failing
    return frozenset(flaky)


def _only(runner: Runner, ids: list[str]) -> Runner:
    """A runner of these tests alone, where that can be said to it."""
    if runner is not PYTEST or len(ids) > AGAIN or not all("::" in one for one in ids):
        return runner
    return replace(runner, argv=(*runner.argv, *ids))


async def _outcome(task: Task, commit: str, run: Run, flaky: frozenset[str]) -> Tested:
    cases = [_judged(case, flaky) for case in run.cases]
    results = results_of(cases, run.seconds)
    written = await trio.to_thread.run_sync(write_cases, cases, "tests")
    stored = await task.artifact("tests.xml", written, "application/xml")
    tail = f", {len(flaky)} of them only when run again" if flaky else ""
    return Tested(
        summary=f"{results}{tail}.",
        ok=not results.failures if results.total else None,
        commit=commit,
        results=results,
        flaky=tuple(sorted(flaky)),
        findings=tuple(_findings(cases, flaky)),
        artifacts=(StoredFile.model_validate(stored),),
        evidence=(Evidence(id="E1", source=run.argv[0], statement=str(results)),),
        metrics={"tests": float(results.total), "seconds": run.seconds},
    )


def _judged(case: Case, flaky: frozenset[str]) -> Case:
    return case.model_copy(update={"status": Status.PASSED}) if case.id in flaky else case


def _findings(cases: list[Case], flaky: frozenset[str]) -> list[Finding]:
    failed = [
        Finding(
            tool="tests",
            rule=case.status.value,
            level=Level.ERROR,
            message=f"{case.id}: {case.message}",
            place=case.place,
        )
        for case in cases
        if case.is_failure
    ]
    return failed + [
        Finding(
            tool="tests",
            rule="flaky",
            level=Level.WARNING,
            message=f"{case.id} failed, and passed when it was run again",
            place=case.place,
        )
        for case in cases
        if case.id in flaky
    ]
