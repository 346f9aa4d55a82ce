"""In which order those who wait for agents get them."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

from actors.agents.waiting import STEP_S, Head, Line
from actors.clock import rfc3339

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def since(seconds: float) -> str:
    return rfc3339(NOW - timedelta(seconds=seconds))


def order(line: Line, running: Counter[str] | None = None) -> list[str]:
    counted = running or Counter()
    return list(line.in_order(NOW, lambda workflow_id: counted[workflow_id]))


def line(**heads: Head) -> Line:
    made = Line()
    for workflow_id, head in heads.items():
        made.put(workflow_id, head)
    return made


def test_the_most_urgent_is_first_and_of_the_equally_urgent_the_oldest() -> None:
    waiting = line(a=(2, since(1)), b=(0, since(0)), c=(2, since(5)), d=(4, since(500)))
    assert order(waiting) == ["b", "c", "a", "d"]


def test_a_workflow_for_which_less_is_done_comes_first() -> None:
    waiting = line(a=(2, since(9)), b=(2, since(5)), c=(2, since(1)), d=(3, since(1)))
    assert order(waiting, Counter(a=2, b=1)) == ["c", "b", "a", "d"]


def test_a_long_wait_makes_urgent_but_not_more_than_the_most_urgent() -> None:
    waiting = line(
        old=(4, since(4 * STEP_S)),
        older=(4, since(9 * STEP_S)),
        new=(0, since(0)),
        one=(1, since(0)),
    )
    assert order(waiting) == ["older", "old", "new", "one"]


def test_going_through_the_line_leaves_everybody_in_it() -> None:
    waiting = line(a=(2, since(1)), b=(0, since(0)), c=(2, since(5)))
    running = Counter(c=1)
    assert order(waiting, running) == order(waiting, running) == ["b", "a", "c"]
    for _ in waiting.in_order(NOW, lambda _: 0):
        break
    assert order(waiting, running) == ["b", "a", "c"]


def test_who_waits_for_nothing_more_is_not_in_the_line() -> None:
    waiting = line(a=(2, since(1)), b=(2, since(0)))
    waiting.drop("a")
    assert order(waiting) == ["b"]
    waiting.put("a", (2, since(1)))
    assert order(waiting) == ["a", "b"]


def test_one_that_takes_an_agent_and_wants_more_comes_behind_the_others() -> None:
    waiting = line(a=(2, since(9)), b=(2, since(5)))
    running, got = Counter[str](), list[str]()
    wanted = Counter(a=3, b=2)
    for workflow_id in waiting.in_order(NOW, lambda w: running[w]):
        got.append(workflow_id)
        running[workflow_id] += 1
        wanted[workflow_id] -= 1
        if wanted[workflow_id]:
            waiting.put(workflow_id, waiting.heads[workflow_id])
        else:
            waiting.drop(workflow_id)
    assert got == ["a", "b", "a", "b", "a"]


def test_any_line_is_in_the_order_of_its_rule() -> None:
    for seed in range(200):
        chance = Random(seed)
        running = Counter({f"w{n}": chance.randrange(3) for n in range(8)})
        heads = {f"w{n}": (chance.randrange(5), since(chance.randrange(4000))) for n in range(12)}
        waiting = line(**{w: (4, since(1)) for w in heads if chance.random() < 0.5})
        for workflow_id, head in heads.items():
            waiting.put(workflow_id, head)
        aged = {
            w: max(0, p - sum(at <= since(STEP_S * n) for n in range(1, 5)))
            for w, (p, at) in heads.items()
        }
        expected = sorted(heads, key=lambda w: (aged[w], running[w], heads[w][1], w))
        assert order(waiting, running) == expected, f"seed {seed}"
        assert order(waiting, running) == expected, f"seed {seed}"
