"""Names outlive the actors that answer to them."""

import gc

import pytest

from supervision import ActorDeadError, ActorRestarting, AskTimeout, Named, NameTaken, System, ask
from supervision.delivery import Delivery
from supervision.names import Names

from .support import Echo, Note, Probe, probe


async def test_a_name_may_be_taken_before_anybody_answers_to_it(system: System) -> None:
    early = system.named("probe")
    with pytest.raises(ActorDeadError, match="nobody answers to probe: Echo was not delivered"):
        await ask(early, Echo())
    await system.start(probe())
    assert await ask(early, Echo(value=1)) == 1


def test_a_name_is_free_again_when_its_owner_has_left() -> None:
    names = Names()
    name, ref = names.find("a"), Probe().me
    name.bind(ref)
    with pytest.raises(NameTaken, match="already answers to a"):
        names.free("a")
    name.leave(restarting=False)
    assert names.free("a") is name


def test_a_name_that_nobody_holds_is_forgotten() -> None:
    names = Names()
    for index in range(100):
        names.find(f"{index}")
    gc.collect()
    assert len(names._names) == 0


def test_what_is_expected_of_a_name_counts_only_while_nobody_answers() -> None:
    name = Names().find("a")
    name.expect(restarting=True)
    assert isinstance(name.absent("x"), ActorRestarting)
    name.bind(Probe().me)
    name.expect(restarting=True)
    assert not name.restarting


def test_a_send_that_meets_the_end_of_an_incarnation_is_told_what_the_name_knows() -> None:
    """Another thread looked at the name, then the actor crashed, then the message was put."""
    name = Names().find("a")
    ref = Probe().me

    class Ending:
        def put(self, _delivery: Delivery) -> None:
            name.leave(restarting=True)
            raise ActorDeadError

    ref.actor_inbox = Ending()  # type: ignore[assignment]
    name.bind(ref)
    with pytest.raises(ActorRestarting, match="a is being restarted: Note never ran"):
        Named(name).tell(Note(1))


def test_a_send_to_an_incarnation_that_is_just_ending_is_told_so() -> None:
    name = Names().find("a")
    name.bind(Probe().me)
    with pytest.raises(ActorDeadError, match="is gone"):
        Named(name).tell(Note(1))


async def test_a_name_and_a_ref_say_who_they_are(system: System) -> None:
    await system.start(probe())
    target = system.named("probe")
    assert repr(target) == "<Named probe>"
    assert target.ref is not None
    assert target.ref.path == target.ref.label == "probe"


async def test_a_timeout_names_the_path_of_a_ref(system: System) -> None:
    await system.start(probe())
    ref = system.named("probe").ref
    assert ref is not None
    with pytest.raises(AskTimeout, match="probe did not answer Echo within 0 s"):
        await ask(ref, Echo(), deadline_s=0)
