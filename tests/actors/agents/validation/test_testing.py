import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

from actors.agents.kit.junit import Status
from actors.agents.validation.messages import TestOutcome, TestRequest
from actors.agents.validation.testing import run_tests
from actors.workflows.definition import ActivityFailure
from tests.actors.agents.validation.conftest import Desk, clean_desk
from tests.support.planted import Planted


async def outcome_of(desk: Desk, **given: object) -> TestOutcome:
    return await run_tests(desk.task(), TestRequest.model_validate(given), deadline_s=240)


@pytest.fixture(scope="module")
def ran(
    there: Planted, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Desk, TestOutcome]]:
    """The planted repository's own tests, run once."""
    for desk in clean_desk(there, tmp_path_factory.mktemp("ran")):
        yield desk, trio.run(partial(outcome_of, desk, coverage=True))


def test_exactly_the_planted_test_fails(ran: tuple[Desk, TestOutcome], there: Planted) -> None:
    _, outcome = ran
    assert (outcome.runner, outcome.commit) == ("pytest", there.head)
    assert (outcome.results.passed, outcome.results.failed, outcome.results.errors) == (4, 1, 0)
    (case,) = outcome.results.cases
    assert (case.id, case.status) == (there.failing_test, Status.FAILED)
    (finding,) = outcome.findings
    assert finding.message.startswith(f"{there.failing_test} failed: ")
    assert finding.place == case.place
    assert outcome.summary == "pytest: 1 failed, 4 passed."


def test_the_junit_of_all_tests_is_stored(ran: tuple[Desk, TestOutcome]) -> None:
    desk, outcome = ran
    file = outcome.artifacts[0]
    assert (file.name, file.media_type) == ("junit.xml", "application/xml")
    assert desk.stored["junit.xml"].count(b"<testcase ") == 5


def test_the_coverage_names_files_from_the_root_on(ran: tuple[Desk, TestOutcome]) -> None:
    desk, outcome = ran
    assert outcome.coverage is not None
    assert outcome.coverage.name == "coverage.xml"
    report = desk.stored["coverage.xml"]
    assert b"<source>.</source>" in report
    assert b'filename="orchard/prices.py"' in report
    assert bytes(desk.workspace) not in report


async def test_another_commit_is_tested_as_it_was(desk: Desk, there: Planted) -> None:
    desk.commands = ("test",)
    outcome = await outcome_of(desk, ref=there.base, command="test ! -e tests/test_wholesale.py")
    assert (outcome.commit, outcome.results.passed) == (there.base, 1)


async def test_a_command_of_the_request_runs_when_the_operator_lets_it(desk: Desk) -> None:
    desk.commands = ("sh",)
    script = """echo '<testsuite><testcase name="one"/></testsuite>' > out.xml"""
    outcome = await outcome_of(desk, command=["sh", "-c", script], reports="*.xml")
    assert (outcome.results.passed, outcome.results.total) == (1, 1)


async def test_a_line_is_split_into_words_and_no_shell_sees_it(desk: Desk) -> None:
    desk.commands = ("printf",)
    outcome = await outcome_of(desk, command="printf 'a b' ; false")
    assert outcome.runner == "printf a b ; false"
    assert outcome.results.passed == 1


async def test_a_command_that_the_operator_has_not_named_is_refused(desk: Desk) -> None:
    with pytest.raises(ActivityFailure) as caught:
        await outcome_of(desk, command=["sh", "-c", "true"])
    assert caught.value.code == "command_refused"
    assert not caught.value.retryable


async def test_tests_that_nobody_wants_any_more_end_with_all_they_have_started(
    desk: Desk, tmp_path: Path
) -> None:
    """One that left its session, too: a pipe that each of them holds is closed in the end."""
    desk.commands = ("sh",)
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    script = f"exec 3> {fifo}; setsid sleep 1000 & sleep 1000"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(outcome_of, desk, command=["sh", "-c", script]))
        descriptor = await trio.to_thread.run_sync(os.open, fifo, os.O_RDONLY)
        nursery.cancel_scope.cancel()
    assert await trio.to_thread.run_sync(os.read, descriptor, 1) == b""
    os.close(descriptor)


async def test_a_commit_that_is_not_there_is_refused(desk: Desk) -> None:
    with pytest.raises(ActivityFailure) as caught:
        await outcome_of(desk, ref="--upload-pack=evil")
    assert caught.value.code == "bad_ref"


async def test_a_program_that_is_not_installed_is_skipped(desk: Desk) -> None:
    desk.commands = ("no-such-program",)
    outcome = await outcome_of(desk, command="no-such-program")
    assert outcome.summary == (
        "No tests were run: no-such-program skipped, because it is not installed:"
        " install no-such-program."
    )


async def test_a_base_that_is_not_there_is_refused_before_any_test_runs(
    desk: Desk, tmp_path: Path
) -> None:
    desk.commands = ("touch",)
    canary = tmp_path / "canary"
    with pytest.raises(ActivityFailure) as caught:
        await outcome_of(desk, command=f"touch {canary}", base="no-such-branch")
    assert (caught.value.code, caught.value.retryable) == ("unknown_ref", False)
    assert not canary.exists()
