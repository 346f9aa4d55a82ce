import random
import threading

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.breakers import Breaker, Breakers, Circuit, State, Tolerance, Transition, Watcher
from actors.errors import CircuitOpen, ExternalServiceError, WorkflowError
from supervision import Refused

TOLERANCE = Tolerance(failures=3, window_s=10.0, reset_s=5.0, jitter=0.0, probe_s=20.0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Noting(Watcher):
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.refused = 0

    def changed(self, transition: Transition) -> None:
        self.seen.append(transition.state)

    def rejected(self, service: str) -> None:
        self.refused += 1


def breakers(clock: Clock) -> tuple[Breakers, Breaker, Noting]:
    found, noting = Breakers(now=clock, chance=random.Random(1)), Noting()
    found.watch(noting)
    return found, found.of("git:origin", TOLERANCE), noting


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(ConnectionError), breaker.guarding("fetch"):
            raise ConnectionError("away")


def test_a_service_that_keeps_failing_is_left_alone() -> None:
    _, breaker, noting = breakers(Clock())
    fail(breaker, 3)
    ran = False
    with pytest.raises(CircuitOpen) as raised, breaker.guarding("fetch"):
        ran = True
    assert not ran
    assert raised.value.retry_after_s == 5.0
    assert (raised.value.service, raised.value.endpoint) == ("git:origin", "fetch")
    assert "5 s more" in str(raised.value)
    assert "away" in str(raised.value)
    assert (noting.seen, noting.refused) == (["open"], 1)


def test_a_refusal_of_the_circuit_is_an_answer_and_an_error_of_the_service() -> None:
    assert issubclass(CircuitOpen, ExternalServiceError)
    assert issubclass(CircuitOpen, Refused)
    assert (CircuitOpen.status, CircuitOpen.retryable) == (503, True)


def test_a_success_between_failures_forgets_them() -> None:
    _, breaker, noting = breakers(Clock())
    fail(breaker, 2)
    with breaker.guarding("fetch"):
        pass
    fail(breaker, 2)
    assert breaker.state().state is State.CLOSED
    assert noting.seen == []


def test_failures_that_are_long_ago_do_not_count() -> None:
    clock = Clock()
    _, breaker, _ = breakers(clock)
    fail(breaker, 2)
    clock.now += 10.0
    fail(breaker, 2)
    assert (breaker.state().state, breaker.state().failures) == (State.CLOSED, 2)


def test_what_we_refuse_ourselves_is_no_failure_of_the_service() -> None:
    _, breaker, _ = breakers(Clock())
    for _ in range(10):
        guarded = breaker.guarding("fetch", lambda error: isinstance(error, ConnectionError))
        with pytest.raises(ValueError, match="ours"), guarded:
            raise ValueError("ours")
    assert breaker.state().state is State.CLOSED


def test_a_probe_that_succeeds_closes_the_circuit() -> None:
    clock = Clock()
    _, breaker, noting = breakers(clock)
    fail(breaker, 3)
    clock.now += 5.0
    with breaker.guarding("fetch"):
        assert breaker.state().state is State.HALF_OPEN
    assert breaker.state().state is State.CLOSED
    assert noting.seen == ["open", "half_open", "closed"]


def test_a_probe_that_fails_opens_it_again() -> None:
    clock = Clock()
    _, breaker, noting = breakers(clock)
    fail(breaker, 3)
    clock.now += 5.0
    fail(breaker)
    assert breaker.state().retry_in_s == 5.0
    assert noting.seen == ["open", "half_open", "open"]


def test_there_is_one_probe_at_a_time() -> None:
    clock = Clock()
    _, breaker, _ = breakers(clock)
    fail(breaker, 3)
    clock.now += 5.0
    with breaker.guarding("fetch"), pytest.raises(CircuitOpen), breaker.guarding("fetch"):
        pass


async def test_a_probe_that_is_cancelled_leaves_its_place_to_the_next_call(
    autojump_clock: trio.abc.Clock,
) -> None:
    clock = Clock()
    _, breaker, _ = breakers(clock)
    fail(breaker, 3)
    clock.now += 5.0
    with trio.move_on_after(1.0), breaker.guarding("fetch"):
        await trio.sleep_forever()
    with breaker.guarding("fetch"):
        pass
    assert breaker.state().state is State.CLOSED


def test_a_probe_that_never_comes_back_is_given_up() -> None:
    clock = Clock()
    circuit = Circuit(TOLERANCE)
    for _ in range(3):
        circuit.fail(circuit.generation, clock(), 0.0)
    lost = circuit.admit(clock() + 5.0)
    assert circuit.admit(clock() + 24.9) is None
    assert lost is not None
    assert circuit.admit(clock() + 25.0) not in (None, lost)


def test_the_end_of_a_call_from_before_the_opening_changes_nothing() -> None:
    clock = Clock()
    _, breaker, _ = breakers(clock)
    with breaker.guarding("slow"):
        fail(breaker, 3)
    assert breaker.state().state is State.OPEN


def test_the_wait_is_longer_at_random_so_that_not_all_come_back_at_once() -> None:
    waits = set()
    for seed in range(20):
        found = Breakers(now=Clock(), chance=random.Random(seed))
        breaker = found.of("s", Tolerance(failures=1, reset_s=10.0, jitter=0.5))
        fail(breaker)
        waits.add(breaker.state().retry_in_s)
    assert len(waits) > 10
    assert all(10.0 <= wait_s <= 15.0 for wait_s in waits)


def test_all_circuits_can_be_looked_at() -> None:
    found, breaker, _ = breakers(Clock())
    found.of("another")
    fail(breaker, 3)
    with pytest.raises(CircuitOpen), breaker.guarding("fetch"):
        pass
    first, second = found.states()
    assert (first.service, first.state, first.last_error) == ("another", State.CLOSED, "")
    assert (second.service, second.state, second.rejected) == ("git:origin", State.OPEN, 1)
    assert (second.retry_in_s, second.last_error) == (5.0, "away")
    assert found.of("another") is found.of("another")


def test_threads_share_a_circuit() -> None:
    """As many calls go through as it takes to open it, and one probe after that."""
    clock = Clock()
    _, breaker, noting = breakers(clock)
    fail(breaker, 3)
    clock.now += 5.0
    let_through, barrier = [], threading.Barrier(8)

    def call() -> None:
        barrier.wait(10)
        try:
            with breaker.guarding("fetch"):
                let_through.append(1)
                raise ConnectionError("away")
        except (ConnectionError, CircuitOpen):
            pass

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(let_through) == 1
    assert noting.seen == ["open", "half_open", "open"]


@pytest.mark.parametrize(
    "given",
    [{"failures": 0}, {"jitter": 1.5}, {"reset_s": 0.0}, {"window_s": -1.0}, {"probe_s": 0.0}],
)
def test_a_tolerance_that_cannot_work_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="circuit"):
        Tolerance(**given)  # type: ignore[arg-type]


@given(st.floats(0, 1), st.floats(0, 1e9))
def test_an_open_circuit_lets_nothing_through_before_its_time(chance: float, now: float) -> None:
    circuit = Circuit(Tolerance(failures=1, reset_s=10.0, jitter=0.5))
    circuit.fail(circuit.generation, now, chance)
    assert circuit.admit(now + 9.9) is None
    assert circuit.admit(now + 15.1) is not None


class Modelled(RuleBasedStateMachine):
    """The circuit beside a model that keeps every call's begin and end, and decides from those."""

    def __init__(self) -> None:
        super().__init__()
        self.circuit = Circuit(TOLERANCE)
        self.now = 0.0
        self.calls: list[int] = []
        self.failed_at: list[float] = []
        self.opened_at: float | None = None
        self.probe: int | None = None
        self.probed_at = 0.0
        self.stale: set[int] = set()

    @rule(seconds=st.floats(0.0, 12.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def call(self) -> None:
        may = self.opened_at is None
        probes = False
        if not may and self.probe is not None:
            may = probes = self.now >= self.probed_at + TOLERANCE.probe_s
        elif not may and self.opened_at is not None:
            may = probes = self.now >= self.opened_at + TOLERANCE.reset_s
        admitted = self.circuit.admit(self.now)
        assert (admitted is not None) is may
        if admitted is not None:
            self.calls.append(admitted)
        if probes:
            self.probe, self.probed_at = admitted, self.now

    def _is_current(self, call: int) -> bool:
        return call == self.probe if self.opened_at is not None else call not in self.stale

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.calls))
        self.calls.remove(call)
        current = self._is_current(call)
        self.circuit.succeed(call)
        if current:
            self.failed_at.clear()
            if self.opened_at is not None:
                self._close()

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.calls))
        self.calls.remove(call)
        current = self._is_current(call)
        self.circuit.fail(call, self.now, 0.0)
        if not current:
            return
        self.failed_at.append(self.now)
        recent = [at for at in self.failed_at if at > self.now - TOLERANCE.window_s]
        if self.opened_at is not None or len(recent) >= TOLERANCE.failures:
            self._open(self.now)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.calls))
        self.calls.remove(call)
        probing = self.opened_at is not None and call == self.probe
        self.circuit.withdraw(call, self.now)
        if probing:
            self._open(self.now - TOLERANCE.reset_s)

    def _open(self, at: float) -> None:
        self.opened_at, self.probe = at, None
        self.failed_at.clear()
        self.stale |= set(self.calls)

    def _close(self) -> None:
        self.opened_at, self.probe = None, None
        self.stale |= set(self.calls)

    @invariant()
    def the_states_agree(self) -> None:
        expected = State.CLOSED
        if self.opened_at is not None:
            expected = State.OPEN if self.probe is None else State.HALF_OPEN
        assert self.circuit.state is expected


TestModel = Modelled.TestCase


def test_codes_of_services_are_theirs() -> None:
    assert WorkflowError.code != ExternalServiceError.code != CircuitOpen.code
