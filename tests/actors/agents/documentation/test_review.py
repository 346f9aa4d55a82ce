import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from actors.agents.documentation.config import DocumentationConfig
from actors.agents.documentation.links import Checked, check_links
from actors.agents.documentation.markdown import parse
from actors.agents.documentation.messages import Check, ReviewRequest
from actors.agents.documentation.review import review
from actors.agents.documentation.spelling import check_spelling
from actors.agents.documentation.templates import MARK
from actors.agents.kit.outcome import Finding
from actors.agents.kit.toolbox import Toolbox
from actors.agents.protocol import Task
from tests.actors.agents.documentation.conftest import shown, tree_in
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


def links(root: Path, files: dict[str, str], *others: str) -> Checked:
    tree = replace(tree_in(root, files), others=others)
    return check_links(tree, {p: parse(tree.text(p)) for p in tree.paths if p.endswith(".md")})


def test_a_link_to_a_file_that_was_moved_has_a_repair(tmp_path: Path) -> None:
    files = {"README.md": "[a](guide.md#top) [b](docs/none.md)\n", "docs/deep/guide.md": "# Top\n"}
    found = links(tmp_path, files)
    (repair,) = found.repairs
    assert (repair.old, repair.new) == ("guide.md#top", "docs/deep/guide.md#top")
    assert len(found.findings) == 2


def test_an_anchor_that_is_nearly_right_has_a_repair(tmp_path: Path) -> None:
    found = links(tmp_path, {"a.md": "# Begin here\n\n[x](#begins-here) [y](#other)\n"})
    assert [(mend.old, mend.new) for mend in found.repairs] == [("#begins-here", "#begin-here")]
    assert len(found.findings) == 2


def test_what_leads_somewhere_is_no_finding(tmp_path: Path) -> None:
    text = (
        "[a](/docs/b.md) [b](docs/) [c](docs/b%20c.md?raw=1#L3) [d](https://example.org/x)\n"
        "[e](mailto:a@example.org) [f](../../issues) [g](docs/b.md#Begin) [h](<docs/b c.md>)\n"
        "[i](docs/code.py#L10-L20) [j](#here)\n\n# Here\n"
    )
    files = {"README.md": text, "docs/b.md": "# Begin\n", "docs/b c.md": "", "docs/code.py": ""}
    found = links(tmp_path, files)
    assert (found.findings, found.links, found.outside) == ([], 10, 2)


def test_a_link_to_a_symbolic_link_or_a_submodule_is_whole(tmp_path: Path) -> None:
    text = "[a](docs/x.md) [b](linked/y.md) [c](nothing)\n"
    (finding,) = links(tmp_path, {"README.md": text}, "docs/x.md", "linked").findings
    assert "nothing" in finding.message


async def test_misspelt_words_are_found_and_mended_outside_of_code(
    task_in: Callable[[Path], Task], tmp_path: Path
) -> None:
    text = f"{THE.title()} first.\n\n```text\n{THE} second\n```\n"
    repo = repository(tmp_path / "repo", {"README.md": text, "docs/a.rst": f"{LEFT}\n"})
    request = ReviewRequest(checks=(Check.SPELLING,))
    found = await review(task_in(repo), request, DocumentationConfig())
    assert shown(found.findings) == [
        f"README.md:1: {THE.title()}: The",
        f"README.md:4: {THE}: the",
        f"docs/a.rst:1: {LEFT}: abandoned",
    ]
    assert [(str(mend.place), mend.old, mend.new) for mend in found.repairs] == [
        ("README.md:1", THE.title(), "The"),
        ("docs/a.rst:1", LEFT, "abandoned"),
    ]


async def test_misspelt_words_never_crowd_out_a_broken_link(
    task_in: Callable[[Path], Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.agents.documentation.review.MAX_FINDINGS", 1)
    repo = repository(tmp_path / "repo", {"README.md": f"{THE} [a](none.md)\n"})
    found = await review(task_in(repo), ReviewRequest(), DocumentationConfig())
    assert [finding.rule for finding in found.findings] == ["broken-link"]
    assert found.metrics["findings"] == 2


async def test_words_can_be_said_to_be_right(tmp_path: Path) -> None:
    tree_in(tmp_path, {"README.md": f"{THE} {LEFT}\n"})
    findings, _, _ = await check_spelling(Toolbox(tmp_path), ["README.md"], [THE])
    assert shown(findings) == [f"README.md:1: {LEFT}: abandoned"]


async def test_without_codespell_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Toolbox, "find", lambda *_: None)
    _, _, (skipped,) = await check_spelling(Toolbox(tmp_path), ["README.md"])
    assert skipped.install == "install beadflow[documentation]"


async def test_without_a_markdown_parser_it_says_what_to_install(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "markdown_it", None)
    request = ReviewRequest(checks=(Check.LINKS,))
    (skipped,) = (await review(task, request, DocumentationConfig())).skipped
    assert skipped.what == "markdown-it-py"


async def test_pages_made_from_code_are_followed_and_not_reviewed(
    task_in: Callable[[Path], Task], tmp_path: Path
) -> None:
    text = f"{MARK}\n\n{THE}\n\n```python\ndef a(b: C) -> D\n```\n\n# X\n"
    files = {"docs/api/a.md": text, "README.md": "[a](docs/api/a.md#x)\n"}
    repo = repository(tmp_path / "repo", files)
    found = await review(task_in(repo), ReviewRequest(), DocumentationConfig())
    assert (found.findings, found.metrics["links"]) == ((), 1)


async def test_code_is_not_run_when_the_configuration_says_so(
    task_in: Callable[[Path], Task], tmp_path: Path
) -> None:
    repo = repository(tmp_path / "repo", {"README.md": "```python\n1 / 0\n```\n"})
    config = DocumentationConfig(run_code=False)
    found = await review(task_in(repo), ReviewRequest(checks=(Check.CODE,)), config)
    assert (found.findings, found.skipped[0].what) == ((), "code blocks")
    asked = ReviewRequest(checks=(Check.CODE,), run_code=True)
    assert len((await review(task_in(repo), asked, config)).findings) == 1
