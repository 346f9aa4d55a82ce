"""What a complete pass passes over is over, and nothing is wrong with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.coordination.reconciling.reading import Pools, look
from actors.coordination.reconciling.rules import examine
from actors.coordination.reconciling.scope import all_there_is
from actors.coordination.reconciling.view import House
from tests.actors.coordination.test_passes import stocked
from tests.support.divergences import OLD, Stock


def pools(stock: Stock) -> Pools:
    stores = stock.running.stores
    return Pools(
        coordination=stores.coordination.pool,
        tempolite=stores.tempolite.pool,
        beads=stores.beads.pool,
    )


async def examined(stock: Stock, actors: frozenset[str] = frozenset()) -> set[str]:
    """The ended workflows that are not passed over."""
    home = stock.running.stores.identity.home
    scope = await all_there_is(pools(stock), home, actors)
    left = set(scope.workflow_ids) & set(stock.ended)
    assert len(left) + scope.passed_over == len(stock.ended)
    house = House(home=home, at=OLD, agents={}, actors=actors)
    for view in await look(pools(stock), [w for w in stock.ended if w not in left]):
        assert examine(view, house) == []
    return left


async def test_what_is_over_and_well_is_not_examined(repo: Path) -> None:
    async with stocked(repo, 1) as stock:
        assert await examined(stock) == set()
        home = stock.running.stores.identity.home
        scope = await all_there_is(pools(stock), home, frozenset())
        assert set(scope.workflow_ids) == {
            *stock.active,
            *stock.assigned,
            *stock.working,
            *stock.paused,
        }


def _issue(**changes: Any) -> Callable[[Stock, str], None]:
    return lambda stock, w: stock.edit(stock.issue_of(w), lambda row: row.update(changes))


def _without_home(stock: Stock, workflow_id: str) -> None:
    def edit(row: dict[str, Any]) -> None:
        del row["metadata"]["beadflow"]["home"]
        row["labels"] = ["paused"]

    stock.edit(stock.issue_of(workflow_id), edit)


def _mapping(status: str) -> Callable[[Stock, str], None]:
    sql = "UPDATE workflow_mappings SET status = ? WHERE tempolite_workflow_id = ?"
    return lambda stock, w: stock.run("coordination", sql, status, w) and None


def _child(stock: Stock, workflow_id: str) -> None:
    sql = "UPDATE instances SET parent_id = 'another' WHERE workflow_id = ?"
    stock.run("tempolite", sql, workflow_id)


def _intent(stock: Stock, workflow_id: str) -> None:
    sql = """INSERT INTO intents (id, workflow_id, kind, payload, created_at)
        VALUES ('one', ?, 'handoff', '', ?)"""
    stock.run("coordination", sql, workflow_id, OLD)


def _assignment(stock: Stock, workflow_id: str) -> None:
    sql = """INSERT INTO agent_assignments
            (workflow_id, agent_type, agent_id, step_number, status, created_at)
        VALUES (?, 'clerk', 'clerk-1', 1, 'assigned', ?)"""
    stock.run("coordination", sql, workflow_id, OLD)


WRONG = {
    "is with an agent": _assignment,
    "is decided in part": _intent,
    "is open": _issue(status="open"),
    "is called otherwise": _issue(title="another"),
    "is of another priority": _issue(priority=4),
    "is labelled": _issue(labels=["paused"]),
    "does not say at which home": _without_home,
    "ended otherwise": _mapping("terminated"),
    "goes on, the bridge says": _mapping("active"),
    "is a child": _child,
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_what_is_over_and_not_well_is_examined(
    repo: Path, wrong: Callable[[Stock, str], None]
) -> None:
    async with stocked(repo, 1) as stock:
        wrong(stock, stock.ended[0])
        assert await examined(stock) == {stock.ended[0]}


async def test_what_is_over_and_has_an_actor_is_examined(repo: Path) -> None:
    async with stocked(repo, 1) as stock:
        assert await examined(stock, frozenset(stock.ended[:1])) == {stock.ended[0]}
