import sys
from pathlib import Path
from typing import Any

import pytest

from actors.agents.kit.outcome import Level
from actors.agents.research.complexity import measure_complexity, read_table
from actors.agents.research.complexity_messages import Complexity, ComplexityRequest
from tests.actors.agents.research.conftest import git

MANY_WAYS = "def tangled(a):\n" + "".join(
    f"    if a == {n}:\n        return {n}\n" for n in range(4)
)


async def measured(root: Path, **more: Any) -> Complexity:
    return await measure_complexity(
        ComplexityRequest(**more), root=root, progress=lambda message, fraction: None
    )


@pytest.fixture
def tangled(project: Path) -> Path:
    (project / "src" / "app" / "store.py").write_text(f"def easy():\n    pass\n\n\n{MANY_WAYS}")
    (project / "src" / "a, b.js").write_text("function f(a) { return a ? 1 : 2 }\n")
    git(project, "add", ".")
    return project


async def test_functions_above_the_threshold_are_found_with_their_place(tangled: Path) -> None:
    found = await measured(tangled, threshold=4)
    (finding,) = found.findings
    assert (finding.rule, finding.level, str(finding.place)) == (
        "complexity",
        Level.WARNING,
        "src/app/store.py:5",
    )
    assert finding.message == "tangled has the complexity 5, more than 4."
    assert [(one.name, one.complexity, one.place.path) for one in found.functions] == [
        ("tangled", 5, "src/app/store.py"),
        ("f", 2, "src/a, b.js"),
        ("easy", 1, "src/app/store.py"),
    ]
    assert (found.metrics["functions"], found.metrics["above"]) == (3, 1)
    assert found.evidence[0].source == "lizard"


async def test_only_the_files_asked_for_are_measured(tangled: Path) -> None:
    found = await measured(tangled, paths=("*.js",))
    assert [one.name for one in found.functions] == ["f"]


async def test_a_link_out_of_the_tree_is_not_measured(tangled: Path) -> None:
    outside = tangled.parent / "outside.py"
    outside.write_text("def hidden():\n    return 1\n")
    (tangled / "link.py").symlink_to(outside)
    git(tangled, "add", ".")
    assert "hidden" not in {one.name for one in (await measured(tangled)).functions}


async def test_without_lizard_it_is_said_what_to_install(
    tangled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    found = await measured(tangled)
    assert str(found.skipped[0]) == (
        "complexity skipped, because it is not installed: install beadflow[research]"
    )
    assert found.functions == ()


def test_a_row_that_cannot_be_read_is_left_out() -> None:
    row = '4,2,12,1,4,"f@7-10@app/x.py","app/x.py","f","f( a )",7,10\n'
    assert len(read_table(f"{row}nonsense\n{row.replace('7,10', 'x,10')}{row[:30]}")) == 1
