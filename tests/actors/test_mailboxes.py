"""How full the mailboxes are, at the moment of a scrape."""

from prometheus_client import CollectorRegistry

from actors.mailboxes import Mailboxes
from supervision import (
    ChildSpec,
    DynamicSupervisor,
    MailboxFull,
    StartChild,
    System,
    ask,
    supervisor,
)
from tests.supervision.support import Gate, Note, Run, ThreadProbe, probe

DEPTH = "workflow_system_actor_mailbox_depth"
REFUSED = "workflow_system_actor_messages_refused_total"


class Small(ThreadProbe):
    mailbox_bound = 2


def watched(system: System) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Mailboxes(system.snapshot))
    return registry


async def test_what_waits_and_what_was_turned_away_is_shown() -> None:
    gate = Gate()
    async with System.open() as system:
        registry = watched(system)
        small = ChildSpec(id="small", name="small", build=Small)
        await system.start(supervisor("root", "one_for_one", [small]))
        system.named("small").tell(Run(function=gate))
        await gate.wait_reached()
        turned_away = 0
        for _ in range(5):
            try:
                system.named("small").tell(Note(0))
            except MailboxFull:
                turned_away += 1
        depth = registry.get_sample_value(DEPTH, {"actor": "small"})
        refused = registry.get_sample_value(REFUSED, {"actor": "small"})
        gate.open()
    assert (depth, refused) == (5 - turned_away, turned_away)
    assert turned_away


async def test_a_scrape_reads_two_levels_however_many_stand_below() -> None:
    async with System.open() as system:
        registry = watched(system)
        many = ChildSpec(id="many", name="many", build=DynamicSupervisor)
        middle = supervisor("middle", "one_for_one", [many])
        await system.start(supervisor("root", "one_for_one", [middle]))
        for name in ("a", "b"):
            await ask(system.named("many"), StartChild(spec=probe(name)))
        families = {family.name: family for family in registry.collect()}
    shown = [sample.labels["actor"] for sample in families[DEPTH].samples]
    assert shown == ["root", "middle", "many"]


async def test_before_the_start_there_is_nothing_to_show() -> None:
    async with System.open() as system:
        assert [family.samples for family in watched(system).collect()] == [[], []]
