from pathlib import Path
from typing import Any

import pytest

from actors.agents.poc.messages import (
    ImplementRequest,
    SandboxRequest,
    Template,
)
from actors.workflows.definition import ActivityFailure
from tests.actors.agents.poc.conftest import Desk, commit_files
from tests.support.hostile import git

PATCH = """\
diff --git a/a.txt b/a.txt
index 5626abf..f719efd 100644
--- a/a.txt
+++ b/a.txt
@@ -1 +1 @@
-one
+two
"""


async def opened(desk: Desk) -> Path:
    ready = await desk.agent.sandbox(desk.task("open"), SandboxRequest())
    return Path(ready.path)


async def test_files_are_written_and_committed_on_the_sandboxs_branch(desk: Desk) -> None:
    root = await opened(desk)
    done = await desk.agent.implement(
        desk.task(), ImplementRequest(message="Add b", files={"a/b.txt": "hello\n"})
    )
    assert done.files == ("a/b.txt",)
    assert done.commit == git(desk.site.repo, "rev-parse", "beadflow/wf-1").strip()
    assert (root / "a" / "b.txt").read_text(encoding="utf-8") == "hello\n"
    assert git(desk.site.repo, "log", "-1", "--format=%s", "beadflow/wf-1").strip() == "Add b"


async def test_the_users_work_tree_stays_as_it_was(desk: Desk) -> None:
    (desk.site.repo / "mine.txt").write_text("not committed", encoding="utf-8")
    before = git(desk.site.repo, "status", "--porcelain"), git(desk.site.repo, "rev-parse", "HEAD")
    await opened(desk)
    await desk.agent.implement(desk.task(), ImplementRequest(files={"mine.txt": "theirs"}))
    after = git(desk.site.repo, "status", "--porcelain"), git(desk.site.repo, "rev-parse", "HEAD")
    assert after == before
    assert (desk.site.repo / "mine.txt").read_text(encoding="utf-8") == "not committed"


async def test_a_step_that_runs_again_commits_nothing_twice(desk: Desk) -> None:
    commit_files(desk.site.repo, "first", {"a.txt": "one\n"})
    await opened(desk)
    request = ImplementRequest(message="Count", patch=PATCH, files={"b.txt": "b\n"})
    first = await desk.agent.implement(desk.task("1"), request)
    assert await desk.agent.implement(desk.task("1"), request) == first
    assert git(desk.site.repo, "rev-list", "--count", "main..beadflow/wf-1").strip() == "1"


async def test_a_patch_may_have_lost_its_last_newlines(desk: Desk) -> None:
    """As a shell's `$(git diff)` has."""
    commit_files(desk.site.repo, "first", {"a.txt": "one\n\n"})
    await opened(desk)
    patch = PATCH.replace("@@ -1 +1 @@", "@@ -1,2 +1,2 @@")
    done = await desk.agent.implement(desk.task(), ImplementRequest(patch=patch.rstrip("\n")))
    assert done.files == ("a.txt",)


async def test_a_step_that_broke_off_before_its_commit_goes_on(desk: Desk) -> None:
    commit_files(desk.site.repo, "first", {"a.txt": "one\n"})
    root = await opened(desk)
    (root / "a.txt").write_text("two\n", encoding="utf-8")
    git(root, "add", "a.txt")
    done = await desk.agent.implement(desk.task(), ImplementRequest(patch=PATCH))
    assert done.files == ("a.txt",)


async def test_without_anything_to_change_it_commits_what_lies_there(desk: Desk) -> None:
    root = await opened(desk)
    (root / "left.txt").write_text("by somebody\n", encoding="utf-8")
    done = await desk.agent.implement(desk.task(), ImplementRequest(message="Keep it"))
    assert done.files == ("left.txt",)
    again = await desk.agent.implement(desk.task("1"), ImplementRequest())
    assert (again.files, again.commit) == ((), done.commit)


@pytest.mark.parametrize("path", ["../a", "/etc/x", ".git/hooks/x", "a\0b", "", "link/x", "file/x"])
async def test_a_file_that_would_be_outside_is_refused(desk: Desk, path: str) -> None:
    root = await opened(desk)
    (root / "link").symlink_to(root.parent)
    (root / "file").write_text("", encoding="utf-8")
    with pytest.raises(ActivityFailure) as caught:
        await desk.agent.implement(desk.task(), ImplementRequest(files={path: "x"}))
    assert (caught.value.code, caught.value.retryable) == ("bad_path", False)


async def test_a_file_is_not_written_through_a_link(desk: Desk, tmp_path: Path) -> None:
    root = await opened(desk)
    secret = tmp_path / "secret.txt"
    secret.write_text("secret", encoding="utf-8")
    (root / "link.txt").symlink_to(secret)
    with pytest.raises(ActivityFailure):
        await desk.agent.implement(desk.task(), ImplementRequest(files={"link.txt": "x"}))
    assert secret.read_text(encoding="utf-8") == "secret"


async def test_a_template_is_filled_and_committed(desk: Desk) -> None:
    await opened(desk)
    template = Template(
        name="module",
        answers={"package": "orchard", "name": "pears", "functions": ["pick", "eat"]},
    )
    done = await desk.agent.implement(desk.task(), ImplementRequest(template=template))
    assert done.files == ("orchard/pears.py", "tests/test_pears.py")
    text = git(desk.site.repo, "show", "beadflow/wf-1:orchard/pears.py")
    assert "def pick() -> None:" in text
    assert "def eat() -> None:" in text


@pytest.mark.parametrize(
    ("name", "answers", "code"),
    [
        ("no-such", {}, "unknown_template"),
        ("package", {}, "bad_answers"),
        ("package", {"name": "../x"}, "bad_answers"),
        ("package", {"name": "a", "summary": '"""\nimport os'}, "bad_answers"),
        ("package", {"name": "{{ 7 * 7 }}"}, "bad_answers"),
        ("package", {"name": "a", "more": 1}, "bad_answers"),
        ("module", {"package": "a", "name": "b", "functions": []}, "bad_answers"),
    ],
)
async def test_an_odd_template_or_answer_is_refused(
    desk: Desk, name: str, answers: dict[str, Any], code: str
) -> None:
    await opened(desk)
    request = ImplementRequest(template=Template(name=name, answers=answers))
    with pytest.raises(ActivityFailure) as caught:
        await desk.agent.implement(desk.task(), request)
    assert (caught.value.code, caught.value.retryable) == (code, False)


async def test_an_answer_is_never_rendered_itself(desk: Desk) -> None:
    await opened(desk)
    answers: dict[str, Any] = {"name": "a", "summary": "{{ 7 * 7 }}"}
    template = Template(name="package", answers=answers)
    await desk.agent.implement(desk.task(), ImplementRequest(template=template))
    assert "{{ 7 * 7 }}" in git(desk.site.repo, "show", "beadflow/wf-1:README.md")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"patch": "garbage"}, "bad_patch"),
        ({"patch": PATCH.replace("-one", "-three")}, "patch_conflict"),
        ({"files": {"new/b.txt": "x", "c.txt": "y", "new": "z"}}, "bad_path"),
    ],
)
async def test_a_change_of_which_a_part_does_not_fit_leaves_everything_as_it_was(
    desk: Desk, more: dict[str, Any], code: str
) -> None:
    commit_files(desk.site.repo, "first", {"a.txt": "one\n", "c.txt": "c\n"})
    root = await opened(desk)
    (root / "c.txt").write_text("by somebody\n", encoding="utf-8")
    template = Template(name="module", answers={"package": "orchard", "name": "pears"})
    given: dict[str, Any] = {"template": template, "files": {"new/b.txt": "x", "c.txt": "y"}}
    with pytest.raises(ActivityFailure) as caught:
        await desk.agent.implement(desk.task(), ImplementRequest(**given | more))
    assert caught.value.code == code
    assert git(root, "status", "--porcelain") == " M c.txt\n"
    assert (root / "c.txt").read_text(encoding="utf-8") == "by somebody\n"
    assert sorted(path.name for path in root.iterdir()) == [".git", "a.txt", "c.txt"]
