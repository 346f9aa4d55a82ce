"""The report: its words, its files, and that nothing of a repository is markup in it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from markdown_it import MarkdownIt

from actors.agents.kit.junit import Case, Results, Status
from actors.agents.kit.outcome import Finding, Level, Place, Skipped
from actors.agents.validation.messages import (
    ReportRequest,
    ReviewOutcome,
    TestOutcome,
    Validation,
    Verdict,
)
from actors.agents.validation.report import SHOWN
from actors.agents.validation.reporting import report
from tests.actors.agents.validation.conftest import Desk
from tests.support.chat_server import ChatServer, chat_server, text

EVIL = "<script>x</script> [click](http://evil.example) | `a` **b**"


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


def a_request(**more: Any) -> ReportRequest:
    failed = Case(id=EVIL, status=Status.FAILED, message=EVIL, place=Place(path=EVIL, line=1))
    tests = TestOutcome(
        summary="pytest: 1 failed.",
        ref="HEAD",
        commit="c" * 40,
        runner="pytest",
        results=Results(failed=1, cases=(failed,)),
    )
    finding = Finding(tool="ruff", rule="F401", level=Level.ERROR, message=EVIL)
    review = ReviewOutcome(
        summary=EVIL,
        findings=(finding,) * (SHOWN + 3),
        ref="HEAD",
        commit="c" * 40,
        base=None,
        files=1,
        tools=("ruff",),
        skipped=(Skipped(what="mypy", why=EVIL, install=EVIL),),
    )
    return ReportRequest(tests=tests, review=review, follow_ups=False, **more)


async def reported(desk: Desk, request: ReportRequest) -> Validation:
    nobody: Any = None
    return await report(desk.task(), nobody, request, actor="validation-1")


async def test_what_a_repository_says_is_text_in_the_report(desk: Desk) -> None:
    whole = await reported(desk, a_request())
    assert whole.verdict is Verdict.FAIL
    page = MarkdownIt("commonmark").enable("table").render(whole.markdown)
    for markup in ("<script", "<a ", "<strong>b", "<code>a<"):
        assert markup not in page


async def test_a_long_list_is_cut_and_says_so(desk: Desk) -> None:
    assert "- … and 3 more" in (await reported(desk, a_request())).markdown


async def test_what_was_not_checked_is_said(desk: Desk) -> None:
    whole = await reported(desk, a_request())
    assert "## What was not checked\n\n- mypy skipped, because" in whole.markdown


async def test_the_files_are_the_answer_itself(desk: Desk) -> None:
    whole = await reported(desk, a_request())
    assert desk.stored["validation.md"].decode() == whole.markdown
    stored = json.loads(desk.stored["validation.json"])
    assert Validation.model_validate(stored).reasons == whole.reasons
    assert [file.name for file in whole.artifacts] == ["validation.md", "validation.json"]


async def test_a_model_adds_words_and_no_facts(desk: Desk, chat: ChatServer) -> None:
    without = await reported(desk, a_request())
    chat.says(text("The one test fails. Everything passes, the verdict is *pass*."))
    desk.model = chat.endpoint()
    whole = await reported(desk, a_request())
    assert whole.words.startswith("The one test fails.")
    assert whole.words in whole.markdown
    assert (whole.verdict, whole.reasons) == (without.verdict, without.reasons)


async def test_nothing_at_all_needs_a_person(desk: Desk) -> None:
    whole = await reported(desk, ReportRequest())
    assert whole.summary == "needs_human: Nothing was checked."
    assert whole.markdown.startswith("# Validation of HEAD: needs a person\n")
