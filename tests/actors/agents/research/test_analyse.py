import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from actors.agents.research.analyse import analyse
from actors.agents.research.facts import Analysis
from actors.agents.research.messages import AnalyseRequest

NOW = datetime(2026, 6, 2, tzinfo=UTC)


async def analysed(root: Path) -> Analysis:
    return await analyse(
        AnalyseRequest(question="Which SQLite library?"),
        root=root,
        progress=lambda message, fraction: None,
        now=lambda: NOW,
    )


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


async def test_what_is_imported_is_found_with_file_and_line(project: Path) -> None:
    analysis = await analysed(project)
    found = {i.module: i for i in analysis.imports}
    assert found["alpha"].places == ("src/app/store.py:3",)
    assert found["sqlite3"].kind == "standard library"
    assert found["pytest"].test_files == 1
    assert "app" not in found, "the project's own package is not a dependency"


async def test_declared_dependencies_have_their_scope(project: Path) -> None:
    analysis = await analysed(project)
    declared = {d.name: d.scope for d in analysis.manifests[0].dependencies}
    assert declared == {"alpha": "runtime", "pytest": "dev"}
    assert analysis.requires_python == ">=3.11"


async def test_languages_tests_documentation_and_ci_are_counted(project: Path) -> None:
    analysis = await analysed(project)
    python = next(language for language in analysis.languages if language.name == "Python")
    assert (python.files, python.lines) == (3, 5)
    assert analysis.practices.test_files == 1
    assert analysis.practices.documentation_files == 1
    assert analysis.practices.ci == (".github/workflows/ci.yml",)


async def test_activity_is_counted_up_to_now(project: Path) -> None:
    activity = (await analysed(project)).activity
    assert activity is not None
    assert activity.last_commit_at == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert (activity.commits_90_days, activity.authors_365_days) == (1, 1)


async def test_only_tracked_files_count(project: Path) -> None:
    (project / "scratch.py").write_text("import beta\n")
    analysis = await analysed(project)
    assert "beta" not in {i.module for i in analysis.imports}


async def test_where_nothing_is_tracked_yet_what_is_not_ignored_counts(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    (tmp_path / "new.py").write_text("import alpha\n")
    (tmp_path / "ignored.py").write_text("import beta\n")
    analysis = await analysed(tmp_path)
    assert {i.module for i in analysis.imports} == {"alpha"}
    assert any(gap.what == "recent activity" for gap in analysis.gaps)


async def test_outside_git_the_directory_is_walked_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import alpha\n")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "b.py").write_text("import beta\n")
    analysis = await analysed(tmp_path)
    assert analysis.listed_by == "directory walk"
    assert {i.module for i in analysis.imports} == {"alpha"}
    assert any(gap.what == "tracked files" for gap in analysis.gaps)


async def test_without_git_the_walk_and_the_gap_stand_in(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    analysis = await analysed(project)
    assert analysis.listed_by == "directory walk"
    assert analysis.activity is None
    assert any("not installed" in gap.why for gap in analysis.gaps)


async def test_links_and_pipes_and_what_is_too_large_are_not_read(project: Path) -> None:
    secret = project.parent / "secret.py"
    secret.write_text("import hidden\n")
    (project / "link.py").symlink_to(secret)
    (project / "large.py").write_text("import big\n" + "#" * (1 << 20))
    (project / "broken.py").write_text("import (\n")
    git(project, "add", ".")
    (project / "tests" / "test_store.py").unlink()
    os.mkfifo(project / "tests" / "test_store.py")
    analysis = await analysed(project)
    assert {"hidden", "big"}.isdisjoint(i.module for i in analysis.imports)
    assert analysis.skipped == {
        "not a file": 1,
        "not parsed as Python": 1,
        "symbolic link": 1,
        "too large": 1,
    }


async def test_a_tracked_directory_that_became_a_link_out_is_not_entered(project: Path) -> None:
    outside = project.parent / "outside"
    (outside / "app").mkdir(parents=True)
    (outside / "app" / "store.py").write_text("import hidden\n")
    (project / "src").rename(project.parent / "moved")
    (project / "src").symlink_to(outside)
    analysis = await analysed(project)
    assert "hidden" not in {i.module for i in analysis.imports}
    assert analysis.skipped["outside the repository"] == 2


async def test_a_hostile_repository_runs_nothing(project: Path) -> None:
    """Hooks, monitors, pagers and signature programs that the repository configures stay still."""
    canary = project.parent / "canary"
    program = project.parent / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {canary}\n")
    program.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "gpg.program",
        "diff.external",
        "core.editor",
        "credential.helper",
        "filter.x.clean",
        "filter.x.smudge",
        "diff.x.textconv",
        "uploadpack.packObjectsHook",
    ):
        git(project, "config", key, str(program))
    git(project, "config", "log.showSignature", "true")
    git(project, "config", "alias.log", f"!{program}")
    git(project, "config", "alias.ls-files", f"!{program}")
    git(project, "config", "core.hooksPath", str(project.parent))
    (project / ".git" / "info" / "attributes").write_text("* filter=x diff=x\n")
    (project / "pip.py").write_text(f"open({str(canary)!r}, 'w')\n")
    (project / "setup.py").write_text(f"open({str(canary)!r}, 'w')\n")
    await analysed(project)
    assert not canary.exists()


async def test_invalid_escapes_in_a_project_warn_nobody(project: Path) -> None:
    (project / "src" / "app" / "store.py").write_text("import alpha\nx = '\\d'\n")
    analysis = await analysed(project)
    assert "alpha" in {i.module for i in analysis.imports}
    assert analysis.skipped == {}


async def test_code_that_nests_too_deep_is_counted_and_not_fatal(project: Path) -> None:
    (project / "src" / "app" / "store.py").write_text("x = " + "(" * 5_000 + ")" * 5_000)
    (project / "src" / "app" / "__init__.py").write_text("-" * 50_000 + "1")
    analysis = await analysed(project)
    assert analysis.skipped == {"not parsed as Python": 2}


async def test_cancellation_ends_an_analysis(project: Path) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await analysed(project)
    assert scope.cancelled_caught


async def test_a_scan_that_has_no_time_says_what_it_did_not_read(project: Path) -> None:
    analysis = await analyse(
        AnalyseRequest(question="Which SQLite library?"),
        root=project,
        progress=lambda message, fraction: None,
        scan_s=0.0,
    )
    assert any("before the deadline" in gap.why for gap in analysis.gaps)


async def test_the_same_repository_gives_the_same_analysis(project: Path) -> None:
    assert await analysed(project) == await analysed(project)
