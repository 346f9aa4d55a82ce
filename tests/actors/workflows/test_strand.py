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


@pytest.mark.parametrize(("run", "ops"), [(1, ["1", "2"]), (2, ["2~1", "2~2"])])
async def test_operations_of_a_later_run_carry_its_number(run: int, ops: list[str]) -> None:
    strand = Strand.enter(run)
    assert strand.peek_op() == ops[0]
    assert [strand.next_op(), strand.next_op()] == ops


async def test_branches_of_a_later_run_carry_its_number_once() -> None:
    strand = Strand.enter(2)
    branch = strand.fork(f"{strand.next_op()}.0")
    assert branch.next_op() == "2~1.0.1"
    assert list(forks_above("2~1.0.1")) == ["2~1"]


async def test_each_value_that_is_drawn_has_a_name_of_its_own() -> None:
    strand = Strand.enter()
    names = [strand.draw(), strand.draw()]
    strand.next_op()
    names += [strand.draw(), strand.fork("1.0").draw()]
    assert len(set(names)) == 4


async def test_a_branch_of_a_branch_that_has_lost_has_lost() -> None:
    branch = Strand.enter().fork("1.0")
    inner = branch.fork("1.0.1.0")
    other = branch.parent
    branch.lost = True
    assert inner.has_lost
    assert other is not None
    assert not other.has_lost


async def test_a_branch_begins_as_cancelled_and_as_shielded_as_its_parent_is() -> None:
    parent = Strand.enter()
    assert parent.fork("1.0").takes_cancellation
    parent.cancelled = True
    assert not parent.fork("2.0").takes_cancellation
    parent.cancelled, parent.shielded = False, True
    assert not parent.fork("3.0").takes_cancellation


async def test_a_branch_that_was_cancelled_leaves_its_parent_and_the_others_alone() -> None:
    parent = Strand.enter()
    first, second = parent.fork("1.0"), parent.fork("1.1")
    first.cancelled = True
    assert parent.takes_cancellation
    assert second.takes_cancellation


@pytest.mark.parametrize(
    ("path", "is_under"), [("1.0", True), ("1.0.2.1", True), ("1.01", False), ("1.1", False)]
)
async def test_a_strand_lies_under_another_by_whole_numbers(path: str, *, is_under: bool) -> None:
    assert Strand.enter().fork(path).is_under("1.0") == is_under
