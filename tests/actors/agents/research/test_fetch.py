import pytest

from actors.agents.research.fetch import Absent, Fetcher, Unreachable
from actors.agents.research.indexes import Indexes
from actors.breakers import Breakers, State
from tests.actors.agents.research.index import LocalIndex

CAP = 1 << 20


class Sleeper:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, pause_s: float) -> None:
        self.slept.append(pause_s)
        self.now += pause_s


def fetcher(
    index: LocalIndex, breakers: Breakers | None = None, deadline_s: float = 60.0
) -> tuple[Fetcher, Sleeper]:
    sleeper = Sleeper()
    made = Fetcher(
        Indexes(urls=(index.simple,)),
        deadline_s,
        lambda: sleeper.now,
        breakers=breakers,
        sleep=sleeper.sleep,
    )
    return made, sleeper


@pytest.mark.parametrize("status", [429, 502, 503])
def test_an_index_that_is_busy_is_asked_again(index: LocalIndex, status: int) -> None:
    index.add("alpha", "1.0")
    index.busy = [(status, {}), (status, {})]
    made, sleeper = fetcher(index)
    assert made.get(f"{index.simple}/alpha/", cap_bytes=CAP).data
    assert len(sleeper.slept) == 2


def test_an_index_that_stays_busy_is_given_up(index: LocalIndex) -> None:
    index.busy = [(503, {})] * 9
    made, _ = fetcher(index)
    with pytest.raises(Unreachable, match="503"):
        made.get(f"{index.simple}/alpha/", cap_bytes=CAP)
    assert len(index.requests) == 3


def test_an_index_that_says_when_is_waited_for(index: LocalIndex) -> None:
    index.add("alpha", "1.0")
    index.busy = [(503, {"Retry-After": "7"})]
    made, sleeper = fetcher(index)
    made.get(f"{index.simple}/alpha/", cap_bytes=CAP)
    assert sleeper.slept == [7.0]


def test_an_index_that_wants_more_time_than_there_is_is_not_waited_for(index: LocalIndex) -> None:
    index.busy = [(503, {"Retry-After": "7"})]
    made, sleeper = fetcher(index, deadline_s=5.0)
    with pytest.raises(Unreachable, match="503"):
        made.get(f"{index.simple}/alpha/", cap_bytes=CAP)
    assert sleeper.slept == []


def test_what_an_index_refuses_is_asked_once_and_no_failure_of_it(index: LocalIndex) -> None:
    index.busy = [(403, {})] * 10
    breakers = Breakers()
    made, _ = fetcher(index, breakers)
    for _ in range(10):
        with pytest.raises(Unreachable, match="403"):
            made.get(f"{index.simple}/alpha/", cap_bytes=CAP)
    assert len(index.requests) == 10
    assert breakers.of("index:127.0.0.1").state().state is State.CLOSED


def test_what_an_index_does_not_have_is_no_failure_of_it(index: LocalIndex) -> None:
    breakers = Breakers()
    made, _ = fetcher(index, breakers)
    for _ in range(10):
        with pytest.raises(Absent):
            made.get(f"{index.simple}/alpha/", cap_bytes=CAP)
    assert breakers.of("index:127.0.0.1").state().state is State.CLOSED


def test_an_index_that_keeps_failing_is_left_alone(index: LocalIndex) -> None:
    index.busy = [(500, {})] * 20
    breakers = Breakers()
    made, _ = fetcher(index, breakers)
    for _ in range(4):
        with pytest.raises(Unreachable):
            made.get(f"{index.simple}/alpha/", cap_bytes=CAP)
    asked = len(index.requests)
    with pytest.raises(Unreachable, match="left alone"):
        made.get(f"{index.simple}/beta/", cap_bytes=CAP)
    assert asked == len(index.requests) == 5
