from typing import Any

import pytest

from actors.agents.validation.acceptance import MOST, accept, parse
from actors.agents.validation.messages import AcceptOutcome, AcceptRequest, Verdict
from tests.actors.agents.validation.conftest import Desk
from tests.support.planted import Planted


async def accepted(desk: Desk, text: str, **more: Any) -> AcceptOutcome:
    return await accept(desk.task(), AcceptRequest(**more), text, deadline_s=20)


async def verdict_of(desk: Desk, line: str) -> tuple[Verdict, str]:
    (criterion,) = (await accepted(desk, line)).criteria
    return criterion.verdict, criterion.why


def test_each_line_is_a_criterion_and_headings_are_none() -> None:
    text = "## Done when\n\n- [ ] cmd: make test\n* [x] `file: docs/a.md`\n3. it is quick\n-\n"
    assert [(one.kind, one.operand) for one in parse(text)] == [
        ("cmd", "make test"),
        ("file", "docs/a.md"),
        ("judgement", "it is quick"),
    ]


@pytest.mark.parametrize(
    ("line", "verdict", "why"),
    [
        ("file: docs/guide.md", Verdict.PASS, "there is docs/guide.md"),
        ("file: tests/test_*.py", Verdict.PASS, "there is tests/test_counts.py, tests/test_pri"),
        ("file: docs/rest.md", Verdict.FAIL, "no file of the commit is docs/rest.md"),
        ("file: ../../etc/passwd", Verdict.FAIL, "no file of the commit is ../../etc/passwd"),
        ("file: /etc/passwd", Verdict.FAIL, "no file of the commit is /etc/passwd"),
        ("text: README.md: Counts apples", Verdict.PASS, "it is in README.md:3"),
        ("text: docs/*.md: Orchard", Verdict.FAIL, "it is in none of 2 files"),
        ("text: /etc/passwd: root", Verdict.FAIL, "there is no /etc/passwd"),
        ("text: README.md", Verdict.NEEDS_HUMAN, "write `text: <file>: <what is in it>`"),
        ("the prices are fair", Verdict.NEEDS_HUMAN, "only a person can tell"),
        ("cmd: rm -rf /", Verdict.NEEDS_HUMAN, "it was not run: 'rm' is no program that this"),
        ("cmd: echo 'a", Verdict.NEEDS_HUMAN, "it was not run: No closing quotation"),
        ("cmd:", Verdict.NEEDS_HUMAN, "it was not run: a command is a list of words"),
    ],
)
async def test_a_criterion_is_checked_as_it_says(
    desk: Desk, line: str, verdict: Verdict, why: str
) -> None:
    found, said = await verdict_of(desk, line)
    assert found is verdict
    assert said.startswith(why)


async def test_a_command_is_run_on_the_commits_files_and_what_it_said_is_evidence(
    desk: Desk,
) -> None:
    desk.commands = ("ls",)
    outcome = await accepted(desk, "- cmd: ls orchard\n- cmd: ls nowhere")
    good, bad = outcome.criteria
    assert (good.verdict, bad.verdict) == (Verdict.PASS, Verdict.FAIL)
    assert (good.evidence, bad.evidence) == (("E1",), ("E2",))
    assert "counts.py" in outcome.evidence[0].statement
    assert "ls exited with 2" in outcome.evidence[1].statement
    assert outcome.summary == "1 of 2 criteria are met, 1 are not, 0 are for a person."


async def test_a_command_with_shell_signs_is_words(desk: Desk) -> None:
    desk.commands = ("echo",)
    outcome = await accepted(desk, "cmd: echo hello; touch evil && ls $(pwd) > out")
    assert outcome.criteria[0].verdict is Verdict.PASS
    assert "hello; touch evil && ls $(pwd) > out" in outcome.evidence[0].statement


async def test_criteria_are_checked_at_the_commit(desk: Desk, there: Planted) -> None:
    outcome = await accepted(desk, "file: tests/test_wholesale.py", ref=there.base)
    assert outcome.criteria[0].verdict is Verdict.FAIL


async def test_no_criteria_are_none(desk: Desk) -> None:
    assert (await accepted(desk, "\n# Only a title\n")).summary == (
        "There are no acceptance criteria."
    )


async def test_criteria_without_end_are_for_a_person(desk: Desk) -> None:
    outcome = await accepted(desk, "file: README.md\n" * (MOST + 1))
    assert [one.verdict for one in outcome.criteria[-2:]] == [Verdict.PASS, Verdict.NEEDS_HUMAN]
