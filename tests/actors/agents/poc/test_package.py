from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.agents.kit import patches
from actors.agents.poc import packaging
from actors.agents.poc.messages import (
    Benchmarked,
    BenchmarkRequest,
    BuildRequest,
    Built,
    ImplementRequest,
    PackageRequest,
    SandboxRequest,
    Tested,
    TestRequest,
    Verdict,
)
from actors.agents.poc.report import verdict_of
from actors.agents.protocol import Task
from tests.actors.agents.poc.conftest import Desk, commit_files
from tests.support.hostile import git, hostile


def built(*, ok: bool | None) -> Built:
    return Built(summary="Built.", ok=ok, commit="c")


def after_tests(*, ok: bool | None) -> Tested:
    return Tested(summary="Tested.", ok=ok, commit="c")


def measured(*, ok: bool | None) -> Benchmarked:
    return Benchmarked(summary="Measured.", ok=ok, base="b", head="c")


@pytest.mark.parametrize(
    ("request_", "verdict"),
    [
        (PackageRequest(), Verdict.NEEDS_HUMAN),
        (PackageRequest(tested=after_tests(ok=True)), Verdict.PASS),
        (PackageRequest(tested=after_tests(ok=None)), Verdict.NEEDS_HUMAN),
        (PackageRequest(tested=after_tests(ok=False)), Verdict.FAIL),
        (PackageRequest(built=built(ok=True)), Verdict.NEEDS_HUMAN),
        (PackageRequest(tested=after_tests(ok=True), built=built(ok=None)), Verdict.PASS),
        (PackageRequest(tested=after_tests(ok=True), built=built(ok=False)), Verdict.FAIL),
        (PackageRequest(tested=after_tests(ok=True), benchmarked=measured(ok=False)), Verdict.FAIL),
        (PackageRequest(tested=after_tests(ok=True), unfinished="no time"), Verdict.NEEDS_HUMAN),
    ],
)
def test_it_works_only_when_tests_ran_and_nothing_failed(
    request_: PackageRequest, verdict: Verdict
) -> None:
    assert verdict_of(request_) is verdict


async def changed(desk: Desk) -> Path:
    ready = await desk.agent.sandbox(desk.task("0"), SandboxRequest())
    await desk.agent.implement(
        desk.task("1"), ImplementRequest(message="Add b", files={"b.txt": "hello\n"})
    )
    return Path(ready.path)


async def test_the_result_is_a_branch_a_patch_and_a_report(desk: Desk, tmp_path: Path) -> None:
    commit_files(desk.site.repo, "first", {"a.txt": "one\n"})
    root = await changed(desk)
    request = PackageRequest(title="Try *b*", tested=after_tests(ok=True))
    done = await desk.agent.package_result(desk.task("2"), request)
    assert (done.verdict, done.files, done.kept) == (Verdict.PASS, ("b.txt",), "")
    assert git(desk.site.repo, "rev-parse", done.branch).strip() == done.commit
    assert "b.txt | 1 +" in done.diffstat
    assert not root.exists()
    assert [stored.name for stored in done.artifacts] == ["changes.patch", "report.md"]
    report = desk.stored["report.md"].decode()
    assert report.startswith("# Try \\*b\\*\n\n**It works.** Branch `beadflow/wf-1`")
    patch = tmp_path / "changes.patch"
    patch.write_bytes(desk.stored["changes.patch"])
    git(desk.site.repo, "apply", "--index", str(patch))
    assert git(desk.site.repo, "diff", "--cached", done.branch) == ""


async def test_a_step_that_runs_again_after_it_tidied_up_says_the_same(desk: Desk) -> None:
    await changed(desk)
    first = await desk.agent.package_result(desk.task("2"), PackageRequest())
    stored = dict(desk.stored)
    assert await desk.agent.package_result(desk.task("2"), PackageRequest()) == first
    assert desk.stored == stored
    assert git(desk.site.repo, "worktree", "list").count("\n") == 1


async def test_work_that_is_not_committed_is_kept_and_said(desk: Desk) -> None:
    root = await changed(desk)
    (root / "left.txt").write_text("by somebody\n", encoding="utf-8")
    done = await desk.agent.package_result(desk.task("2"), PackageRequest())
    assert done.kept == "it has changes that are not committed"
    assert [finding.rule for finding in done.findings] == ["uncommitted"]
    assert (root / "left.txt").exists()


async def test_a_sandbox_is_kept_where_that_is_asked_for(desk: Desk) -> None:
    root = await changed(desk)
    done = await desk.agent.package_result(desk.task("2"), PackageRequest(close=False))
    assert (done.kept, root.exists()) == ("it was to be kept", True)


async def test_what_was_not_installed_is_in_the_report(desk: Desk) -> None:
    commit_files(desk.site.repo, "first", {"setup.py": ""})
    ready = await desk.agent.sandbox(desk.task("0"), SandboxRequest())
    await desk.agent.package_result(desk.task("1"), PackageRequest(prepared=ready))
    report = desk.stored["report.md"].decode()
    assert "## Skipped\n\n- dependencies skipped, because they were not asked for\n" in report


async def test_nothing_that_a_hostile_repository_names_is_run(
    tmp_path: Path, desk_at: Callable[[Path], Desk]
) -> None:
    made = hostile(tmp_path)
    desk = desk_at(made.repo)
    await desk.agent.sandbox(desk.task("0"), SandboxRequest())
    await desk.agent.implement(desk.task("1"), ImplementRequest(files={"a.f": "x\n", "b.m": "y\n"}))
    await desk.agent.build(desk.task("2"), BuildRequest())
    await desk.agent.test(desk.task("3"), TestRequest())
    await desk.agent.benchmark(desk.task("4"), BenchmarkRequest())
    done = await desk.agent.package_result(desk.task("5"), PackageRequest())
    assert (done.files, done.kept) == (("a.f", "b.m"), "")
    assert made.sung() == set()
    assert [path.name for path in made.secret.parent.iterdir()] == ["secret.txt"]


async def test_words_of_a_model_stand_in_the_report_where_there_are_any(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def words(task: Task, instruction: str, facts: Any) -> str:
        return f"It changed {facts['title']}."

    monkeypatch.setattr(packaging, "prose", words)
    await changed(desk)
    done = await desk.agent.package_result(desk.task("2"), PackageRequest(title="apples"))
    assert "\n\nIt changed apples.\n\n" in done.markdown


async def test_a_patch_that_is_too_large_is_left_to_the_branch(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "LIMIT_BYTES", 20)
    await changed(desk)
    done = await desk.agent.package_result(desk.task("2"), PackageRequest())
    assert [stored.name for stored in done.artifacts] == ["report.md"]
    assert (done.files, done.skipped[-1].what) == (("b.txt",), "changes.patch")
