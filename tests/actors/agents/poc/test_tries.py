"""Build, tests and measurement: what they find in a repository with planted problems."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from actors.agents.kit.outcome import Level
from actors.agents.kit.worktrees import FENCES
from actors.agents.poc.benchmark import found
from actors.agents.poc.building import made_in
from actors.agents.poc.messages import (
    Bench,
    BenchmarkRequest,
    BuildRequest,
    Difference,
    ImplementRequest,
    SandboxRequest,
    Template,
    TestRequest,
)
from actors.errors import ValidationError
from actors.workflows.definition import ActivityFailure
from tests.actors.agents.poc.conftest import Desk, commit_files
from tests.support.hostile import git
from tests.support.planted import Planted
from tests.support.processes import gone, written

FLAKY = """\
import pathlib

PLACE = pathlib.Path(__file__).parent / "ran"


def test_fails_the_first_time():
    ran = PLACE.exists()
    PLACE.write_text("")
    assert ran


def test_fails_always():
    assert False
"""


async def test_exactly_the_planted_test_fails(
    orchard: Planted, desk_at: Callable[..., Desk]
) -> None:
    desk = desk_at(orchard.repo)
    tested = await desk.agent.test(desk.task(), TestRequest())
    assert tested.ok is False
    assert [case.id for case in tested.results.failures] == [orchard.failing_test]
    assert (tested.results.passed, tested.flaky) == (4, ())
    assert tested.commit == orchard.head
    assert orchard.failing_test is not None
    assert orchard.failing_test.partition("::")[2].encode() in desk.stored["tests.xml"]


async def test_settings_and_fixtures_of_the_users_work_tree_do_not_count(desk: Desk) -> None:
    commit_files(desk.site.repo, "tests", {"test_a.py": "def test_a():\n    pass\n"})
    inside = replace(desk.site, workspace=desk.site.repo / ".git" / "beadflow" / "workspace")
    (desk.site.repo / "pytest.ini").write_text("[pytest]\naddopts = --odd\n", encoding="utf-8")
    (desk.site.repo / "conftest.py").write_text("raise ValueError\n", encoding="utf-8")
    tested = await desk.agent.test(replace(desk.task(), site=inside), TestRequest())
    assert (tested.ok, tested.results.passed) == (True, 1)


async def test_a_test_that_passes_when_run_again_is_flaky_and_not_failed(desk: Desk) -> None:
    commit_files(desk.site.repo, "tests", {"test_a.py": FLAKY})
    tested = await desk.agent.test(desk.task(), TestRequest(reruns=1))
    assert tested.flaky == ("test_a.py::test_fails_the_first_time",)
    assert [case.id for case in tested.results.failures] == ["test_a.py::test_fails_always"]
    levels = {finding.rule: finding.level for finding in tested.findings}
    assert levels == {"failed": Level.ERROR, "flaky": Level.WARNING}


async def test_a_project_without_tests_is_said_to_have_none(desk: Desk) -> None:
    tested = await desk.agent.test(desk.task(), TestRequest())
    assert tested.ok is None
    assert tested.skipped[0].what == "tests"


async def test_a_program_that_the_operator_has_not_named_is_not_run(desk: Desk) -> None:
    refused = pytest.raises(ValidationError, match="no program that this server runs")
    with refused:
        await desk.agent.test(desk.task(), TestRequest(command=("sh", "-c", "true")))
    with refused:
        await desk.agent.build(desk.task(), BuildRequest(command=("/bin/sh",)))
    with refused:
        request = BenchmarkRequest(benches=(Bench(command=("sh",)),))
        await desk.agent.benchmark(desk.task(), request)


async def test_a_program_that_the_operator_has_named_is_run(repo_with_command: Desk) -> None:
    desk = repo_with_command
    script = "echo '<testsuite><testcase name=\"one\"/></testsuite>' > junit.xml"
    tested = await desk.agent.test(desk.task(), TestRequest(command=("sh", "-c", script)))
    assert (tested.ok, tested.results.passed) == (True, 1)
    built = await desk.agent.build(desk.task("1"), BuildRequest(command=("sh", "-c", "exit 3")))
    assert (built.ok, built.findings[0].rule) == (False, "build-failed")


async def test_what_a_run_leaves_behind_is_thrown_away(repo_with_command: Desk) -> None:
    desk = repo_with_command
    await desk.agent.test(desk.task(), TestRequest(command=("sh", "-c", "touch left; exit 1")))
    left = {path.name for path in (desk.site.workspace / "worktrees").iterdir()}
    assert left == {"wf-1", "wf-1.json", *FENCES}
    assert git(desk.site.workspace / "worktrees" / "wf-1", "status", "--porcelain") == ""


@pytest.fixture
def repo_with_command(desk: Desk, desk_at: Callable[..., Desk]) -> Desk:
    return desk_at(desk.site.repo, ("sh",))


async def test_what_is_new_is_built_and_tested(desk: Desk) -> None:
    await desk.agent.sandbox(desk.task("0"), SandboxRequest())
    template = Template(name="package", answers={"name": "pears"})
    await desk.agent.implement(desk.task("1"), ImplementRequest(template=template))
    built = await desk.agent.build(desk.task("2"), BuildRequest())
    assert built.ok, built
    assert built.distributions == ("pears-0.1.0-py3-none-any.whl", "pears-0.1.0.tar.gz")
    assert [finding.message for finding in built.findings] == ["it names no licence"]
    assert f"dist/{built.distributions[0]}" in desk.stored
    tested = await desk.agent.test(desk.task("3"), TestRequest())
    assert (tested.ok, tested.results.passed) == (True, 1)


def test_only_distributions_of_a_build_are_kept(tmp_path: Path) -> None:
    for name in ("odd name.whl", "notes.txt", "a-1.tar.gz", "-x.whl"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "link.whl").symlink_to("/etc/passwd")
    (tmp_path / "dir.whl").mkdir()
    assert [path.name for path in made_in(tmp_path)] == ["a-1.tar.gz"]


async def test_a_build_that_fails_says_so(desk: Desk) -> None:
    commit_files(desk.site.repo, "odd", {"pyproject.toml": "[project]\nname = 'a'\n"})
    built = await desk.agent.build(desk.task(), BuildRequest())
    assert built.ok is False
    assert built.findings[0].rule == "build-failed"
    assert b"version" in desk.stored["build.log"]


async def test_a_build_without_its_backend_is_skipped(desk: Desk) -> None:
    text = '[build-system]\nrequires = ["no-such-thing"]\nbuild-backend = "no_such_thing"\n'
    commit_files(desk.site.repo, "odd", {"pyproject.toml": text})
    built = await desk.agent.build(desk.task(), BuildRequest())
    assert built.ok is None
    assert "no_such_thing" in built.skipped[0].why


async def test_a_project_that_is_not_built_is_said_to_be_none(desk: Desk) -> None:
    built = await desk.agent.build(desk.task(), BuildRequest())
    assert (built.ok, built.skipped[0].what) == (None, "build")


async def test_the_planted_regression_is_found(
    orchard: Planted, desk_at: Callable[..., Desk]
) -> None:
    desk = desk_at(orchard.repo)
    request = BenchmarkRequest(baseline=orchard.base, benches=(Bench(script="bench.py"),), rounds=3)
    measured = await desk.agent.benchmark(desk.task(), request)
    (found,) = measured.comparisons
    assert (measured.ok, found.difference) == (False, Difference.REGRESSION)
    assert [finding.rule for finding in measured.findings] == ["regression"]
    assert (measured.base, measured.head) == (orchard.base, orchard.head)


async def test_the_benchmarks_of_a_project_are_found_and_the_same_at_both_commits(
    orchard: Planted, desk_at: Callable[..., Desk]
) -> None:
    desk = desk_at(orchard.repo)
    bench = "from orchard.counts import ripe\n\n\ndef bench_ripe():\n    ripe(30_000)\n"
    commit_files(orchard.repo, "Measure", {"benchmarks/bench_counts.py": bench})
    request = BenchmarkRequest(baseline=orchard.base, rounds=3)
    (found,) = (await desk.agent.benchmark(desk.task(), request)).comparisons
    assert found.name == "benchmarks.bench_counts:bench_ripe"
    assert found.difference is Difference.REGRESSION


def test_benchmarks_are_found_only_in_files_of_the_project(tmp_path: Path) -> None:
    bench = 'odd = "\\d"\n\n\ndef bench_it():\n    pass\n'
    (tmp_path / "elsewhere.py").write_text(bench, encoding="utf-8")
    place = tmp_path / "root" / "benchmarks"
    place.mkdir(parents=True)
    (place / "a.py").write_text(bench, encoding="utf-8")
    (place / "b.py").symlink_to(tmp_path / "elsewhere.py")
    (place / "c.py").write_text("def", encoding="utf-8")
    (place / "d-e.py").write_text(bench, encoding="utf-8")
    assert list(found(tmp_path / "root")) == [Bench(function="benchmarks.a:bench_it")]


async def test_a_benchmark_that_does_not_run_at_head_is_a_finding(desk: Desk) -> None:
    base = commit_files(desk.site.repo, "one", {"a.py": "def f():\n    pass\n"})
    commit_files(desk.site.repo, "two", {"a.py": "def f():\n    raise ValueError('odd')\n"})
    request = BenchmarkRequest(baseline=base, benches=(Bench(function="a:f"),), rounds=3)
    measured = await desk.agent.benchmark(desk.task(), request)
    assert (measured.ok, measured.findings[0].rule) == (False, "broken")
    assert "odd" in measured.findings[0].message


async def test_a_benchmark_of_what_is_new_is_skipped(desk: Desk) -> None:
    base = commit_files(desk.site.repo, "one", {"a.py": ""})
    commit_files(desk.site.repo, "two", {"a.py": "def f():\n    pass\n"})
    request = BenchmarkRequest(baseline=base, benches=(Bench(function="a:f"),), rounds=3)
    measured = await desk.agent.benchmark(desk.task(), request)
    assert (measured.ok, measured.findings) == (None, ())
    assert "does not run at the baseline" in measured.skipped[0].why


async def test_nothing_is_measured_where_both_commits_are_the_same(desk: Desk) -> None:
    measured = await desk.agent.benchmark(desk.task(), BenchmarkRequest())
    assert (measured.ok, measured.skipped[0].why) == (None, "both commits are the same")


async def test_a_script_outside_of_the_tree_is_not_run(desk: Desk) -> None:
    base = commit_files(desk.site.repo, "one", {"a.py": ""})
    (desk.site.repo / "out").symlink_to("/usr/lib")
    commit_files(desk.site.repo, "two", {"a.py": "x = 1\n"})
    for script in ("out/x.py", "../x.py"):
        request = BenchmarkRequest(baseline=base, benches=(Bench(script=script),), rounds=3)
        with pytest.raises(ActivityFailure) as caught:
            await desk.agent.benchmark(desk.task(), request)
        assert caught.value.code == "bad_path"


@pytest.mark.parametrize("step", ["test", "build", "benchmark"])
async def test_what_a_step_has_started_ends_with_it_even_in_a_session_of_its_own(
    repo_with_command: Desk, step: str
) -> None:
    desk, mark = repo_with_command, repo_with_command.site.workspace.parent / "pid"
    commit_files(desk.site.repo, "one", {"a.txt": ""})
    command = ("sh", "-c", f"setsid sh -c 'echo $$ > {mark}; exec sleep 600' & sleep 600")
    async with trio.open_nursery() as nursery:
        if step == "test":
            nursery.start_soon(desk.agent.test, desk.task(), TestRequest(command=command))
        elif step == "build":
            nursery.start_soon(desk.agent.build, desk.task(), BuildRequest(command=command))
        else:
            request = BenchmarkRequest(
                baseline="HEAD~1", benches=(Bench(command=command),), rounds=3
            )
            nursery.start_soon(desk.agent.benchmark, desk.task(), request)
        pid = int(await written(mark))
        nursery.cancel_scope.cancel()
    assert await gone(pid)
