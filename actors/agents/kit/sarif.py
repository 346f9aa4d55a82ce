"""Findings as SARIF 2.1.0, the form in which other programs take the results of static analysis.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote

from actors.agents.kit.outcome import Finding, Place

VERSION: Final = "2.1.0"
SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
MEDIA_TYPE: Final = "application/sarif+json"
_ROOT: Final = "SRCROOT"


def to_sarif(findings: Iterable[Finding], tools: Sequence[str] = ()) -> bytes:
    """A SARIF file with one run for each tool, by name.

    Args:
        findings: of any tools, in any order.
        tools: those that ran; one that found nothing has a run without results.
    """
    ordered = sorted(findings, key=lambda finding: finding.tool)
    by_tool = {tool: list(group) for tool, group in groupby(ordered, key=lambda f: f.tool)}
    names = sorted({*by_tool, *tools})
    runs = [_run(name, by_tool.get(name, [])) for name in names]
    whole = {"$schema": SCHEMA, "version": VERSION, "runs": runs}
    return json.dumps(whole, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _run(tool: str, findings: Sequence[Finding]) -> dict[str, Any]:
    rules = sorted({finding.rule for finding in findings})
    return {
        "tool": {"driver": {"name": tool, "rules": [{"id": rule} for rule in rules]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, rules.index(finding.rule)) for finding in findings],
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    locations = [_location(finding.place)] if finding.place else []
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.level.value,
        "message": {"text": finding.message},
        "locations": locations,
    }


def _location(place: Place) -> dict[str, Any]:
    uri = quote(place.path.encode("utf-8", "surrogateescape"), safe="/")
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri, "uriBaseId": _ROOT}}
    if place.line is not None:
        region = {"startLine": place.line}
        if place.column is not None:
            region["startColumn"] = place.column
        if place.end_line is not None:
            region["endLine"] = max(place.line, place.end_line)
        physical["region"] = region
    return {"physicalLocation": physical}
