"""Messages that actors send themselves for later."""

import trio
import trio.testing
from trio.testing import MockClock

from supervision import Actor, ChildSpec, System, supervisor
from supervision.later import AGAIN_S, Later
from tests.supervision.support import AT_ONCE, Boom, Echo


class Sleeper(Actor):
    """Writes down what it hears, and when."""

    mailbox_bound = 1

    def __init__(self, heard: list[tuple[object, float]]) -> None:
        super().__init__()
        self._heard = heard

    async def on_receive(self, message: object) -> object:
        match message:
            case (float() | int() as seconds, str() as word):
                self.send_after(seconds, word)
            case trio.Event():
                await message.wait()
            case Echo(value="boom"):
                raise Boom
            case _:
                self._heard.append((message, trio.current_time()))
        return None


def sleeper(heard: list[tuple[object, float]], name: str = "sleeper") -> ChildSpec:
    return ChildSpec(id=name, name=name, build=lambda: Sleeper(heard))


async def test_each_message_comes_at_its_time(system: System, autojump_clock: MockClock) -> None:
    heard: list[tuple[object, float]] = []
    await system.start(sleeper(heard))
    began = trio.current_time()
    for seconds, word in ((5, "e"), (1, "a"), (3, "c"), (2, "b")):
        system.named("sleeper").tell((seconds, word))
        await trio.testing.wait_all_tasks_blocked()
    await trio.sleep(10)
    assert heard == [("a", began + 1), ("b", began + 2), ("c", began + 3), ("e", began + 5)]
    assert len(Later.current()) == 0


async def test_a_full_mailbox_gets_its_message_later(
    system: System, autojump_clock: MockClock
) -> None:
    heard: list[tuple[object, float]] = []
    await system.start(sleeper(heard))
    target, gate = system.named("sleeper"), trio.Event()
    target.tell((1, "late"))
    await trio.testing.wait_all_tasks_blocked()
    began = trio.current_time()
    target.tell(gate)
    await trio.testing.wait_all_tasks_blocked()
    target.tell("first")  # and now it is full
    await trio.sleep(1.5)
    assert heard == []
    gate.set()
    await trio.sleep(10)
    assert [word for word, _ in heard] == ["first", "late"]
    assert heard[1][1] == began + 1 + AGAIN_S


async def test_what_a_crashed_actor_had_sent_itself_does_not_reach_the_next(
    system: System, autojump_clock: MockClock
) -> None:
    heard: list[tuple[object, float]] = []
    await system.start(supervisor("root", "one_for_one", [sleeper(heard)], backoff=AT_ONCE))
    system.named("sleeper").tell((1, "never"))
    await trio.testing.wait_all_tasks_blocked()
    system.named("sleeper").tell(Echo(value="boom"))
    await trio.sleep(10)
    system.named("sleeper").tell("alive")
    await trio.testing.wait_all_tasks_blocked()
    assert [word for word, _ in heard] == ["alive"]
