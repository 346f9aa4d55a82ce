import pykka

from supervision.registry import RefIndex, install


def test_the_index_does_what_pykkas_registry_asks_of_a_list() -> None:
    first, second, third = (object.__new__(pykka.ActorRef) for _ in range(3))
    index = RefIndex([first])
    index.append(second)
    index.append(third)
    index.remove(second)
    assert index[:] == [first, third]
    assert list(index) == [first, third]
    assert (len(index), first in index, second in index) == (2, True, False)


def test_installing_twice_keeps_the_one_index() -> None:
    index = pykka.ActorRegistry._actor_refs
    install()
    assert pykka.ActorRegistry._actor_refs is index
    assert isinstance(index, RefIndex)
