"""Runs the tests of a commit, stores their JUnit, and measures coverage where that is asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from actors.agents.kit.changed import common_commit
from actors.agents.kit.checkouts import Checkout, allowed_variables, checked_out
from actors.agents.kit.junit import Case, write_cases
from actors.agents.kit.outcome import Finding, Level, Skipped, StoredFile
from actors.agents.kit.runners import PYTEST, Reads, Runner, detect
from actors.agents.kit.testrun import Run, run_suite
from actors.agents.protocol import Task
from actors.agents.validation.coverage import REPORT, measured, measuring
from actors.agents.validation.messages import TestOutcome, TestRequest, shown
from actors.errors import ValidationError
from actors.workflows.definition import ActivityFailure

JUNIT: Final = "junit.xml"


async def run_tests(task: Task, request: TestRequest, *, deadline_s: float) -> TestOutcome:
    """Run the tests in a work tree of their own.

    Raises:
        ActivityFailure: "command_refused": the operator does not let agents run that; and as
            `checked_out`, and `common_commit` where a base is named.
    """
    chosen = _chosen(task, request)
    if request.base is not None:
        await common_commit(task.site, request.base, request.ref)
    async with checked_out(task.site, key=task.idempotency_key, ref=request.ref) as place:
        found = (chosen,) if chosen else await trio.to_thread.run_sync(detect, place.path)
        if not found:
            none = Skipped(
                what="tests",
                why="no known runner fits the files of the project",
                install="give the command that runs them",
            )
            return _nothing(request, place, none)
        runner, *others = found
        task.progress(f"{runner.name} runs the tests")
        return await _Work(task, request, place).run(runner, others, deadline_s)


def _chosen(task: Task, request: TestRequest) -> Runner | None:
    """The runner that the request names."""
    if not request.command:
        return None
    try:
        task.site.check(request.command)
    except ValidationError as error:
        raise ActivityFailure("command_refused", str(error), retryable=False) from error
    name = " ".join((Path(request.command[0]).name, *request.command[1:]))[:100]
    if not request.reports:
        return Runner(name=name, argv=request.command, reads=Reads.STATUS, reports=())
    return Runner(name=name, argv=request.command, reports=(request.reports,))


@dataclass(frozen=True, slots=True)
class _Work:
    """What a run is about."""

    task: Task
    request: TestRequest
    place: Checkout

    async def run(self, runner: Runner, others: list[Runner], deadline_s: float) -> TestOutcome:
        place, request = self.place, self.request
        variables = allowed_variables(self.task.site) if request.command else {}
        box = place.guarded(**variables)
        under = measuring(runner, box) if request.coverage and runner == PYTEST else None
        done = await run_suite(under or runner, box, place.scratch, deadline_s=deadline_s)
        if isinstance(done, Skipped):
            return _nothing(request, place, done)
        skipped = [_not_run(runner, other) for other in others]
        stored = [await _store_junit(self.task, done)] if done.cases else []
        if not done.cases:
            skipped.append(Skipped(what=runner.name, why="it found no tests"))
        report = None
        if under is not None:
            report = await _store_coverage(self.task, place, skipped)
        elif request.coverage:
            skipped.append(_unmeasured(runner))
        return TestOutcome(
            summary=f"{runner.name}: {done.results}.",
            findings=shown([_finding(runner, case) for case in done.results.failures]),
            artifacts=(*stored, *([report] if report else [])),
            metrics=_metrics(done),
            skipped=tuple(skipped),
            ref=request.ref,
            commit=place.commit,
            runner=runner.name,
            results=done.results,
            coverage=report,
        )


def _nothing(request: TestRequest, place: Checkout, why: Skipped) -> TestOutcome:
    return TestOutcome(
        summary=f"No tests were run: {why}.", skipped=(why,), ref=request.ref, commit=place.commit
    )


def _not_run(runner: Runner, other: Runner) -> Skipped:
    return Skipped(
        what=other.name,
        why=f"the tests were run by {runner.name}",
        install="give the command that runs them to have these run",
    )


def _unmeasured(runner: Runner) -> Skipped:
    if runner == PYTEST:
        why = "it is not installed beside pytest"
        return Skipped(what="coverage", why=why, install="install coverage in that environment")
    return Skipped(what="coverage", why=f"it is not measured with {runner.name}")


async def _store_junit(task: Task, done: Run) -> StoredFile:
    data = await trio.to_thread.run_sync(write_cases, done.cases, "tests")
    return StoredFile(**await task.artifact(JUNIT, data, "application/xml"))


async def _store_coverage(task: Task, place: Checkout, skipped: list[Skipped]) -> StoredFile | None:
    report = await measured(place.guarded(), place.scratch)
    if isinstance(report, Skipped):
        skipped.append(report)
        return None
    return StoredFile(**await task.artifact(REPORT, report, "application/xml"))


def _finding(runner: Runner, case: Case) -> Finding:
    said = f": {case.message}" if case.message else ""
    return Finding(
        tool=runner.name,
        rule=case.status.value,
        level=Level.ERROR,
        message=f"{case.id} {case.status.value}{said}",
        place=case.place,
    )


def _metrics(done: Run) -> dict[str, float]:
    results = done.results
    return {
        "tests": results.total,
        "tests_passed": results.passed,
        "tests_failed": results.failed + results.errors,
        "tests_skipped": results.skipped,
        "seconds": done.seconds,
    }
