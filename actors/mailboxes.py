"""How full the mailboxes are, read off the tree at the moment somebody scrapes.

Nothing is counted as messages come and go, which would cost each of them. Only what `tree.py` names
is read: it stands at most two levels below the root. Workflows and agents come below that, so a
scrape costs the same however many there are.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from actors.lifecycle import place
from supervision import ActorInfo

DEPTH = 2

Family = GaugeMetricFamily | CounterMetricFamily


class Mailboxes(Collector):
    """Register it with the registry of a system.

    Args:
        look: the system's `snapshot`.
    """

    def __init__(self, look: Callable[..., ActorInfo | None]) -> None:
        self._look = look

    def describe(self) -> Iterator[Family]:
        yield from _families()

    def collect(self) -> Iterator[Family]:
        depth, refused = _families()
        root = self._look(depth=DEPTH)
        for actor in root.walk() if root is not None else ():
            label = [place(actor.path)]
            depth.add_metric(label, actor.mailbox_depth)
            refused.add_metric(label, actor.refused)
        yield depth
        yield refused


def _families() -> tuple[GaugeMetricFamily, CounterMetricFamily]:
    labels = ["actor"]
    return (
        GaugeMetricFamily(
            "workflow_system_actor_mailbox_depth", "Messages that wait", labels=labels
        ),
        CounterMetricFamily(
            "workflow_system_actor_messages_refused",
            "Messages that a full mailbox turned away",
            labels=labels,
        ),
    )
