import json
from typing import Any

from actors.agents.kit.outcome import Finding, Level, Place
from actors.agents.kit.sarif import to_sarif

FINDINGS = (
    Finding(
        tool="ruff",
        rule="F401",
        level=Level.ERROR,
        message="`os` imported but unused",
        place=Place(path="a b/ä.py", line=3, end_line=4, column=8),
    ),
    Finding(tool="bandit", rule="B602", level=Level.WARNING, message="a shell"),
    Finding(tool="ruff", rule="E711", level=Level.ERROR, message="none", place=Place(path="b.py")),
)


def whole(*findings: Finding, tools: tuple[str, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(to_sarif(findings, tools))
    return found


def test_each_tool_has_a_run_of_its_own() -> None:
    sarif = whole(*FINDINGS, tools=("mypy", "ruff"))
    assert sarif["version"] == "2.1.0"
    counts = {run["tool"]["driver"]["name"]: len(run["results"]) for run in sarif["runs"]}
    assert counts == {"bandit": 1, "mypy": 0, "ruff": 2}


def test_a_result_points_to_its_rule_and_its_place() -> None:
    run = next(run for run in whole(*FINDINGS)["runs"] if run["tool"]["driver"]["name"] == "ruff")
    result = run["results"][0]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "F401"
    assert result["level"] == "error"
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "a%20b/%C3%A4.py", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 3, "endLine": 4, "startColumn": 8},
    }


def test_what_has_no_line_has_no_region() -> None:
    run = whole(FINDINGS[2])["runs"][0]
    assert "region" not in run["results"][0]["locations"][0]["physicalLocation"]


def test_what_has_no_place_has_no_location() -> None:
    assert whole(FINDINGS[1])["runs"][0]["results"][0]["locations"] == []


def test_nothing_found_is_a_whole_file() -> None:
    assert whole()["runs"] == []
