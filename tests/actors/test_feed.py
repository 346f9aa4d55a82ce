"""A listener's end of the bus: bounded, whatever becomes of who is too slow."""

from typing import Literal

import pytest
import trio

from actors.event_texts import Texts
from actors.facts import LAGGED, LoggedFact
from actors.feed import CUT, DROP, Feed


def fact(seq: int) -> LoggedFact:
    return LoggedFact(seq, "log", "w", None, f"t{seq}", {})


def feed(buffer: int, lag: str = CUT) -> Feed:
    return Feed(buffer, lag, lambda _: None)  # type: ignore[arg-type]


async def everything(there: Feed) -> list[LoggedFact]:
    found: list[LoggedFact] = []
    while True:
        try:
            found += there.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return found


async def test_batches_come_in_order_also_to_who_waits() -> None:
    there = feed(9)
    async with trio.open_nursery() as nursery:

        async def listen() -> None:
            assert await there.receive() == (fact(1), fact(2))
            assert await there.receive() == (fact(3),)

        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        there.offer((fact(1), fact(2)))
        there.offer((fact(3),))


async def test_who_is_cut_off_gets_what_was_there_and_then_the_end() -> None:
    closed: list[Feed] = []
    there = Feed(2, CUT, closed.append)
    for seq in range(1, 5):
        assert there.offer((fact(seq),)) == 0
    assert closed == [there]
    assert [f.seq for f in await everything(there)] == [1, 2]
    with pytest.raises(trio.EndOfChannel):
        await there.receive()


async def test_who_lets_events_be_dropped_is_told_which_in_their_place() -> None:
    there = feed(2, DROP)
    there.offer((fact(1), fact(2)))
    there.offer((fact(3),))
    assert there.offer((fact(4),)) == 2
    assert there.offer((fact(5), fact(6))) == 1
    marker, *rest = await everything(there)
    assert marker == LoggedFact(3, LAGGED, None, None, "t3", {"from": 1, "to": 3, "dropped": 3})
    assert [f.seq for f in rest] == [4, 5, 6]
    there.offer((fact(7),))
    assert [f.seq for f in await everything(there)] == [7]


@pytest.mark.parametrize(("lag", "left"), [(CUT, [1, 2]), (DROP, [2, 3])])
async def test_what_is_kept_is_bounded_by_the_bytes_of_its_text(
    lag: Literal["cut", "drop"], left: list[int]
) -> None:
    texts = Texts()
    there = Feed(99, lag, lambda _: None, texts, 2 * len(texts.of(fact(1))))
    for seq in range(1, 4):
        there.offer((fact(seq),))
    assert [f.seq for f in await everything(there) if f.type != LAGGED] == left
    assert there.is_empty
    assert there.is_closed == (lag == CUT)


async def test_one_batch_is_kept_however_large_it_is() -> None:
    there = Feed(99, CUT, lambda _: None, Texts(), 1)
    for seq in range(1, 4):
        there.offer((fact(seq),))
        assert await there.receive() == (fact(seq),)


async def test_a_feed_can_be_iterated_until_its_end() -> None:
    there = feed(3)
    there.offer((fact(1),))
    there.offer((fact(2),))
    there.end()
    assert [batch async for batch in there] == [(fact(1),), (fact(2),)]


async def test_who_leaves_is_forgotten_and_waits_for_nothing() -> None:
    closed: list[Feed] = []
    with Feed(2, DROP, closed.append) as there:
        there.offer((fact(1),))
    assert closed == [there]
    assert there.offer((fact(2),)) == 0
    with pytest.raises(trio.EndOfChannel):
        await there.receive()
    there.close()
    assert closed == [there]


async def test_an_end_wakes_who_waits() -> None:
    there = feed(1)
    async with trio.open_nursery() as nursery:

        async def listen() -> None:
            with pytest.raises(trio.EndOfChannel):
                await there.receive()

        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        there.end()


async def test_a_receive_can_be_cancelled_and_loses_nothing() -> None:
    there = feed(1)
    there.offer((fact(1),))
    with trio.CancelScope() as scope:
        scope.cancel()
        await there.receive()
    assert scope.cancelled_caught
    assert await there.receive() == (fact(1),)
