"""What actors hold and raise may be anything: looking at it must not harm the system."""

from collections.abc import Iterator

import pytest
import trio

from supervision import ActorDeadError, ExitReason, System, ask, supervisor
from supervision.memory import estimate_bytes

from .support import AT_ONCE, Echo, Run, probe


class Unspeakable(Exception):  # noqa: N818  a crash of the tests
    def __str__(self) -> str:
        raise RuntimeError("there are no words")


class Growing(dict[int, int]):
    """Changes while it is looked at, as a container of a thread actor may."""

    def keys(self) -> Iterator[int]:  # type: ignore[override]
        for key in super().__iter__():
            self[-len(self)] = 0
            yield key


def test_a_reason_without_words_can_be_told() -> None:
    assert "Unspeakable" in str(ExitReason.crash(Unspeakable()))


async def test_a_crash_without_words_ends_its_actor_and_no_other() -> None:
    def fail(_: object) -> None:
        raise Unspeakable

    async with System.open() as system:
        await system.start(
            supervisor("root", "one_for_one", [probe("a"), probe("b")], backoff=AT_ONCE)
        )
        with pytest.raises(ActorDeadError):
            await ask(system.named("a"), Run(function=fail))
        await trio.testing.wait_all_tasks_blocked()
        for name in ("a", "b"):
            assert await ask(system.named(name), Echo(value=name)) == name


def test_a_container_that_changes_meanwhile_is_estimated_all_the_same() -> None:
    class Holder:
        def __init__(self) -> None:
            self.known = Growing({1: 1, 2: 2})

    assert estimate_bytes(Holder()) > 0
