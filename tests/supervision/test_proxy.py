"""pykka's own refs, proxies and registry, with our actors behind them."""

import pykka
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervision import (
    Actor,
    ActorDeadError,
    ActorRef,
    ActorRestarted,
    BlockingActor,
    ChildSpec,
    Delivery,
    System,
    ask,
    supervisor,
)

from .support import AT_ONCE, Boom, Echo, Events, Nope


class Sound:
    pykka_traversable = True

    def __init__(self) -> None:
        self.volume = 3

    def louder(self, by: int) -> int:
        self.volume += by
        return self.volume


class Player(Actor):
    """Methods of both kinds, an attribute, and a part with its own."""

    def __init__(self) -> None:
        super().__init__()
        self.title = "none"
        self.sound = Sound()

    async def on_receive(self, message: object) -> object:
        return message  # takes all there is: a proxy's messages must not come here

    def play(self, title: str, *, twice: bool = False) -> str:
        self.title = title
        return title * 2 if twice else title

    async def fade(self) -> str:
        await trio.lowlevel.checkpoint()
        return f"{self.title} faded"

    def refuse(self) -> None:
        raise Nope

    def crash(self) -> None:
        raise Boom


class Recorder(BlockingActor):
    def __init__(self) -> None:
        super().__init__()
        self.title = "none"
        self.batches: list[list[object]] = []

    def on_deliveries(self, batch: list[Delivery]) -> None:
        self.batches.append([delivery.message for delivery in batch])
        for delivery in batch:
            delivery.answer(delivery.message)

    def play(self, title: str) -> str:
        self.title = title
        return title

    def refuse(self) -> None:
        raise Nope

    async def fade(self) -> None:
        """Nothing that a thread could await."""


async def started(system: System, build: type[Player | Recorder]) -> ActorRef:
    spec = ChildSpec(id="a", name="a", build=build)
    await system.start(supervisor("root", "one_for_one", [spec], backoff=AT_ONCE))
    ref = system.named("a").ref
    assert ref is not None
    return ref


@pytest.mark.parametrize("build", [Player, Recorder])
async def test_a_proxy_calls_methods_and_reads_attributes(
    system: System, build: type[Player | Recorder]
) -> None:
    proxy = (await started(system, build)).proxy()
    assert await proxy.play("blue") == "blue"
    assert await proxy.title == "blue"


async def test_a_proxys_call_may_be_a_coroutine_of_a_task_actor(system: System) -> None:
    proxy = (await started(system, Player)).proxy()
    assert await proxy.play("blue", twice=True) == "blueblue"
    assert await proxy.fade() == "blue faded"


async def test_a_proxy_reaches_into_parts_marked_for_it(system: System) -> None:
    proxy = (await started(system, Player)).proxy()
    assert await proxy.sound.louder(2) == 5
    assert await proxy.sound.volume == 5


async def test_a_call_without_an_answer_is_a_tell(system: System) -> None:
    proxy = (await started(system, Player)).proxy()
    proxy.play.defer("blue")
    assert await proxy.title == "blue"


@pytest.mark.parametrize("build", [Player, Recorder])
async def test_another_thread_reads_calls_and_sets(
    system: System, build: type[Player | Recorder]
) -> None:
    proxy = (await started(system, build)).proxy()

    def use() -> tuple[object, object]:
        played = proxy.play("red").get(timeout=5)
        proxy.title = "green"
        return played, proxy.title.get(timeout=5)

    assert await trio.to_thread.run_sync(use) == ("red", "green")


async def test_setting_through_a_proxy_would_block_the_trio_thread_and_says_so(
    system: System,
) -> None:
    proxy = (await started(system, Player)).proxy()
    with pytest.raises(RuntimeError, match="block the trio thread"):
        proxy.title = "green"


@pytest.mark.parametrize("build", [Player, Recorder])
async def test_a_refusal_goes_to_who_called(system: System, build: type[Player | Recorder]) -> None:
    ref = await started(system, build)
    with pytest.raises(Nope):
        await ref.proxy().refuse()
    assert await ref.proxy().title == "none"
    ref.proxy().refuse.defer()
    assert ref.is_alive()


async def test_an_error_in_a_call_is_a_crash_like_any_other(system: System, events: Events) -> None:
    ref = await started(system, Player)
    with pytest.raises(ActorDeadError, match="Boom"):
        await ref.proxy().crash()
    await events.wait_for(ActorRestarted)
    with pytest.raises(pykka.ActorDeadError):
        ref.proxy()


async def test_a_thread_actor_has_no_coroutines_to_call(system: System, events: Events) -> None:
    ref = await started(system, Recorder)
    with pytest.raises(ActorDeadError, match="are no coroutines"):
        await ref.proxy().fade()


async def test_calls_and_messages_of_one_batch_are_handled_in_their_order(system: System) -> None:
    ref = await started(system, Recorder)

    def send() -> None:
        ref.tell(1)
        ref.tell(2)
        ref.proxy().play.defer("blue")
        ref.tell(3)

    await trio.to_thread.run_sync(send)
    assert await ask(ref, Echo()) is not None
    batches = await ref.proxy().batches
    told = [message for batch in batches for message in batch if isinstance(message, int)]
    assert told == [1, 2, 3]
    assert await ref.proxy().title == "blue"


async def test_the_registry_finds_the_living(system: System) -> None:
    ref = await started(system, Player)
    registry = pykka.ActorRegistry
    assert registry.get_by_class(Player) == [ref]
    assert registry.get_by_class_name("Player") == [ref]
    assert registry.get_by_urn(ref.actor_urn) is ref
    assert ref.actor_urn.startswith("urn:uuid:")
    registry.broadcast("hello", target_class=Player)
    await system.stop()
    assert registry.get_by_urn(ref.actor_urn) is None


async def test_each_incarnation_has_a_urn_of_its_own(system: System, events: Events) -> None:
    first = await started(system, Player)
    first.proxy().crash.defer()
    await events.wait_for(ActorRestarted)
    second = system.named("a").ref
    assert second is not None
    assert len({first.actor_urn, second.actor_urn}) == 2


async def test_a_ref_knows_whether_its_actor_has_ended(system: System) -> None:
    ref = await started(system, Player)
    before = ref.actor_stopped
    assert ref.is_alive()
    assert not before.is_set()
    await system.stop()
    assert not ref.is_alive()
    assert before.is_set()
    assert ref.actor_stopped is before
    assert not pykka.ActorRegistry.get_all()


async def test_an_event_asked_for_after_the_end_is_set(system: System) -> None:
    ref = await started(system, Player)
    await system.stop()
    assert ref.actor_stopped.wait(0)


async def test_another_thread_may_stop_all_actors(system: System) -> None:
    await system.start(ChildSpec(id="a", name="a", build=Player))
    stopped = await trio.to_thread.run_sync(lambda: pykka.ActorRegistry.stop_all(timeout=5))
    assert stopped == [True]
    await wait_all_tasks_blocked()
    assert (await system.wait()).kind == "normal"
