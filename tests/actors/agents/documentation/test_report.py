from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from actors.agents.documentation.messages import (
    ApiChanges,
    Change,
    Coverage,
    Generated,
    ReportRequest,
    Review,
    Updated,
)
from actors.agents.documentation.report import report
from actors.agents.documentation.surface import NO_PACKAGE
from actors.agents.kit.outcome import Finding, Level, Place, Skipped
from actors.agents.protocol import Task
from tests.actors.agents.documentation.conftest import Shelf
from tests.support.chat_server import ChatServer, text

LINK = Finding(
    tool="beadflow",
    rule="broken-link",
    level=Level.ERROR,
    message="'<script>' leads to no file",
    place=Place(path="a.md", line=3),
)
WORD = Finding(tool="codespell", rule="spelling", level=Level.WARNING, message="a: b")
MISSING = Skipped(what="griffe", why="it is not installed", install="install it")


def asked(*findings: Finding, passed: bool = True, changed: bool = False) -> ReportRequest:
    change = Change(path="shop.sell", what="`sell(price)`: Parameter was removed")
    return ReportRequest(
        generated=Generated(summary="Pages.", commit="abc", skipped=(MISSING,)),
        coverage=Coverage(
            summary="Counted.",
            commit="abc",
            described=3,
            total=4,
            percent=75.0,
            passed=passed,
            metrics={"percent": 75.0},
            skipped=(MISSING,),
        ),
        review=Review(summary="Read.", commit="abc", findings=findings),
        changes=ApiChanges(
            summary="Compared.", base="0", commit="abc", breaking=(change,), changelog="### Changed"
        )
        if changed
        else None,
        update=Updated(summary="Mended.", branch="fresh", base="abc", commit="def", diffstat="1")
        if changed
        else None,
    )


@pytest.fixture
def task(task_in: Callable[[Path], Task], tmp_path: Path) -> Task:
    return task_in(tmp_path)


async def test_a_broken_link_is_not_passed_and_a_misspelt_word_is(task: Task) -> None:
    assert not (await report(task, asked(LINK))).passed
    assert (await report(task, asked(WORD))).passed


async def test_too_little_that_is_described_is_not_passed(task: Task) -> None:
    assert not (await report(task, asked(passed=False))).passed


async def test_the_summary_says_in_a_sentence_whether_all_is_well(task: Task) -> None:
    said = "75.0 % described, {} broken links or blocks."
    well, broken = await report(task, asked(WORD)), await report(task, asked(LINK))
    assert well.summary == f"The documentation is in order: {said.format(0)}"
    assert broken.summary == f"The documentation needs work: {said.format(1)}"


@pytest.mark.parametrize(
    ("skipped", "said"),
    [((NO_PACKAGE,), "there is nothing to describe"), ((MISSING,), "no code was read")],
)
async def test_nothing_is_not_said_to_be_described(
    task: Task, skipped: tuple[Skipped, ...], said: str
) -> None:
    request = asked()
    none = {"described": 0, "total": 0, "percent": 100.0, "skipped": skipped}
    coverage = request.coverage.model_copy(update=none)
    made = await report(task, request.model_copy(update={"coverage": coverage}))
    assert made.summary == f"The documentation is in order: {said}, 0 broken links or blocks."


async def test_the_report_tells_of_every_step_and_is_stored(task: Task, shelf: Shelf) -> None:
    made = await report(task, asked(LINK, changed=True))
    assert shelf["documentation/report.md"].decode() == made.markdown
    for said in ("75.0 % described", "Since `0`", "### Changed", "Commit `def` on `fresh`"):
        assert said in made.markdown
    assert [file.name for file in made.artifacts] == ["documentation/report.md"]
    assert (made.metrics, made.skipped) == ({"percent": 75.0}, (MISSING,))


async def test_what_was_found_is_shown_as_text(task: Task) -> None:
    made = await report(task, asked(LINK))
    assert r"- error: '\<script>' leads to no file (a.md:3)" in made.markdown
    assert made.markdown.count("griffe skipped") == 1


async def test_a_model_has_its_say_about_the_facts_and_changes_none(
    task: Task, chat: ChatServer
) -> None:
    chat.says(text("All is **well**."))
    asking = replace(task, site=replace(task.site, model=chat.endpoint()))
    made = await report(asking, asked(LINK))
    assert made.words == r"All is \*\*well\*\*."
    assert not made.passed
    assert made.words in made.markdown
    assert "leads to no file" in chat.asked[0].last["content"]
    assert (await report(task, asked(LINK))).words == ""
