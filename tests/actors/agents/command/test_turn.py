import dataclasses
import signal
import sys
import uuid
from collections import Counter
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.agents.command.events import Event
from actors.agents.command.hearing import Heard
from actors.agents.command.messages import Status
from actors.agents.command.sessions import NAMESPACE
from actors.agents.kit.usage import Usage
from actors.workflows.definition import ActivityFailure
from tests.actors.agents.command.conftest import Desk, git
from tests.support.fake_cli import begun, committed, ended, limited, said
from tests.support.processes import gone


async def pid_in(mark: Path) -> int:
    while not (mark.exists() and mark.read_text()):
        await trio.lowlevel.checkpoint()
    return int(mark.read_text())


async def noted(desk: Desk, text: str) -> None:
    while not any(note.endswith(text) for note in desk.notes):
        await trio.lowlevel.checkpoint()


def record(desk: Desk) -> str:
    (found,) = desk.site.workspace.glob("command/*/record.json")
    return found.read_text()


async def test_work_that_is_committed_is_done(desk: Desk) -> None:
    desk.cli.plays([*begun(), said("I will."), *committed(), *ended()])
    turn = await desk.take()
    assert (turn.status, turn.code, turn.text) == (Status.DONE, "", "All done.")
    assert [(check.name, check.passed) for check in turn.checklist] == [
        ("clean", True), ("branch", True), ("commits", True), ("tests", None)
    ]  # fmt: skip
    assert turn.branch == "beadflow/wf-1"
    assert git(desk.site.repo, "rev-parse", turn.branch) == turn.head != turn.base
    assert git(desk.site.repo, "status", "--porcelain") == ""
    assert git(desk.site.repo, "branch", "--show-current") == "main"


async def test_it_is_called_as_its_preset_says_in_a_work_tree_of_its_own(desk: Desk) -> None:
    await desk.take(prompt="--help; $(true)", options={})
    (call,) = desk.cli.calls
    session = str(uuid.uuid5(NAMESPACE, "wf-1/1"))
    assert call["argv"] == [
        *("-p", "--output-format", "stream-json", "--verbose", "--session-id", session)
    ]
    assert call["prompt"] == "--help; $(true)"
    assert call["cwd"] == str(desk.sandbox)


async def test_what_it_cost_is_in_the_answer_and_its_words_are_kept(desk: Desk) -> None:
    desk.cli.plays([*begun(), said("Hm."), *ended()])
    turn = await desk.take(wants_commits=False)
    assert turn.usage == Usage(
        input_tokens=100,
        output_tokens=20,
        cache_read_tokens=3,
        cache_write_tokens=2,
        cost_usd=0.25,
    )
    assert turn.metrics["cost_usd"] == 0.25
    (kept,) = turn.artifacts
    assert kept.name == "turn-1/transcript.jsonl"
    assert b"Hm." in desk.artifacts[kept.name]


async def test_one_that_lies_about_being_done_needs_attention(desk: Desk) -> None:
    desk.cli.plays([*begun(), {"write": {"work.txt": "left"}}, *ended("All is committed.")])
    turn = await desk.take()
    assert (turn.status, turn.code) == (Status.NEEDS_ATTENTION, "not_clean")
    assert turn.why == (
        "clean: not committed: work.txt; "
        f"commits: there is none since {turn.base[:12]}"
    )  # fmt: skip
    assert (desk.sandbox / "work.txt").read_text() == "left"


async def test_work_on_another_branch_is_not_done(desk: Desk) -> None:
    desk.cli.plays([*begun(), {"git": ["checkout", "-qb", "elsewhere"]}, *committed(), *ended()])
    turn = await desk.take()
    assert turn.code == "not_branch"
    assert "it is on elsewhere, not beadflow/wf-1" in turn.why


async def test_tests_are_run_before_it_is_believed(desk: Desk) -> None:
    desk.cli.plays([*begun(), *committed(), *ended("All tests pass.")])
    check = ["sh", "-c", "echo one failed; test -e good"]
    turn = await desk.take(tests=check)
    assert (turn.status, turn.code) == (Status.NEEDS_ATTENTION, "not_tests")
    assert turn.why == "tests: sh exited with 1: one failed"
    desk.cli.plays([*begun(), *committed(good="1"), *ended()])
    assert (await desk.take(op="1", tests=check)).status is Status.DONE


async def test_what_it_leaves_can_be_committed_for_it(desk: Desk) -> None:
    desk.cli.plays([*begun(), {"write": {"work.txt": "left"}}, *ended()])
    turn = await desk.take(commit_message="Work")
    assert turn.status is Status.DONE
    assert git(desk.site.repo, "log", "-1", "--format=%s", turn.branch) == "Work"


async def test_any_command_is_a_worker(desk: Desk) -> None:
    turn = await desk.take(
        command=["sh", "-c", "cat > said; echo working"], prompt="hello", commit_message="Say it"
    )
    assert (turn.status, turn.text, turn.preset) == (Status.DONE, "working", "command")
    assert git(desk.site.repo, "show", f"{turn.branch}:said") == "hello"
    turn = await desk.take(op="1", command="sh -c 'echo no >&2; exit 3'", prompt="")
    assert (turn.status, turn.code, turn.why) == (
        Status.FAILED, "exit_status", "sh exited with 3: no"
    )  # fmt: skip


async def test_a_later_turn_goes_on_with_the_session(desk: Desk) -> None:
    desk.cli.plays(
        [*begun("given-1"), said("One.", "given-1"), *ended()], [*begun("given-2"), *ended()]
    )
    first = await desk.take(wants_commits=False)
    assert (first.session, first.resumed) == ("given-1", False)
    second = await desk.take(op="1", wants_commits=False)
    assert desk.cli.calls[1]["argv"][-2:] == ["--resume", "given-1"]
    assert (second.session, second.resumed) == ("given-2", True)
    assert '{"session":"given-2"}' in str(desk.pulse.said)


async def test_a_session_that_is_lost_is_begun_anew_with_what_was_said(desk: Desk) -> None:
    desk.cli.plays(
        [*begun("lost"), said("One."), *ended("Half of it.")],
        [{"complain": "No conversation found"}, {"exit": 1}],
        [*begun(), *ended()],
    )
    await desk.take(prompt="First.", wants_commits=False)
    turn = await desk.take(op="1", prompt="Second.", wants_commits=False)
    assert (turn.status, turn.resumed) == (Status.DONE, False)
    third = desk.cli.calls[2]
    assert third["argv"][-2:] == ["--session-id", str(uuid.uuid5(NAMESPACE, "wf-1/2"))]
    assert "You were asked:\nFirst.\nYou answered (done):\nHalf of it." in third["prompt"]
    assert third["prompt"].endswith("Now:\n\nSecond.")


async def test_a_turn_asked_for_again_is_not_taken_again(desk: Desk) -> None:
    desk.cli.plays([*begun(), *committed(), *ended()])
    once = await desk.take()
    assert await desk.take() == once
    assert len(desk.cli.calls) == 1


async def test_a_turn_that_was_cut_off_goes_on_with_its_session(desk: Desk, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    half = [*begun("kept"), said("One.", "kept"), {"hang": str(mark)}]
    desk.cli.plays(half, [*begun("kept"), *committed(), *ended()])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.take)
        pid = await pid_in(mark)
        await noted(desk, "One.")
        while '"input_tokens":10' not in record(desk):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert await gone(pid)
    turn = await desk.take()
    assert (turn.status, turn.resumed) == (Status.DONE, True)
    assert desk.cli.calls[1]["argv"][-2:] == ["--resume", "kept"]
    assert desk.cli.calls[1]["prompt"].startswith("You were cut off in the middle of this.")
    assert desk.cli.calls[1]["prompt"].endswith("\n\nDo it.")
    assert turn.usage.tokens == 125 + 15


async def test_one_turn_at_a_time_of_a_session(desk: Desk, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    desk.cli.plays([*begun(), {"hang": str(mark)}], [*begun(), *ended()])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.take)
        await pid_in(mark)
        nursery.start_soon(lambda: desk.take(op="1"))
        await noted(desk, "waiting for another turn of the session to end")
        assert len(desk.cli.calls) == 1
        nursery.cancel_scope.cancel()


async def test_one_that_hangs_after_its_result_is_done_and_ended(
    desk: Desk, tmp_path: Path, mock_clock: MockClock
) -> None:
    mark = tmp_path / "mark"
    desk.cli.plays([*begun(), *committed(), *ended(), {"ignore": 0}, {"hang": str(mark)}])
    answers = []

    async def take() -> None:
        answers.append(await desk.take())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await noted(desk, "coder says that it is done")
        pid = await pid_in(mark)
        mock_clock.jump(31)
    assert await gone(pid)
    (turn,) = answers
    assert (turn.status, turn.exit_status) == (Status.DONE, None)
    assert [finding.rule for finding in turn.findings] == ["hung_after_result"]


@pytest.mark.parametrize(
    ("limits", "code"), [({"idle_s": 500}, "idle"), ({"turn_s": 500}, "deadline")]
)
async def test_one_that_hangs_is_ended(
    desk: Desk, tmp_path: Path, mock_clock: MockClock, limits: dict[str, float], code: str
) -> None:
    mark = tmp_path / "mark"
    desk.cli.plays([*begun(), said("Let me think."), {"hang": str(mark)}])
    answers = []

    async def take() -> None:
        answers.append(await desk.take(limits))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await noted(desk, "Let me think.")
        pid = await pid_in(mark)
        mock_clock.jump(501)
    assert await gone(pid)
    assert (answers[0].status, answers[0].code) == (Status.FAILED, code)
    assert answers[0].may_go_on is (code == "idle")
    assert answers[0].usage.tokens == 15


async def test_one_whose_tool_works_may_be_silent_for_longer(
    desk: Desk, tmp_path: Path, mock_clock: MockClock
) -> None:
    mark = tmp_path / "mark"
    tool = {"type": "tool_use", "name": "Bash", "input": {"command": "make test"}}
    frame = {"type": "assistant", "message": {"content": [tool]}}
    desk.cli.plays([*begun(), {"say": frame}, {"hang": str(mark)}])
    answers = []

    async def take() -> None:
        answers.append(await desk.take({"idle_s": 100, "tool_s": 500}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await noted(desk, "Bash make test")
        await pid_in(mark)
        mock_clock.jump(499)
        await trio.testing.wait_all_tasks_blocked()
        assert not answers
        mock_clock.jump(2)
    assert answers[0].code == "idle"


async def test_what_a_cancelled_turn_has_cost_counts(desk: Desk, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    desk.cli.plays([*begun(), said("One."), {"hang": str(mark)}], [*begun(), *ended()])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.take)
        await noted(desk, "One.")
        nursery.cancel_scope.cancel()
    turn = await desk.take({"budget": {"tokens": 15}}, op="1")
    assert (turn.status, turn.why.endswith("15 of 15 tokens are spent")) == (
        Status.OVER_BUDGET, True
    )  # fmt: skip


async def test_a_turn_that_was_broken_off_leaves_only_work(desk: Desk, tmp_path: Path) -> None:
    for work in ([], [{"write": {"work.txt": "half"}}], committed()):
        desk.cli.plays([*begun(), *work, said("One."), {"hang": str(tmp_path / "mark")}])
        desk.notes.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.take)
            await noted(desk, "One.")
            nursery.cancel_scope.cancel()
        assert desk.sandbox.exists() is bool(work)
        assert bool(git(desk.site.repo, "branch", "--list", "beadflow/*")) is bool(work)


async def test_children_that_hold_its_output_end_with_it(desk: Desk, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    desk.cli.plays([*begun(), {"fork": str(mark)}, *committed(), *ended()])
    turn = await desk.take()
    assert (turn.status, turn.exit_status) == (Status.DONE, 0)
    assert await gone(int(mark.read_text()))


async def test_a_flood_of_output_ends_it(desk: Desk) -> None:
    desk.cli.plays([*begun(), {"flood": 100}, *ended()])
    turn = await desk.take({"output_bytes": 5_000_000, "transcript_bytes": 1_000})
    assert (turn.status, turn.code) == (Status.FAILED, "too_much_output")
    assert turn.artifacts[0].size == 1_000


async def test_a_flood_of_short_lines_leaves_others_their_turns(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, heard = 0, Counter[int]()
    take = Heard.take

    def counted(self: Heard, line: bytes) -> tuple[Event, ...]:
        heard[turns] += 1
        return take(self, line)

    monkeypatch.setattr(Heard, "take", counted)
    async with trio.open_nursery() as nursery:

        async def other() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        nursery.start_soon(other)
        command = ["sh", "-c", "yes | head -20000"]
        await desk.take(command=command, prompt="", wants_commits=False)
        nursery.cancel_scope.cancel()
    assert heard.total() == 20_000
    assert max(heard.values()) <= 300


async def test_long_lines_and_odd_frames_are_passed_over(desk: Desk) -> None:
    desk.cli.plays(
        [
            *begun(),
            {"flood": 5},
            {"raw": '{"type": "result"\n{"type": 7}\n[1]\n\x00{}\n'},
            {"say": {"type": "assistant", "message": {"content": [7, {"type": "text"}]}}},
            {"say": {"type": "result", "subtype": None, "usage": [], "total_cost_usd": "x"}},
        ]
    )
    turn = await desk.take()
    assert (turn.status, turn.code) == (Status.FAILED, "error")
    assert turn.usage == Usage()


@pytest.mark.parametrize(
    ("how", "code", "why"),
    [
        ([{"die": signal.SIGSEGV}], "killed", "was ended by signal 11"),
        ([{"complain": "Out of luck"}, {"exit": 2}], "died", "exited with 2: Out of luck"),
        ([], "no_result", "ended without saying how its turn went"),
    ],
)
async def test_one_that_dies_has_failed_and_may_go_on(
    desk: Desk, how: list[dict[str, object]], code: str, why: str
) -> None:
    desk.cli.plays([*begun(), said("Oh."), *how])
    turn = await desk.take()
    assert (turn.status, turn.code, turn.may_go_on) == (Status.FAILED, code, True)
    assert turn.why.endswith(why)
    assert turn.session


async def test_one_that_reached_its_own_limit_of_turns_needs_attention(desk: Desk) -> None:
    desk.cli.plays([*begun(), *ended("", "error_max_turns")])
    turn = await desk.take()
    assert (turn.status, turn.code) == (Status.NEEDS_ATTENTION, "error_max_turns")


async def test_one_that_may_do_no_more_says_until_when(desk: Desk) -> None:
    info = {"status": "allowed_warning", "resetsAt": 1_900_000_000}
    news = {"say": {"type": "rate_limit_event", "rate_limit_info": info}}
    desk.cli.plays(
        [*begun(), *limited(1_800_000_000)],
        [*begun(), news, *ended()],
        [*begun(), {"complain": "API error: rate limit exceeded"}, {"exit": 1}],
    )
    turn = await desk.take()
    assert turn.status is Status.RATE_LIMITED
    assert turn.resets_at is not None
    assert turn.resets_at.timestamp() == 1_800_000_000
    assert (await desk.take(op="1", wants_commits=False)).status is Status.DONE
    turn = await desk.take(op="2")
    assert (turn.status, turn.resets_at) == (Status.RATE_LIMITED, None)


async def test_no_turn_is_begun_once_the_agents_budget_is_spent(desk: Desk) -> None:
    config = {"budget": {"usd": 0.5}}
    for op in "01":
        assert (await desk.take(config, op, wants_commits=False)).status is Status.DONE
    turn = await desk.take(config, "2")
    assert (turn.status, turn.code) == (Status.OVER_BUDGET, "agent_budget")
    assert turn.why.endswith("0.5000 of 0.5000 USD are spent")
    assert len(desk.cli.calls) == 2


async def test_prices_of_the_configuration_fill_in_what_it_does_not_say(desk: Desk) -> None:
    price = {"input": 10_000.0, "output": 0.0}
    desk.cli.plays([*begun(), *ended(total_cost_usd=None)])
    turn = await desk.take({"prices": {"fake": price}}, wants_commits=False)
    assert turn.usage.cost_usd == 1.0


async def refusal(desk: Desk, config: dict[str, object], **request: object) -> ActivityFailure:
    with pytest.raises(ActivityFailure) as caught:
        await desk.take(config, **request)
    assert not caught.value.retryable
    assert not desk.cli.calls
    return caught.value


async def test_what_the_operator_has_not_allowed_is_refused(desk: Desk) -> None:
    failure = await refusal(desk, {}, preset="claude")
    assert failure.code == "not_allowed"
    assert "'claude' is no program that this server runs" in failure.message
    failure = await refusal(desk, {}, tests=["make", "test"])
    assert "'make' is no program" in failure.message
    failure = await refusal(desk, {}, command=["/opt/coder"], prompt="")
    assert "'/opt/coder' is no program" in failure.message
    preset = desk.cli.preset.model_copy(update={"env": {"LD_PRELOAD": "evil.so"}})
    failure = await refusal(desk, {"presets": {"fake": preset}})
    assert "must not set LD_PRELOAD" in failure.message


async def test_what_it_cannot_be_asked_is_refused(desk: Desk) -> None:
    assert (
        "no preset 'none'; known: claude, codex" in (await refusal(desk, {}, preset="none")).message
    )
    failure = await refusal(desk, {}, options={"color": "red"})
    assert "no option 'color' here; it has: allowed_tools" in failure.message
    failure = await refusal(desk, {}, options={"model": "--dangerously-skip-permissions"})
    assert "must not begin with a dash" in failure.message
    assert (await refusal(desk, {}, ref="-evil")).code == "bad_ref"


async def test_an_allowed_program_that_is_not_there_is_said(desk: Desk) -> None:
    desk.cli.path.unlink()
    failure = await refusal(desk, {})
    assert failure.code == "not_installed"
    assert not desk.sandbox.exists()


async def test_a_program_that_cannot_run_has_failed(desk: Desk) -> None:
    desk.cli.path.write_text("#!/no/such/interpreter\n")
    turn = await desk.take()
    assert (turn.status, turn.code) == (Status.FAILED, "not_started")


async def test_only_variables_that_were_allowed_reach_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "s3cret")
    turn = await desk.take(command=["sh", "-c", "env"], prompt="", wants_commits=False)
    assert "FAKE_CLI=" in turn.text
    assert "s3cret" not in turn.text


async def test_limits_and_the_network_are_the_configurations(desk: Desk) -> None:
    config = {"limits": {"file_bytes": 4096, "cpu_s": 100}, "network": "none"}
    show = (
        "ulimit -f; ulimit -t; ls /sys/class/net 2>/dev/null | wc -l; cat /proc/net/route | wc -l"
    )
    try:
        turn = await desk.take(config, command=["sh", "-c", show], prompt="", wants_commits=False)
    except ActivityFailure as failure:
        assert failure.code == "no_isolation"  # noqa: PT017 - where the system does not permit it
    else:
        blocks, seconds, _, routes = turn.text.split()
        assert (blocks, seconds) == ("8", "100")
        assert int(routes) <= 1  # the line that names the columns


async def test_tests_are_cut_off_the_network_as_the_program_is(desk: Desk) -> None:
    config = {"network": "none"}
    routes = ["sh", "-c", "test $(wc -l < /proc/net/route) -le 1 && test ! -e no"]
    try:
        turn = await desk.take(
            config, command=["true"], prompt="", wants_commits=False, tests=routes
        )
    except ActivityFailure as failure:
        assert failure.code == "no_isolation"  # noqa: PT017 - where the system does not permit it
    else:
        assert turn.status is Status.DONE
        assert turn.checklist[-1].why.startswith("sh -c ")


async def test_odd_words_of_a_result_do_not_have_it_taken_again(desk: Desk) -> None:
    desk.cli.plays([*begun(), *ended("Odd \ud800", subtype="odd \ud800")])
    turn = await desk.take()
    assert (turn.status, turn.code) == (Status.FAILED, "odd \\ud800")
    assert turn.summary.startswith(f"{desk.cli.path}: {desk.cli.path} says odd")


async def test_secrets_that_it_was_given_are_not_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_API_KEY", "sk-very-secret")
    site = dataclasses.replace(desk.site, environment=("FAKE_CLI", "MODEL_API_KEY"))
    desk = dataclasses.replace(desk, site=site)
    turn = await desk.take(command=["sh", "-c", "env"], prompt="", wants_commits=False)
    assert "MODEL_API_KEY=***" in turn.text
    assert "FAKE_CLI=/" in turn.text
    turn = await desk.take(
        op="1", command="sh -c 'echo $MODEL_API_KEY; echo $MODEL_API_KEY >&2; exit 1'", prompt=""
    )
    assert turn.why == "sh exited with 1: ***"
    show = ["sh", "-c", "echo $MODEL_API_KEY; echo $MODEL_API_KEY >&2; exit 1"]
    tested = await desk.take(op="2", command=["true"], prompt="", wants_commits=False, tests=show)
    assert tested.why == "tests: sh exited with 1: ***"
    kept = (*desk.artifacts.values(), turn.model_dump_json().encode(), record(desk).encode())
    assert not any(b"sk-very-secret" in each for each in (*kept, str(desk.notes).encode()))


async def test_a_program_cannot_have_another_repository_looked_at(desk: Desk) -> None:
    other = (
        "rm .git; git init -q -b beadflow/wf-1; git add -A;"
        " git -c user.name=a -c user.email=a@b commit -qm x"
    )
    with pytest.raises(ActivityFailure, match="no work tree") as failure:
        await desk.take(command=["sh", "-c", other], prompt="", wants_commits=False)
    assert failure.value.code == "no_sandbox"


async def test_names_of_files_need_not_be_text(desk: Desk) -> None:
    make = [sys.executable, "-ISc", "open(b'odd\\xff', 'w').close()"]
    desk = dataclasses.replace(
        desk, site=dataclasses.replace(desk.site, commands=(sys.executable,))
    )
    turn = await desk.take(command=make, prompt="", wants_commits=False)
    assert turn.why == "clean: not committed: odd\\udcff"


async def test_tests_are_found_in_the_work_tree(desk: Desk) -> None:
    site = dataclasses.replace(desk.site, commands=("sh", "./check"))
    desk = dataclasses.replace(desk, site=site)
    make = ["sh", "-c", "printf '#!/bin/sh\\nexit 0\\n' > check; chmod +x check"]
    turn = await desk.take(command=make, prompt="", commit_message="Check", tests=["./check"])
    assert (turn.status, turn.why) == (Status.DONE, "")


async def test_an_attempt_that_failed_after_its_program_had_ended_has_its_cost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.cli.plays([*begun(), said("One."), *committed(), *ended()], [*begun(), *ended()])

    async def fail(*_: object, **__: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patched:
        patched.setattr("actors.agents.command.turn.look", fail)
        with pytest.raises(OSError, match="no room"):
            await desk.take()
    assert (await desk.take()).usage.cost_usd == 0.5
