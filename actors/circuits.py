"""What is seen of the process's circuit breakers: metrics, log lines, and notes on the bus."""

from collections.abc import Mapping
from typing import Final

import structlog

from actors import facts
from actors.breakers import State, Transition, Watcher
from actors.bus import tell_bus
from actors.clock import Clock, rfc3339
from actors.facts import Fact
from actors.telemetry import Meters
from supervision import Named

FACTS: Final[Mapping[State, str]] = {
    State.CLOSED: facts.CIRCUIT_CLOSED,
    State.HALF_OPEN: facts.CIRCUIT_HALF_OPENED,
    State.OPEN: facts.CIRCUIT_OPENED,
}
LEVELS: Final[Mapping[State, int]] = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}
"""What the gauge shows."""

log = structlog.get_logger("beadflow.circuits")


class CircuitWatcher(Watcher):
    """Tells of one process's circuits, from whatever thread they change in."""

    def __init__(self, *, meters: Meters, bus: Named, clock: Clock) -> None:
        self._meters = meters
        self._bus = bus
        self._clock = clock

    def changed(self, transition: Transition) -> None:
        service, state = transition.service, transition.state
        self._meters.circuit_state.labels(service).set(LEVELS[state])
        self._meters.circuit_transitions.labels(service, state).inc()
        data = {
            "service": service,
            "retry_in_s": round(transition.retry_in_s, 3),
            "why": transition.why,
        }
        say = log.info if state is State.CLOSED else log.warning
        say(FACTS[state], **data)
        at = rfc3339(self._clock())
        tell_bus(self._bus, Fact(type=FACTS[state], workflow_id=None, at=at, data=data))

    def rejected(self, service: str) -> None:
        self._meters.circuit_rejections.labels(service).inc()
