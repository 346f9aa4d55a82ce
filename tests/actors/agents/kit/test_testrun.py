"""Suites that really run: scripts that behave as runners do, good ones and bad ones."""

import json
from pathlib import Path

import pytest

from actors.agents.kit.junit import Status
from actors.agents.kit.outcome import Skipped
from actors.agents.kit.runners import REPORT, Reads, Runner
from actors.agents.kit.testrun import Run, cargo_cases, go_cases, run_suite
from actors.agents.kit.toolbox import Toolbox

ONE = '<testsuite><testcase name="one"/></testsuite>'
BAD = '<testsuite><testcase name="bad"><failure message="no"/></testcase></testsuite>'
CARGO = """\
running 3 tests
test tests::later ... ignored
test tests::works ... ok
test tests::breaks ... FAILED

failures:

---- tests::breaks stdout ----

thread 'tests::breaks' panicked at src/lib.rs:5:24:
assertion `left == right` failed

failures:
    tests::breaks

test result: FAILED. 1 passed; 1 failed; 1 ignored
"""
GO = (
    {"Action": "output", "Package": "a", "Test": "TestB", "Output": "    b_test.go:9: no\n"},
    {"Action": "fail", "Package": "a", "Test": "TestB", "Elapsed": 0.5},
    {"Action": "pass", "Package": "a", "Test": "TestC", "Elapsed": 0},
    {"Action": "fail", "Package": "a", "Elapsed": 0.6},
    {"Action": "output", "Package": "broken", "Output": "b.go:1: syntax error\n"},
    {"Action": "fail", "Package": "broken", "Elapsed": 0},
    {"Action": "pass", "Package": "good", "Elapsed": 0},
)


async def ran(tmp_path: Path, script: str, **more: object) -> Run | Skipped:
    root, scratch = tmp_path / "root", tmp_path / "scratch"
    root.mkdir(exist_ok=True)
    scratch.mkdir()
    runner = Runner(name="suite", argv=("sh", "-c", script, REPORT), **more)  # type: ignore[arg-type]
    return await run_suite(runner, Toolbox(root), scratch, deadline_s=20)


async def results(tmp_path: Path, script: str, **more: object) -> list[tuple[str, Status]]:
    run = await ran(tmp_path, script, **more)
    assert isinstance(run, Run)
    return [(case.id, case.status) for case in run.cases]


async def test_what_the_runner_wrote_is_what_counts(tmp_path: Path) -> None:
    script = f"echo '{BAD}' > $0; exit 1"
    assert await results(tmp_path, script) == [("bad", Status.FAILED)]


async def test_a_runner_that_fails_although_its_tests_passed_is_broken(tmp_path: Path) -> None:
    found = await results(tmp_path, f"echo '{ONE}' > $0; echo oh no >&2; exit 3")
    assert found == [("one", Status.PASSED), ("suite", Status.ERROR)]


async def test_a_runner_that_dies_before_any_test_is_broken(tmp_path: Path) -> None:
    run = await ran(tmp_path, "echo oh no >&2; exit 4")
    assert isinstance(run, Run)
    (case,) = run.results.cases
    assert (case.status, case.message) == (Status.ERROR, "sh exited with 4: oh no")
    assert case.detail == "oh no"


async def test_a_runner_that_has_nothing_to_run_says_so(tmp_path: Path) -> None:
    assert await results(tmp_path, "exit 5", nothing=5) == []


async def test_a_broken_report_is_a_broken_run(tmp_path: Path) -> None:
    assert await results(tmp_path, "echo '<a' > $0") == [("suite", Status.ERROR)]


async def test_a_report_that_was_there_before_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "old.xml").write_text(ONE)
    found = await results(tmp_path, f"echo '{BAD}' > new.xml", reports=("*.xml",))
    assert found == [("bad", Status.FAILED)]


@pytest.mark.parametrize("pattern", ["/etc/*", "../*.xml", ""])
async def test_reports_are_looked_for_in_the_work_tree_only(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "root").mkdir()
    script = f"echo '{BAD}' > ../outside.xml"
    assert await results(tmp_path, script, reports=(pattern,)) == [("suite", Status.PASSED)]


async def test_a_link_is_no_report(tmp_path: Path) -> None:
    script = f"echo '{BAD}' > ../outside.xml; ln -s ../outside.xml in.xml"
    assert await results(tmp_path, script, reports=("*.xml",)) == [("suite", Status.PASSED)]


async def test_an_exit_status_alone_is_one_case(tmp_path: Path) -> None:
    assert await results(tmp_path, "exit 0", reads=Reads.STATUS) == [("suite", Status.PASSED)]


async def test_a_failed_exit_status_alone_is_one_case(tmp_path: Path) -> None:
    assert await results(tmp_path, "exit 2", reads=Reads.STATUS) == [("suite", Status.ERROR)]


async def test_a_program_that_is_not_there_is_skipped(tmp_path: Path) -> None:
    runner = Runner(name="nothing", argv=("no-such-program",))
    skipped = await run_suite(runner, Toolbox(tmp_path), tmp_path, deadline_s=5)
    assert isinstance(skipped, Skipped)
    assert str(skipped) == ("nothing skipped, because it is not installed: install no-such-program")


async def test_a_program_of_the_work_tree_is_found_there(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "check"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    runner = Runner(name="check", argv=("bin/check",), reads=Reads.STATUS, reports=())
    run = await run_suite(runner, Toolbox(tmp_path), tmp_path, deadline_s=5)
    assert isinstance(run, Run)
    assert run.results.passed == 1


def test_cargos_own_words_are_read() -> None:
    later, works, breaks = cargo_cases(CARGO)
    assert (later.status, works.status) == (Status.SKIPPED, Status.PASSED)
    assert (breaks.id, breaks.status) == ("tests::breaks", Status.FAILED)
    assert "left == right" in breaks.detail


def test_gos_events_are_read_and_a_package_that_does_not_build_is_broken() -> None:
    text = "\n".join(["no json", *(json.dumps(event) for event in GO)])
    failed, passed, broken = go_cases(text)
    assert (failed.id, failed.status, failed.seconds) == ("a.TestB", Status.FAILED, 0.5)
    assert failed.message == "b_test.go:9: no"
    assert passed.status is Status.PASSED
    assert (broken.id, broken.status) == ("broken", Status.ERROR)
    assert "syntax error" in broken.detail
