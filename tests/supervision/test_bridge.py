"""The bridge between the trio thread and the others: who is woken, and when."""

import threading
from collections.abc import Callable

import trio
import trio.testing

from supervision import BlockingActor, ChildSpec, Delivery, System, ask, supervisor
from supervision.bridge import TURNS, Bridge
from supervision.inbox import Inbox

from .support import Echo, Owner


class Batches(BlockingActor):
    """Answers each ask with the size of the batch that it came in."""

    def on_deliveries(self, batch: list[Delivery]) -> None:
        with self.burst():
            for delivery in batch:
                delivery.answer(len(batch))


async def test_what_the_trio_thread_says_before_it_rests_is_one_batch() -> None:
    sizes: list[object] = []

    async def asker() -> None:
        await trio.lowlevel.checkpoint()  # the others come later in this turn, and in the next
        sizes.append(await ask(system.named("batches"), Echo()))

    async with System.open() as system:
        child = ChildSpec(id="batches", name="batches", build=Batches)
        await system.start(supervisor("root", "one_for_one", [child]))
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(asker)
    assert sizes == [20] * 20


class Gated(Batches):
    """Says when it has taken its first batch, and answers that once it may."""

    def __init__(self, taken: threading.Event, gate: threading.Event) -> None:
        super().__init__()
        self._taken = taken
        self._gate = gate

    def on_deliveries(self, batch: list[Delivery]) -> None:
        self._taken.set()
        self._gate.wait(5)
        super().on_deliveries(batch)


async def test_what_waits_while_others_are_answered_is_taken_with_what_they_say_to_it() -> None:
    taken, gate = threading.Event(), threading.Event()
    sizes: dict[str, list[object]] = {"answered": [], "waiting": []}

    async def asker(who: str, times: int) -> None:
        for _ in range(times):
            sizes[who].append(await ask(system.named("gated"), Echo()))

    async with System.open() as system:
        child = ChildSpec(id="gated", name="gated", build=lambda: Gated(taken, gate))
        await system.start(supervisor("root", "one_for_one", [child]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asker, "answered", 2)
            await trio.to_thread.run_sync(taken.wait)
            nursery.start_soon(asker, "waiting", 1)
            await trio.testing.wait_all_tasks_blocked()
            gate.set()
    assert sizes == {"answered": [1, 2], "waiting": [2]}


async def test_a_bell_rings_although_the_trio_thread_never_rests() -> None:
    rung: list[int] = []
    turn = 0
    Bridge.current().at_rest(lambda: rung.append(turn))
    for turn in range(2 * TURNS):  # noqa: B007  the bell reads it
        await trio.lowlevel.cancel_shielded_checkpoint()
    assert rung == [TURNS - 1]


async def test_another_threads_message_does_not_wait_for_the_trio_thread_to_rest() -> None:
    inbox = Inbox()
    inbox.open(Owner(), 3, bridge=Bridge.current())
    inbox.put(Delivery("booked"))
    await trio.to_thread.run_sync(lambda: None)  # any turn of the loop
    assert [delivery.message for delivery in inbox.take(3)] == ["booked"]

    inbox.put(Delivery("waits for a rest"))
    sender = threading.Thread(target=inbox.put, args=[Delivery("rings")])
    sender.start()
    sender.join()
    messages = [delivery.message for delivery in inbox.take(3)]  # this turn is not over yet
    assert messages == ["waits for a rest", "rings"]


async def test_the_calls_of_a_burst_arrive_together() -> None:
    bridge = Bridge.current()
    seen: list[str] = []
    half, looked, whole = threading.Event(), threading.Event(), threading.Event()

    def answer() -> None:
        with bridge.burst():
            bridge.call(seen.append, "first")
            half.set()
            looked.wait(5)
            bridge.call(seen.append, "second")
        whole.set()

    thread = threading.Thread(target=answer)
    thread.start()
    await trio.to_thread.run_sync(half.wait)
    await trio.testing.wait_all_tasks_blocked()
    assert seen == []
    looked.set()
    await trio.to_thread.run_sync(whole.wait)
    await trio.testing.wait_all_tasks_blocked()
    assert seen == ["first", "second"]
    thread.join()


def test_a_bell_that_is_booked_when_the_loop_has_ended_rings() -> None:
    rung: list[str] = []
    bridges: list[Bridge] = []

    def bell(text: str) -> Callable[[], None]:
        return lambda: rung.append(text)

    async def main() -> None:
        bridges.append(Bridge.current())
        bridges[0].at_rest(bell("with the loop"))

    trio.run(main)
    assert rung == ["with the loop"]
    bridges[0].at_rest(bell("after it"))
    assert rung == ["with the loop", "after it"]
