"""docs/metrics.md names every metric, its type and its labels."""

from typing import Any

from prometheus_client import Counter, Metric
from prometheus_client.metrics import MetricWrapperBase

from actors.mailboxes import Mailboxes
from actors.telemetry import AGENT_TASK_BUCKETS_S, Meters
from cli.settings import Settings
from tests.docs.pages import names, page, rows

PAGE = "docs/metrics.md"


def test_every_metric_is_listed_with_its_type_and_labels() -> None:
    documented = {
        names(name)[0]: (kind, tuple(names(labels))) for name, kind, labels, _ in rows(page(PAGE))
    }
    instruments = [found for found in vars(Meters()).values() if hasattr(found, "describe")]
    own = [found for found in instruments if isinstance(found, MetricWrapperBase)]
    real = {_name(found): (found._type, found._labelnames) for found in own}
    collectors = [found for found in instruments if found not in own]
    at_scrape = [
        family
        for collector in (Mailboxes(lambda: None), *collectors)
        for family in collector.describe()
    ]
    assert documented == real | {
        _name(found): (found.type, found._labelnames) for found in at_scrape
    }


def test_the_page_states_the_port_and_the_buckets_of_the_code() -> None:
    assert f":{Settings().metrics_port}/metrics" in page(PAGE)
    assert f"{AGENT_TASK_BUCKETS_S[0]:g} to {AGENT_TASK_BUCKETS_S[-1]:g} s" in page(PAGE)


def _name(instrument: Any) -> str:
    """As it is scraped."""
    if isinstance(instrument, Metric):
        return instrument.name + ("_total" if instrument.type == "counter" else "")
    return instrument._name + ("_total" if isinstance(instrument, Counter) else "")
