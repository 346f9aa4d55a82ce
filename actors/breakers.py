"""Circuit breakers: a service that fails is left alone for a while, and then tried by one call.

Closed, calls go through; so many failures in a row within a window open it. Open, a call is refused
at once (`CircuitOpen`), so nobody waits for a service that is known to be away. Once the reset time
is over, the next call is the probe: half open, it alone goes through, and closes the circuit or
opens it again. Only the service's own failures count: what we refuse ourselves, and what is
cancelled, says nothing about it.

`Circuit` is the state machine, pure. `Breaker` is one service's, to be used from any task or
thread; `Breakers` are all of a process, which metrics, the API and the event log look at.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random, SystemRandom
from threading import Lock
from typing import Final

from actors.errors import CircuitOpen

ERROR_CHARACTERS: Final = 300


class State(StrEnum):
    """Of a circuit, in the words of the metrics and the events."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What is borne with, and how long a service is left alone.

    Args:
        failures: so many in a row open the circuit, 1 or more.
        window_s: failures longer ago than so many seconds are forgotten.
        reset_s: seconds from the opening to the probe.
        jitter: share by which that is longer at random, 0.0 to 1.0, so that not all who wait for a
            service come back to it at once.
        probe_s: seconds after which a probe that has not ended is given up, and another one made.
    """

    failures: int = 5
    window_s: float = 60.0
    reset_s: float = 30.0
    jitter: float = 0.2
    probe_s: float = 180.0

    def __post_init__(self) -> None:
        times = (self.window_s, self.reset_s, self.probe_s)
        if self.failures < 1 or not 0 <= self.jitter <= 1:
            raise ValueError(f"a circuit cannot work with {self}")
        if not all(0 < seconds < math.inf for seconds in times):
            raise ValueError(f"the times of a circuit are positive and finite: {self}")


@dataclass(slots=True)
class Circuit:
    """The state of one circuit. Pure: time and chance are given to it.

    Attributes:
        retry_at: when the next call is let through as a probe; meaningless while closed.
        failures: when the failures of the window were.
        generation: rises with each change of state: the end of a call that was let through before
            the last one says nothing about the present state.
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    state: State = State.CLOSED
    retry_at: float = 0.0
    failures: deque[float] = field(default_factory=deque)
    generation: int = 0

    def admit(self, now: float) -> int | None:
        """Lets a call through, and gives what it has to say at its end; None refuses it."""
        if self.state is State.CLOSED:
            return self.generation
        if now < self.retry_at:
            return None
        # open for long enough, or half open with a probe that is not coming back
        self._become(State.HALF_OPEN, now + self.tolerance.probe_s)
        return self.generation

    def succeed(self, admitted: int) -> None:
        if admitted != self.generation:
            return
        self.failures.clear()
        if self.state is State.HALF_OPEN:
            self._become(State.CLOSED, 0.0)

    def fail(self, admitted: int, now: float, chance: float) -> None:
        """Counts a failure of the service; `chance` is from 0.0 to 1.0."""
        if admitted != self.generation:
            return
        self.failures.append(now)
        while self.failures[0] <= now - self.tolerance.window_s:
            self.failures.popleft()
        enough = len(self.failures) >= self.tolerance.failures
        if enough or self.state is State.HALF_OPEN:
            self.failures.clear()
            wait_s = self.tolerance.reset_s * (1.0 + self.tolerance.jitter * chance)
            self._become(State.OPEN, now + wait_s)

    def withdraw(self, admitted: int, now: float) -> None:
        """Ends a call that has learnt nothing of the service: the next one is the probe."""
        if admitted == self.generation and self.state is State.HALF_OPEN:
            self._become(State.OPEN, now)

    def _become(self, state: State, retry_at: float) -> None:
        self.state, self.retry_at = state, retry_at
        self.generation += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitState:
    """What is to be seen of a circuit.

    Args:
        failures: in a row, so far, while it is closed.
        retry_in_s: seconds until a call is let through; 0.0 when one would be now.
        rejected: calls that were refused so far, in this life of the process.
        last_error: what it failed with last; "" when it never did.
    """

    service: str
    state: State
    failures: int
    retry_in_s: float
    rejected: int
    last_error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A circuit has changed."""

    service: str
    state: State
    retry_in_s: float
    why: str


class Watcher:
    """Told of what circuits do, in the thread where it happens. This one does nothing."""

    def changed(self, transition: Transition) -> None:
        """A circuit opened, half opened or closed."""

    def rejected(self, service: str) -> None:
        """A call was refused."""


class Breaker:
    """The circuit of one service. Safe to use from any task and any thread."""

    def __init__(
        self,
        service: str,
        tolerance: Tolerance,
        *,
        now: Callable[[], float],
        chance: Random,
        watchers: list[Watcher],
    ) -> None:
        self.service = service
        self._circuit = Circuit(tolerance)
        self._now = now
        self._chance = chance
        self._watchers = watchers
        self._lock = Lock()
        self._rejected = 0
        self._last_error = ""

    @contextmanager
    def guarding(
        self, endpoint: str, counts: Callable[[Exception], bool] = lambda _: True
    ) -> Iterator[None]:
        """Guards one call of the service: the body of the `with`, which may await.

        Args:
            endpoint: what is called, without credentials; for the message of a refusal.
            counts: whether an exception of the body is a failure of the service. Any other says
                that it answered. A cancellation says nothing.

        Raises:
            CircuitOpen: the service is left alone for now; the body was not run.
        """
        admitted = self._admit(endpoint)
        outcome, why = "unknown", ""
        try:
            yield
            outcome = "answered"
        except Exception as error:
            outcome, why = ("failed", _words(error)) if counts(error) else ("answered", "")
            raise
        finally:
            self._end(admitted, outcome, why)

    def state(self) -> CircuitState:
        with self._lock:
            circuit = self._circuit
            return CircuitState(
                service=self.service,
                state=circuit.state,
                failures=len(circuit.failures),
                retry_in_s=self._retry_in_s(),
                rejected=self._rejected,
                last_error=self._last_error,
            )

    def _admit(self, endpoint: str) -> int:
        with self._changing():
            admitted = self._circuit.admit(self._now())
            self._rejected += admitted is None
        if admitted is not None:
            return admitted
        for watcher in self._watchers:
            watcher.rejected(self.service)
        state = self.state()
        raise CircuitOpen(
            f"{self.service} is left alone for {math.ceil(state.retry_in_s)} s more, since it"
            f" failed: {state.last_error}",
            service=self.service,
            endpoint=endpoint,
            retry_after_s=state.retry_in_s,
        )

    def _end(self, admitted: int, outcome: str, why: str) -> None:
        with self._changing():
            match outcome:
                case "answered":
                    self._circuit.succeed(admitted)
                case "failed":
                    self._last_error = why
                    self._circuit.fail(admitted, self._now(), self._chance.random())
                case _:
                    self._circuit.withdraw(admitted, self._now())

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Lets one thread change the circuit, and tells what has become of it, if anything has."""
        with self._lock:
            before = self._circuit.generation
            yield
            told = Transition(
                service=self.service,
                state=self._circuit.state,
                retry_in_s=self._retry_in_s(),
                why=self._last_error,
            )
            changed = self._circuit.generation != before
        if changed:
            for watcher in self._watchers:
                watcher.changed(told)

    def _retry_in_s(self) -> float:
        if self._circuit.state is State.CLOSED:
            return 0.0
        return max(0.0, self._circuit.retry_at - self._now())


def _words(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:ERROR_CHARACTERS]


class Breakers:
    """The circuits of one process, by service.

    Args:
        now: seconds, monotonic, from any thread.
        chance: gives the jitter.
    """

    def __init__(
        self, *, now: Callable[[], float] = time.monotonic, chance: Random | None = None
    ) -> None:
        self._now = now
        self._chance = chance or SystemRandom()
        self._watchers: list[Watcher] = []
        self._lock = Lock()
        self._breakers: dict[str, Breaker] = {}

    def watch(self, watcher: Watcher) -> None:
        """Has all circuits, also those that come later, tell what they do."""
        self._watchers.append(watcher)

    def of(self, service: str, tolerance: Tolerance | None = None) -> Breaker:
        """The circuit of a service; the first to ask says what it bears with.

        Names are few: those of configured things, never of what a request names.
        """
        with self._lock:
            if service not in self._breakers:
                self._breakers[service] = Breaker(
                    service,
                    tolerance or Tolerance(),
                    now=self._now,
                    chance=self._chance,
                    watchers=self._watchers,
                )
            return self._breakers[service]

    def states(self) -> tuple[CircuitState, ...]:
        """All circuits as they are now, by service: for doctor, the API and whoever looks."""
        with self._lock:
            breakers = sorted(self._breakers.values(), key=lambda breaker: breaker.service)
        return tuple(breaker.state() for breaker in breakers)
