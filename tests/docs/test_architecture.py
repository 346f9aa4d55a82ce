"""The pages draw the tree that the code builds, and name places that are there."""

import ast
import re

import pytest

from actors.coordination.reconciler import changes_for
from actors.facts import LoggedFact
from actors.issues.messages import SetStatus
from tests.docs.pages import ROOT, first_names, names, page, rows, section
from tests.docs.picture import drawn

PAGE = "docs/architecture.md"
DATA = {"code": "x", "message": "y", "summary": "z", "agent_id": "a", "reason": "r"}
DATA |= {"from_agent": "a-1", "to_agent": "b-1", "to_type": "b"}
DATA |= {"author": "o", "queued": False}
ROWS = [row for row in rows(section(PAGE, "The issue follows the workflow")) if names(row[0])]


@pytest.mark.parametrize("name", ["README.md", PAGE])
def test_the_picture_of_the_tree_is_that_of_the_code(name: str) -> None:
    assert f"```\n{drawn()}\n```" in page(name)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: names(row[0])[0])
def test_an_event_gives_its_issue_the_status_of_the_table(row: list[str]) -> None:
    fact = LoggedFact(seq=1, type=names(row[0])[0], workflow_id="w", issue_id="i", at="", data=DATA)
    set_to = [change for change in changes_for(fact) if isinstance(change, SetStatus)]
    documented = names(row[2])
    assert [change.status for change in set_to] == [n for n in documented[:1] if "." not in n]
    if "reason" in row[2]:
        assert [change.reason for change in set_to] == [documented[1].replace("<code>", "x")]


def test_the_arrows_are_those_of_the_contract() -> None:
    contract = (ROOT / "pyproject.toml").read_text("utf-8")
    (layers,) = re.findall(r"^layers = (\[.*\])$", contract, re.MULTILINE)
    *upper, lowest = ast.literal_eval(layers)
    below = ", ".join(lowest.split(" | "))
    assert f"`{' → '.join(upper)} → {{{below}}}`" in page(PAGE)


def test_every_module_of_the_engine_that_the_page_names_is_there() -> None:
    engine = section(PAGE, "The engine").partition("\n### ")[0]
    room = ROOT / "actors" / "workflows"
    folders = {f"{path.name}/" for path in room.iterdir() if (path / "__init__.py").exists()}
    found = {path.stem for path in room.glob("*.py")} | folders
    listed = set(first_names(engine))
    assert len(listed) > 10
    assert listed - found == set()


def test_every_path_that_the_page_names_is_there() -> None:
    paths = {n for n in names(page(PAGE)) if re.fullmatch(r"[a-z]+/[\w/.]*", n)}
    assert paths
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
