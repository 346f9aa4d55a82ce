"""docs/reconcile.md has a row for each code that a pass can give, and no other."""

import re

from tests.docs.pages import ROOT, first_names, section

ROOM = ROOT / "actors/coordination/reconciling"


def test_every_code_is_documented_and_no_other() -> None:
    said = {
        code
        for path in ROOM.glob("*.py")
        for code in re.findall(r'code="([a-z_]+)"', path.read_text())
    }
    table = section("docs/reconcile.md", "The pass").partition("| code |")[2]
    assert set(first_names(f"| code |{table}")) == said
