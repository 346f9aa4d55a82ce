"""Histories run against the code, while nothing happens."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.workflows import document
from actors.workflows.definition import Definitions
from actors.workflows.document import RecordedWorkflow
from actors.workflows.history import HistoryEvent, Kind
from actors.workflows.rerun import Fit, Verdict, rerun
from actors.workflows.voiding import in_force
from beadflow import ActivityFailure, Context, activity, workflow
from storage import payload
from tests.support import histories

STARTED, COMPLETED = Kind.WORKFLOW_STARTED, Kind.WORKFLOW_COMPLETED
DONE, FAILED = Kind.ACTIVITY_COMPLETED, Kind.WORKFLOW_FAILED

happened: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    happened.clear()


@activity
async def a() -> str:
    happened.append("a")
    return "a"


@activity
async def b() -> str:
    happened.append("b")
    return "b"


@activity
async def c() -> str:
    happened.append("c")
    return "c"


def produce() -> str:
    happened.append("produced")
    return "made"


Step = tuple[Kind, str, str, Any]


def history(*steps: Step, version: int = 1, given: Any = None) -> RecordedWorkflow:
    """A recorded workflow `w` of these events, each (kind, op, name, payload)."""
    start = (STARTED, "", "w", {"issue_id": "i", "version": version, "queued": False})
    events = tuple(
        HistoryEvent(
            seq=seq,
            kind=kind,
            op=op,
            name=name,
            payload=payload.encode(body),
            at="2026-01-01T00:00:00.000000Z",
        )
        for seq, (kind, op, name, body) in enumerate((start, *steps), 1)
    )
    return RecordedWorkflow(
        workflow_id="w-1",
        name="w",
        version=version,
        input=given or {},
        run=1,
        parent=None,
        events=events,
    )


def done(op: str, name: str) -> Step:
    return (DONE, op, name, {"result": name, "attempts": 1})


def completed(result: Any) -> Step:
    return (COMPLETED, "", "w", {"result": result})


def failed(code: str) -> Step:
    return (FAILED, "", "w", {"code": code, "message": "m", "attempts": 1})


async def check(found: RecordedWorkflow, function: Any) -> Verdict:
    return await rerun(found, Definitions.of([workflow(name="w")(function)]))


async def two_steps(ctx: Context) -> str:
    return await ctx.activity(a) + await ctx.activity(b)


async def test_a_history_that_ends_as_the_code_does_fits_completely() -> None:
    found = await check(history(done("1", "a"), done("2", "b"), completed("ab")), two_steps)
    assert (found.fit, found.complete, found.what) == (Fit.FITS, True, "fits and completed")


async def test_a_history_in_flight_fits_as_far_as_it_goes_and_nothing_happens() -> None:
    found = await check(history(done("1", "a")), two_steps)
    assert (found.fit, found.complete) == (Fit.FITS, False)
    assert found.what == "fits so far; next is activity 'b' at 2"
    assert happened == []


async def test_a_workflow_that_was_only_queued_fits() -> None:
    assert (await check(history(), two_steps)).fit is Fit.FITS


async def test_a_history_whose_end_is_not_recorded_yet_fits() -> None:
    found = await check(history(done("1", "a"), done("2", "b")), two_steps)
    assert (found.fit, found.what) == (Fit.FITS, "fits so far; then it completes")


async def swapped(ctx: Context) -> str:
    return await ctx.activity(b) + await ctx.activity(a)


async def test_steps_in_another_order_differ_with_both_named_and_what_to_do() -> None:
    found = await check(history(done("1", "a"), done("2", "b"), completed("ab")), swapped)
    assert found.fit is Fit.DIFFERS
    assert (found.recorded, found.requested) == ("activity 'a' at 1", "activity 'b' at 1")
    assert (found.op, found.seq) == ("1", 2)
    assert "the order of the steps was changed" in found.why
    assert "ctx.version" in found.instead


async def shorter(ctx: Context) -> str:
    return await ctx.activity(a)


async def longer(ctx: Context) -> str:
    await ctx.activity(a)
    await ctx.activity(b)
    return await ctx.activity(c)


async def test_a_step_that_was_removed_differs() -> None:
    found = await check(history(done("1", "a"), done("2", "b"), completed("a")), shorter)
    assert (found.fit, found.recorded, found.seq) == (Fit.DIFFERS, "activity 'b' at 2", 3)
    assert "removed" in found.why


async def test_a_step_that_was_added_at_the_end_differs_from_a_history_that_has_ended() -> None:
    found = await check(history(done("1", "a"), done("2", "b"), completed("c")), longer)
    assert (found.fit, found.requested) == (Fit.DIFFERS, "activity 'c' at 3")
    assert (found.recorded, found.seq) == ("the completion of the workflow", 4)


async def test_the_same_addition_fits_one_that_is_in_flight() -> None:
    assert (await check(history(done("1", "a"), done("2", "b")), longer)).fit is Fit.FITS


async def fewer_branches(ctx: Context) -> str:
    await ctx.gather(ctx.activity(a))
    return await ctx.activity(c)


async def test_a_branch_that_was_removed_differs_before_the_next_step() -> None:
    found = await check(history(done("1.0.1", "a"), done("1.1.1", "b")), fewer_branches)
    assert (found.fit, found.recorded) == (Fit.DIFFERS, "activity 'b' at 1.1.1")
    assert found.requested == "activity 'c' at 2"


async def branches(ctx: Context) -> str:
    async def one() -> str:
        return await ctx.activity(a) + await ctx.activity(c)

    return "".join(await ctx.gather(one(), ctx.activity(b)))


async def test_a_branch_that_stands_still_does_not_keep_the_others_from_being_compared() -> None:
    fits = history(done("1.1.1", "b"))
    assert (await check(fits, branches)).what == "fits so far; next is activity 'a' at 1.0.1"
    differs = await check(history(done("1.1.1", "c")), branches)
    assert (differs.fit, differs.requested) == (Fit.DIFFERS, "activity 'b' at 1.1.1")


async def test_of_several_branches_that_differ_the_first_recorded_one_is_told() -> None:
    async def other(ctx: Context) -> None:
        await ctx.gather(ctx.activity(c), ctx.activity(c), ctx.activity(c))

    recorded = history(done("1.1.1", "b"), done("1.0.1", "a"), done("1.2.1", "c"))
    found = {await check(recorded, other) for _ in range(20)}
    assert {(verdict.fit, verdict.op) for verdict in found} == {(Fit.DIFFERS, "1.1.1")}


async def test_of_several_branches_that_go_on_the_first_is_told() -> None:
    async def many(ctx: Context) -> None:
        await ctx.gather(*(ctx.activity(a) for _ in range(12)))

    found = {(await check(history(done("1.2.1", "a")), many)).what for _ in range(20)}
    assert found == {"fits so far; next is activity 'a' at 1.0.1"}


async def test_branches_in_place_of_a_step_and_a_step_in_place_of_branches_differ() -> None:
    found = await check(history(done("1", "a")), branches)
    assert (found.fit, found.requested) == (Fit.DIFFERS, "branches at 1")
    found = await check(history(done("1.0.1", "a")), two_steps)
    assert (found.fit, found.recorded) == (Fit.DIFFERS, "activity 'a' at 1.0.1")


async def test_another_output_from_the_same_steps_differs() -> None:
    async def reversed_(ctx: Context) -> str:
        first = await ctx.activity(a)
        return await ctx.activity(b) + first

    found = await check(history(done("1", "a"), done("2", "b"), completed("ab")), reversed_)
    assert (found.fit, found.recorded, found.requested) == (
        Fit.DIFFERS,
        'the output "ab"',
        'the output "ba"',
    )


async def raises(ctx: Context) -> None:
    await ctx.activity(a)
    raise ActivityFailure("broken", "for good")


async def test_a_workflow_that_failed_fits_when_it_fails_with_the_same_code() -> None:
    found = await check(history(done("1", "a"), failed("broken")), raises)
    assert (found.fit, found.complete) == (Fit.FITS, True)


@pytest.mark.parametrize(
    ("end", "function", "words"),
    [
        (failed("other"), raises, "the code fails with broken, recorded is a failure with other"),
        (failed("broken"), shorter, "recorded is the failure, the code completes"),
        (completed("a"), raises, "recorded is the completion, the code raises ActivityFailure"),
    ],
)
async def test_another_end_than_the_recorded_one_is_a_failure(
    end: Step, function: Any, words: str
) -> None:
    found = await check(history(done("1", "a"), end), function)
    assert found.fit is Fit.FAILS
    assert words in found.what


async def test_code_that_raises_before_all_is_asked_for_differs() -> None:
    found = await check(history(done("1", "a"), done("2", "b")), raises)
    assert (found.fit, found.recorded) == (Fit.DIFFERS, "activity 'b' at 2")
    assert "ActivityFailure: for good" in found.requested


async def test_code_that_would_fail_a_workflow_in_flight_is_told() -> None:
    found = await check(history(done("1", "a")), raises)
    assert found.fit is Fit.FAILS
    assert "ActivityFailure: for good" in found.what


async def test_a_definition_that_is_missing_or_takes_other_variables_is_told() -> None:
    missing = await check(history(version=2), two_steps)
    assert (missing.fit, missing.version) == (Fit.UNRUNNABLE, 2)
    assert "no workflow type 'w v2'" in missing.what
    refused = await check(history(given={"colour": "red"}), two_steps)
    assert refused.fit is Fit.UNRUNNABLE
    assert "no variable 'colour'" in refused.what


async def test_no_side_effect_is_produced() -> None:
    async def makes(ctx: Context) -> str:
        return await ctx.side_effect(produce) + ctx.now().isoformat()

    found = await check(history(), makes)
    assert found.what == "fits so far; next is side effect at 1"
    assert happened == []


async def test_the_clean_up_of_code_that_stands_still_changes_nothing() -> None:
    async def cleans(ctx: Context) -> None:
        try:
            await ctx.gather(ctx.activity(a), ctx.sleep(1))
        finally:
            ctx.now()
            await ctx.activity(b)

    assert (await check(history(done("1.0.1", "a")), cleans)).fit is Fit.FITS
    assert (await check(history(completed(None)), cleans)).fit is Fit.DIFFERS
    assert happened == []


async def test_code_that_waits_for_something_else_than_its_context_is_told() -> None:
    async def waits(ctx: Context) -> None:
        await ctx.activity(a)
        await trio.sleep_forever()

    found = await check(history(done("1", "a")), waits)
    assert found.fit is Fit.FAILS
    assert "waits for something that is not its context" in found.what


async def test_one_that_was_terminated_is_compared_as_far_as_it_came() -> None:
    ended = (Kind.WORKFLOW_TERMINATED, "", "w", {"reason": "enough"})
    assert (await check(history(done("1", "a"), ended), two_steps)).fit is Fit.FITS
    assert (await check(history(done("1", "a"), ended), swapped)).fit is Fit.DIFFERS


async def test_one_that_stalled_fits_once_the_code_is_mended() -> None:
    stalled = (Kind.WORKFLOW_STALLED, "", "w", {"code": "non_determinism", "message": "m"})
    assert (await check(history(done("1", "a"), stalled), swapped)).fit is Fit.DIFFERS
    assert (await check(history(done("1", "a"), stalled), two_steps)).fit is Fit.FITS


async def test_one_that_was_cancelled_by_its_own_code_is_compared_to_the_end() -> None:
    asked = (Kind.WORKFLOW_CANCEL_REQUESTED, "", "w", {"reason": "enough"})
    ended = (Kind.WORKFLOW_CANCELLED, "", "w", {"reason": "enough"})
    at = (Kind.OPERATION_CANCELLED, "2", "b", {"what": "activity", "reason": "enough"})
    own = history(done("1", "a"), asked, at, ended)
    assert (await check(own, two_steps)).complete
    assert (await check(own, shorter)).fit is Fit.DIFFERS
    assert (await check(history(done("1", "a"), asked, ended), two_steps)).fit is Fit.DIFFERS
    stalled = (Kind.WORKFLOW_STALLED, "", "w", {"code": "non_determinism", "message": "m"})
    others = history(done("1", "a"), asked, stalled, ended)
    assert (await check(others, two_steps)).what == "fits so far; next is activity 'b' at 2"


async def test_a_history_too_large_that_failed_for_it_fits() -> None:
    found = await check(history(done("1", "a"), failed("history_too_large")), two_steps)
    assert (found.fit, found.complete) == (Fit.FITS, True)


async def test_a_marker_at_the_end_of_the_code_does_not_differ_from_what_ended_without() -> None:
    async def marked(ctx: Context) -> str:
        found = await ctx.activity(a)
        ctx.version("later", 0, 1)
        return found

    assert (await check(history(done("1", "a"), completed("a")), marked)).complete


async def test_a_rerun_of_10_000_events_comes_to_its_end() -> None:
    async def long(ctx: Context) -> int:
        for _ in range(10_000):
            await ctx.activity(a)
        return 1

    steps: Sequence[Step] = [done(str(op), "a") for op in range(1, 10_001)]
    assert (await check(history(*steps, completed(1)), long)).complete


GOLDEN = histories.files()
BOOK = Definitions.of(histories.WORKFLOWS)


def golden(name: str) -> RecordedWorkflow:
    return document.read((histories.GOLDEN / f"{name}.json").read_text("utf-8"))


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
async def test_the_golden_histories_of_each_version_fit_the_code_of_today(path: Path) -> None:
    found = await rerun(document.read(path.read_text("utf-8")), BOOK)
    assert (found.fit, found.what, found.complete) == (
        Fit.FITS,
        found.what,
        not path.stem.startswith(histories.IN_FLIGHT),
    )


def test_there_is_a_golden_history_of_every_workflow() -> None:
    assert {document.read(path.read_text("utf-8")).name for path in GOLDEN} == {
        known.name for known in BOOK.every()
    }


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
async def test_the_golden_histories_fit_cut_off_after_any_event(path: Path) -> None:
    whole = document.read(path.read_text("utf-8"))
    first = len(whole.events) - len(whole.last_run) + 1
    for end in range(first, len(whole.events)):
        cut = replace(whole, events=whole.events[:end])
        found = await rerun(cut, BOOK)
        assert found.fit is Fit.FITS, (end, found)


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
async def test_a_golden_history_with_a_step_renamed_is_caught(path: Path) -> None:
    """As if the code had been changed: whichever recorded operation has another name."""
    text = path.read_text("utf-8")
    whole = document.read(text)
    first = whole.last_run[0].seq
    counting = in_force(whole.last_run)
    renamed = {e.op for e in counting if e.op and e.name and not e.kind.startswith("version")}
    for op in renamed:
        found = json.loads(text)
        for event in found["events"]:
            if event["op"] == op and event["seq"] > first:
                event["name"] = "renamed"
        verdict = await rerun(document.read(json.dumps(found)), BOOK)
        assert verdict.fit is Fit.DIFFERS, (op, verdict)
        assert "renamed" in verdict.recorded
