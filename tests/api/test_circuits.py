import json
from pathlib import Path

import pytest
import trio
from prometheus_client import generate_latest

from actors.breakers import Tolerance
from actors.bus import Subscribe
from actors.errors import CircuitOpen
from tests.api.site import site


async def test_a_circuit_that_opens_is_seen_in_the_api_the_metrics_and_the_events(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as at:
        running = at.running
        subscription = await running.ask("event_bus", Subscribe())
        breaker = running.world.breakers.of("somewhere", Tolerance(failures=1))
        with pytest.raises(ConnectionError), breaker.guarding("/"):
            raise ConnectionError("away")
        with pytest.raises(CircuitOpen), breaker.guarding("/"):
            pass
        answer = await at.call("GET", "/api/v1/system/circuits")
        (circuit,) = answer.json()["data"]
        assert (circuit["service"], circuit["state"]) == ("somewhere", "open")
        assert (circuit["rejected"], circuit["last_error"]) == (1, "away")
        scraped = generate_latest(running.world.meters.registry).decode()
        assert 'workflow_system_circuit_state{service="somewhere"} 2.0' in scraped
        assert 'workflow_system_circuit_rejections_total{service="somewhere"} 1.0' in scraped
        assert 'circuit_transitions_total{service="somewhere",state="open"} 1.0' in scraped
        with trio.fail_after(20):
            batch = await subscription.batches.receive()
        (fact,) = [fact for fact in batch if fact.type == "circuit_opened"]
        assert set(fact.data) == {"service", "retry_in_s", "why"}
        assert json.dumps(dict(fact.data))
