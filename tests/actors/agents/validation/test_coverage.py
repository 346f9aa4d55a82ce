from pathlib import Path

import pytest

from actors.agents.kit.outcome import StoredFile
from actors.agents.kit.runners import PYTEST
from actors.agents.kit.toolbox import Toolbox
from actors.agents.validation import coverage
from actors.agents.validation.coverage import gate, measuring, placed, portable
from actors.agents.validation.messages import CoverageOutcome, CoverageRequest
from tests.actors.agents.validation.conftest import Desk
from tests.support.planted import Planted, Spot

REPORT = """\
<?xml version="1.0" ?>
<coverage version="7" line-rate="0.5">
<sources><source>{root}</source></sources>
<packages><package name="orchard"><classes>
<class name="prices.py" filename="orchard/prices.py"><methods/><lines>
<line number="20" hits="1"/><line number="22" hits="1"/><line number="23" hits="1"/>
<line number="24" hits="0"/><line number="25" hits="0"/>
</lines></class></classes></package></packages></coverage>
"""
LCOV = "TN:\nSF:{root}/orchard/prices.py\nDA:22,1\nDA:23,1\nDA:24,0\nDA:25,0\nend_of_record\n"
STORED = StoredFile(name="coverage.xml", version=1, sha256="", size=0, media_type="")


async def gated(
    desk: Desk, there: Planted, monkeypatch: pytest.MonkeyPatch, report: str, minimum: float = 80
) -> CoverageOutcome:
    async def fetched(*_: object) -> bytes:
        return portable(report.format(root="/elsewhere").encode(), Path("/elsewhere"))

    monkeypatch.setattr(coverage, "fetch", fetched)
    request = CoverageRequest(base=there.base, coverage=STORED, minimum=minimum)
    nobody: object = None
    return await gate(desk.task(), nobody, request, deadline_s=240)  # type: ignore[arg-type]


@pytest.mark.parametrize("report", [REPORT, LCOV], ids=["Cobertura", "LCOV"])
async def test_exactly_the_changed_lines_without_a_test_are_named(
    desk: Desk, there: Planted, monkeypatch: pytest.MonkeyPatch, report: str
) -> None:
    outcome = await gated(desk, there, monkeypatch, report)
    (finding,) = outcome.findings
    assert finding.place is not None
    assert finding.place.end_line is not None
    spots = [
        Spot(finding.place.path, line)
        for line in range(finding.place.line or 0, finding.place.end_line + 1)
    ]
    assert tuple(spots) == there.untested
    assert not outcome.is_met
    assert outcome.percent is not None
    page = desk.stored["diff-coverage.md"].decode()
    assert "! 24     cheaper" in page
    assert f"## Changes from {there.base} to {there.head}" in page


async def test_enough_is_enough(
    desk: Desk, there: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = await gated(desk, there, monkeypatch, REPORT, minimum=40)
    assert outcome.is_met
    assert [finding.level for finding in outcome.findings] == ["warning"]


async def test_what_was_not_measured_is_not_met_and_says_so(desk: Desk, there: Planted) -> None:
    nobody: object = None
    request = CoverageRequest(base=there.base, coverage=None)
    outcome = await gate(desk.task(), nobody, request, deadline_s=240)  # type: ignore[arg-type]
    assert (outcome.percent, outcome.is_met) == (None, False)
    assert str(outcome.skipped[0]) == "coverage skipped, because it was not measured"


@pytest.mark.parametrize(
    ("here", "stored"),
    [
        ("<source>/a/b</source>", "<source>.</source>"),
        ("<source>/a/b/src</source>", "<source>src</source>"),
        ("<source>/usr/lib</source>", "<source>/usr/lib</source>"),
        ("<source>/a/bc</source>", "<source>/a/bc</source>"),
        ("SF:/a/b/c.py\nDA:1,1\n", "SF:c.py\nDA:1,1\n"),
    ],
)
def test_a_report_is_stored_with_paths_from_the_root(here: str, stored: str) -> None:
    assert portable(here.encode(), Path("/a/b")).decode() == stored
    again = placed(stored.encode(), Path("/x")).decode()
    assert again == here.replace("/a/b/", "/x/").replace("/a/b<", "/x<")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.coverage.run]\nsource = ["a"]\n'),
        (".coveragerc", "[run]\nsource = a\n"),
        ("tox.ini", "[coverage:run]\ninclude = a/*\n"),
    ],
)
def test_a_project_says_itself_what_is_measured_but_not_through_a_link(
    tmp_path: Path, name: str, text: str
) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / name
    root.mkdir()
    elsewhere.write_text(text)
    (root / name).symlink_to(elsewhere)
    linked = measuring(PYTEST, Toolbox(root))
    (root / name).unlink()
    (root / name).write_text(text)
    said = measuring(PYTEST, Toolbox(root))
    assert linked is not None
    assert said is not None
    assert ("--source=." in linked.argv, "--source=." in said.argv) == (True, False)
