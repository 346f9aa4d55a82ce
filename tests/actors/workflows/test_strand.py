"""The names of operations, and who may take one."""

import pytest
import trio

from actors.workflows.strand import Strand, StrandError, forks_above


async def test_operations_of_a_workflow_are_numbered_from_one() -> None:
    strand = Strand.enter()
    assert [strand.next_op() for _ in range(3)] == ["1", "2", "3"]


async def test_operations_of_a_branch_carry_its_path() -> None:
    strand = Strand.enter().fork("3.0")
    assert [strand.next_op(), strand.next_op()] == ["3.0.1", "3.0.2"]


async def test_the_current_strand_is_the_one_its_task_entered() -> None:
    assert Strand.enter() is Strand.current()


async def test_a_task_that_never_entered_a_strand_has_none() -> None:
    with pytest.raises(StrandError, match=r"ctx\.gather"):
        Strand.current()


async def test_a_task_of_a_nursery_inherits_no_strand() -> None:
    Strand.enter()
    refused = []

    async def child() -> None:
        try:
            Strand.current()
        except StrandError as error:
            refused.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)
    assert len(refused) == 1


async def test_a_branch_does_not_change_the_strand_of_its_parent() -> None:
    parent = Strand.enter()

    async def branch() -> None:
        own = parent.fork("1.0")
        own.bind()
        assert Strand.current().next_op() == "1.0.1"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(branch)
    assert Strand.current() is parent


@pytest.mark.parametrize(
    ("op", "above"),
    [("3", []), ("3.0.2", ["3"]), ("3.0.2.1.1", ["3.0.2", "3"]), ("10.11.12", ["10"])],
)
def test_an_operation_knows_the_forks_it_lies_under(op: str, above: list[str]) -> None:
    assert list(forks_above(op)) == above
