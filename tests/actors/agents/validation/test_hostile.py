"""A repository may be anybody's: reviewing it runs nothing of it and reads nothing outside."""

from pathlib import Path

import pytest

from actors.agents.kit.outcome import StoredFile
from actors.agents.validation import coverage
from actors.agents.validation.acceptance import accept
from actors.agents.validation.coverage import gate
from actors.agents.validation.messages import (
    AcceptRequest,
    CoverageRequest,
    ReviewRequest,
    Verdict,
)
from actors.agents.validation.review import review
from tests.actors.agents.validation.conftest import Desk
from tests.support.hostile import Hostile, git, hostile

REPORT = b"""<coverage><sources><source>.</source></sources><packages><package><classes>
<class filename="a.py"><lines><line number="1" hits="0"/></lines></class>
</classes></package></packages></coverage>"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    made = hostile(tmp_path_factory.mktemp("hostile"))
    (made.repo / "a.py").write_text("import os\n")
    (made.repo / "link.py").symlink_to(made.secret)
    git(made.repo, "add", "--all")
    git(made.repo, "commit", "--quiet", "--no-gpg-sign", "--no-verify", "-m", "third")
    assert made.sung()  # Git as anybody would run it does what the repository wants
    made.silence()
    return made


@pytest.fixture
def desk(world: Hostile, tmp_path: Path) -> Desk:
    return Desk(world.repo, tmp_path)


async def test_a_review_runs_nothing_and_follows_no_link(desk: Desk, world: Hostile) -> None:
    request = ReviewRequest(base="HEAD~1")
    outcome = await review(desk.task(), request, deadline_s=240, plugins=False)
    assert [finding.place.path for finding in outcome.findings if finding.place] == ["a.py"]
    assert outcome.files == 1
    assert world.sung() == set()


async def test_coverage_is_compared_without_running_anything(
    desk: Desk, world: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fetched(*_: object) -> bytes:
        return REPORT

    monkeypatch.setattr(coverage, "fetch", fetched)
    stored = StoredFile(name="c", version=1, sha256="", size=0, media_type="")
    request = CoverageRequest(base="HEAD~1", coverage=stored)
    nobody: object = None
    outcome = await gate(desk.task(), nobody, request, deadline_s=240)  # type: ignore[arg-type]
    assert outcome.percent == 0.0
    assert world.sung() == set()


async def test_criteria_see_no_file_outside(desk: Desk, world: Hostile) -> None:
    lines = "text: link.py: secret\nfile: link.py\nfile: .git/config\ntext: .git/config: hook"
    outcome = await accept(desk.task(), AcceptRequest(), lines, deadline_s=240)
    assert {one.verdict for one in outcome.criteria} == {Verdict.FAIL}
    assert world.sung() == set()
