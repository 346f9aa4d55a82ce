"""Links between the pages lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, prose

_LINK = re.compile(r"\]\(([^)\s]+)\)")

LINKED = [path for path in PAGES if "](" in path.read_text("utf-8")]


@pytest.mark.parametrize("path", LINKED, ids=lambda path: path.name)
def test_every_relative_link_and_anchor_of_a_page_resolves(path: Path) -> None:
    assert [link for link in _links(path) if not _resolves(path, link)] == []


def test_every_page_is_reached_from_the_first_one() -> None:
    readme = ROOT / "README.md"
    reached = {(readme.parent / link.partition("#")[0]).resolve() for link in _links(readme)}
    assert {path for path in PAGES if path != readme} <= reached


def _links(path: Path) -> Iterator[str]:
    for link in _LINK.findall(prose(path.read_text("utf-8"))):
        if "://" not in link:
            yield link


def _resolves(path: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text("utf-8"))
