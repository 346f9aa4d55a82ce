from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actors.agents.command.messages import Check, CommandRequest, Status, Turn
from actors.agents.command.plan import GO_ON, Another, End, plan
from actors.agents.kit.usage import Usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def turn(status: Status, code: str = "", **more: Any) -> Turn:
    usual = {"summary": "", "preset": "claude", "session": "s", "why": "because"}
    return Turn(status=status, code=code, **{**usual, **more})


def after(*turns: Turn, **request: Any) -> Another | End:
    return plan(CommandRequest.model_validate({"prompt": "Do it.", **request}), turns, NOW)


def test_work_that_is_done_ends() -> None:
    assert after(turn(Status.DONE), budget={"tokens": 0}) == End(Status.DONE, "", "because")


def test_an_agent_without_a_budget_ends_it() -> None:
    end = after(turn(Status.OVER_BUDGET, "agent_budget"))
    assert end == End(Status.OVER_BUDGET, "agent_budget", "because")


def test_work_that_is_not_finished_goes_on_with_what_is_missing() -> None:
    check = Check(name="clean", passed=False, why="not committed: a.py")
    last = turn(Status.NEEDS_ATTENTION, "not_clean", checklist=(check,))
    following = after(last)
    assert isinstance(following, Another)
    assert following.prompt.endswith("Mend this:\nbecause")
    assert after(last, last, last) == End(Status.NEEDS_ATTENTION, "not_clean", "because")


def test_a_command_that_is_no_conversation_is_not_asked_again() -> None:
    last = turn(Status.NEEDS_ATTENTION, "not_clean", session="")
    assert isinstance(after(last, prompt="", command=["make"]), End)


@pytest.mark.parametrize(("session", "prompt"), [("s", GO_ON), ("", "Do it.")])
def test_what_broke_off_goes_on_or_begins_again(session: str, prompt: str) -> None:
    assert after(turn(Status.FAILED, "died", session=session)) == Another(prompt)
    assert isinstance(after(turn(Status.FAILED, "not_started", session=session)), End)


def test_a_limit_is_waited_for_until_it_ends_and_counts_as_no_turn() -> None:
    limited = turn(Status.RATE_LIMITED, resets_at=NOW + timedelta(seconds=100))
    assert after(limited, turns=1) == Another(GO_ON, 101.0)
    past = turn(Status.RATE_LIMITED, resets_at=NOW - timedelta(days=1))
    assert after(past) == Another(GO_ON, 1.0)
    far = turn(Status.RATE_LIMITED, resets_at=NOW + timedelta(days=400))
    assert after(far) == Another(GO_ON, 8 * 86_400.0)


def test_a_limit_without_an_end_is_waited_for_longer_each_time() -> None:
    limited = turn(Status.RATE_LIMITED)
    waits = [after(*[limited] * count) for count in range(1, 7)]
    assert [wait.after_s for wait in waits if isinstance(wait, Another)] == [
        *(300.0, 600.0, 1200.0, 2400.0, 3600.0, 3600.0)
    ]
    assert after(limited, limited, waits=1) == End(Status.RATE_LIMITED, "", "because")


def test_no_further_turn_is_begun_once_the_budget_is_spent() -> None:
    used = turn(Status.FAILED, "died", usage=Usage(input_tokens=60))
    assert isinstance(after(used, budget={"tokens": 100}), Another)
    end = after(used, used, budget={"tokens": 100})
    assert end == End(Status.OVER_BUDGET, "budget", "120 of 100 tokens are spent; because")
