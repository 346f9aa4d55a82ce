from pathlib import Path
from typing import Any

import pytest

from actors.agents.documentation.config import DocumentationConfig
from actors.agents.documentation.messages import Check, ReviewRequest
from actors.agents.documentation.review import review
from actors.agents.documentation.templates import MARK
from actors.agents.kit.outcome import Finding
from actors.agents.protocol import Task
from tests.actors.agents.documentation.conftest import shown
from tests.support.planted import Planted
from tests.support.repos import git, repository

THE, LEFT = "het"[::-1], "dennodnaba"[::-1]
"""Two misspelt words, which nobody is to mend here."""


def spot(finding: Finding) -> tuple[str, int | None]:
    assert finding.place is not None
    return finding.place.path, finding.place.line


async def test_exactly_the_planted_link_and_anchor_are_broken(task: Task, orchard: Planted) -> None:
    found = await review(task, ReviewRequest(), DocumentationConfig())
    link, anchor = found.findings
    assert (link.rule, *spot(link)) == (
        "broken-link",
        orchard.broken_link.path,
        orchard.broken_link.line,
    )
    assert (anchor.rule, *spot(anchor)) == (
        "broken-anchor",
        orchard.broken_anchor.path,
        orchard.broken_anchor.line,
    )
    assert orchard.link in link.message
    assert orchard.anchor in anchor.message
    assert (found.commit, found.skipped, found.metrics["blocks_run"]) == (orchard.head, (), 1)


async def test_the_users_work_tree_stays_as_it_was(task: Task, orchard: Planted) -> None:
    await review(task, ReviewRequest(), DocumentationConfig())
    assert git(orchard.repo, "status", "--porcelain", "--ignored") == ""
    assert git(orchard.repo, "worktree", "list").count("\n") == 0
    assert git(orchard.repo, "branch", "--format=%(refname:short)") == "main"


async def test_a_link_to_a_file_that_was_moved_has_a_repair(reviewed: Any) -> None:
    files = {"README.md": "[a](guide.md#top) [b](docs/none.md)\n", "docs/deep/guide.md": "# Top\n"}
    found = await reviewed(files, Check.LINKS)
    (repair,) = found.repairs
    assert (repair.old, repair.new) == ("guide.md#top", "docs/deep/guide.md#top")
    assert len(found.findings) == 2


async def test_an_anchor_that_is_nearly_right_has_a_repair(reviewed: Any) -> None:
    found = await reviewed({"a.md": "# Begin here\n\n[x](#begins-here) [y](#other)\n"}, Check.LINKS)
    assert [(repair.old, repair.new) for repair in found.repairs] == [
        ("#begins-here", "#begin-here")
    ]
    assert len(found.findings) == 2


async def test_what_leads_somewhere_is_no_finding(reviewed: Any) -> None:
    text = (
        "[a](/docs/b.md) [b](docs/) [c](docs/b%20c.md?raw=1#L3) [d](https://example.org/x)\n"
        "[e](mailto:a@example.org) [f](../../issues) [g](docs/b.md#Begin) [h](<docs/b c.md>)\n"
        "[i](docs/code.py#L10-L20) [j](#here)\n\n# Here\n"
    )
    files = {"README.md": text, "docs/b.md": "# Begin\n", "docs/b c.md": "", "docs/code.py": ""}
    found = await reviewed(files, Check.LINKS)
    assert shown(found) == []
    assert found.metrics["links_outside"] == 2
    assert str(found.skipped[0]).startswith("2 links skipped, because only links within")


async def test_a_link_to_a_symbolic_link_is_whole(reviewed: Any, tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", {"README.md": "[a](docs/x.md) [b](linked/y.md)\n"})
    (repo / "linked").symlink_to("elsewhere")
    (repo / "docs").mkdir()
    (repo / "docs" / "x.md").symlink_to("../README.md")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "-m", "links")
    assert shown(await reviewed({}, Check.LINKS)) == []


async def test_misspelt_words_are_found_and_mended_outside_of_code(reviewed: Any) -> None:
    text = f"{THE.title()} first.\n\n```text\n{THE} second\n```\n"
    found = await reviewed({"README.md": text, "docs/a.rst": f"{LEFT}\n"}, Check.SPELLING)
    assert shown(found) == [
        f"README.md:1: {THE.title()}: The",
        f"README.md:4: {THE}: the",
        f"docs/a.rst:1: {LEFT}: abandoned",
    ]
    assert [(str(r.place), r.old, r.new) for r in found.repairs] == [
        ("README.md:1", THE.title(), "The"),
        ("docs/a.rst:1", LEFT, "abandoned"),
    ]


async def test_words_can_be_said_to_be_right(reviewed: Any) -> None:
    found = await reviewed({"README.md": f"{THE} {LEFT}\n"}, Check.SPELLING, words=(THE,))
    assert shown(found) == [f"README.md:1: {LEFT}: abandoned"]


async def test_without_codespell_it_says_what_to_install(
    reviewed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.agents.kit.toolbox.Toolbox.find", lambda *_: None)
    (skipped,) = (await reviewed({"README.md": f"{THE}\n"}, Check.SPELLING)).skipped
    assert skipped.install == "install beadflow[documentation]"


async def test_without_a_markdown_parser_it_says_what_to_install(
    reviewed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "markdown_it", None)
    (skipped,) = (await reviewed({"README.md": "[a](b)\n"}, Check.LINKS)).skipped
    assert skipped.what == "markdown-it-py"


async def test_pages_made_from_code_are_not_reviewed(reviewed: Any) -> None:
    files = {"docs/api/a.md": f"{MARK}\n\n{THE}\n\n```python\ndef a(b: C) -> D\n```\n\n# X\n"}
    files["README.md"] = "[a](docs/api/a.md#x)\n"
    assert shown(await reviewed(files)) == []
