"""A reply crosses threads both ways, and is settled once."""

import threading

import pykka
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervision import Reply
from supervision.bridge import Bridge


async def test_a_reply_settled_before_it_is_awaited_is_there_at_once() -> None:
    reply = Reply[int]()
    reply.set(3)
    assert reply.settled
    assert await reply == 3


async def test_an_awaiting_task_is_woken_on_the_trio_thread() -> None:
    reply = Reply[int]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect, reply, 3)
        await wait_all_tasks_blocked()
        reply.set(3)


async def test_an_awaiting_task_is_woken_from_another_thread() -> None:
    reply = Reply[int]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect, reply, 3)
        await wait_all_tasks_blocked()
        await trio.to_thread.run_sync(reply.set, 3)


async def test_an_error_is_raised_where_it_is_awaited() -> None:
    reply = Reply[int]()
    try:
        raise KeyError("k")
    except KeyError:
        reply.set_exception()
    with pytest.raises(KeyError):
        await reply


async def test_the_first_outcome_stays() -> None:
    reply = Reply[int]()
    reply.set(1)
    reply.set(2)
    reply.fail(ValueError())
    assert await reply == 1


async def test_a_cancelled_wait_forgets_the_task_and_a_later_one_gets_the_value() -> None:
    reply = Reply[int]()
    with trio.move_on_after(0):
        await reply
    reply.set(4)
    assert await reply == 4


async def test_an_outcome_that_comes_while_the_task_lies_down_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reply = Reply[int]()
    bridge = Bridge.current()

    def settle_and_return() -> Bridge:
        reply.set(6)
        return bridge

    monkeypatch.setattr(Bridge, "current", settle_and_return)
    assert await reply == 6


async def test_two_tasks_cannot_await_one_reply() -> None:
    reply = Reply[int]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect, reply, 1)
        await wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="another task already awaits"):
            await reply
        reply.set(1)


async def test_get_would_block_the_trio_thread_and_says_so() -> None:
    with pytest.raises(RuntimeError, match="await the reply instead"):
        Reply[int]().get(timeout=1)


def test_get_waits_in_other_threads() -> None:
    reply = Reply[int]()
    values: list[int] = []
    threads = [
        threading.Thread(target=lambda: values.append(reply.get(timeout=5))) for _ in range(3)
    ]
    for one in threads:
        one.start()
    reply.set(5)
    for one in threads:
        one.join()
    assert values == [5, 5, 5]


def test_get_gives_up_after_its_timeout() -> None:
    with pytest.raises(pykka.Timeout):
        Reply[int]().get(timeout=0.001)


def test_pykkas_transformations_work_in_threads() -> None:
    reply = Reply[int]()
    reply.set(5)
    assert reply.map(lambda value: value * 2).get(timeout=1) == 10


async def test_pykkas_transformations_can_be_awaited() -> None:
    reply = Reply[int]()
    reply.set(5)
    assert await reply.map(lambda value: value * 2) == 10


def test_set_exception_outside_of_an_except_block_is_still_an_error() -> None:
    reply = Reply[int]()
    reply.set_exception()
    with pytest.raises(RuntimeError, match="outside of an except block"):
        reply.get(timeout=1)


def test_setting_after_the_loop_has_ended_disturbs_nobody() -> None:
    reply = Reply[int]()

    async def wait() -> None:
        with trio.move_on_after(0):
            await reply

    trio.run(wait)
    reply.set(1)
    assert reply.get(timeout=1) == 1


async def expect(reply: Reply[int], value: int) -> None:
    assert await reply == value
