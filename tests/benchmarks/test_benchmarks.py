"""That every benchmark runs and says what it is documented to say; never how fast it was."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks import actors, baseline, fanout, http, machine, storage, writes
from benchmarks.bridge import rounds as bridge
from benchmarks.engine import rounds as engine
from benchmarks.engine.flows import can_wait
from benchmarks.issues import rounds as issues
from benchmarks.issues import shape
from benchmarks.kernel import rounds as kernel
from benchmarks.report import Report, Scale
from storage.issues import jsonl, published

README = Path(benchmarks.__file__).with_name("README.md").read_text(encoding="utf-8")
DOCUMENTED = frozenset(re.findall(r"`([^`\s]+)`", README))

Run = Callable[[Scale, Path], Report]
RUNS: dict[str, Run] = {part.NAME: part.run for part in (engine, actors, writes)}
# Those that are too long for the baseline come last.
ALL: dict[str, Run] = RUNS | {
    part.NAME: part.run for part in (storage, issues, bridge, kernel, fanout, http)
}


def documented_form(key: str) -> str:
    """The key as README.md writes it: N for a number of callers, workflows in flight or issues."""
    return re.sub(r"_\d+k?(?=_|$)", "_N", key)


def printed(name: str, directory: Path, *more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--directory", directory, *more],
        cwd=Path(benchmarks.__file__).parents[1],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the baseline prints, which runs most of them."""
    found: dict[str, Any] = json.loads(
        printed("baseline", tmp_path_factory.mktemp("baseline"), "--json")
    )
    return found


@pytest.fixture(scope="module")
def report_of(
    merged: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Report]:
    """Each benchmark runs once for all that is asked of its report."""

    @cache
    def report(name: str) -> Report:
        if name not in RUNS:
            return ALL[name](Scale.SMOKE, tmp_path_factory.mktemp(name))
        sections = ("settings", "figures", "ratios")
        return Report(name=name, **{section: merged[section][name] for section in sections})

    return report


@pytest.mark.parametrize("name", ALL)
def test_a_benchmark_reports_documented_keys_only_and_positive_numbers(
    name: str, report_of: Callable[[str], Report]
) -> None:
    report = report_of(name)
    assert report.name == name
    assert name in DOCUMENTED
    for values in (report.figures, report.ratios):
        assert {documented_form(key) for key in values} <= DOCUMENTED
        assert all(value > 0 for value in values.values())


@pytest.mark.parametrize(
    ("name", "figures", "ratios"),
    [
        ("engine", 73 if can_wait() else 70, 11),
        ("actors", 8, 4),
        ("writes", 13, 4),
        ("storage", 27, 7),
        ("issues", 33, 7),
        ("bridge", 25, 3),
        ("kernel", 28, 11),
        ("http", 34, 7),
    ],
)
def test_no_figure_or_ratio_goes_missing(
    name: str, figures: int, ratios: int, report_of: Callable[[str], Report]
) -> None:
    report = report_of(name)
    optional = re.compile("|".join(report.settings.get("peers", ())) or "$^")
    stable = [
        [key for key in keys if not optional.search(key)]
        for keys in (report.figures, report.ratios)
    ]
    assert [len(keys) for keys in stable] == [figures, ratios]


def test_the_baseline_prints_one_json_object_that_merges_the_others(
    merged: dict[str, Any],
) -> None:
    assert list(merged) == ["name", "machine", "settings", "figures", "ratios"]
    assert merged["name"] == baseline.NAME
    for section in ("settings", "figures", "ratios"):
        assert list(merged[section]) == list(RUNS)
    assert merged["figures"]["engine"]["direct_64_workflows_per_s"] > 0
    assert all(part["scale"] == "smoke" for part in merged["settings"].values())


def test_without_json_a_table_is_printed(tmp_path: Path) -> None:
    lines = printed("actors", tmp_path).splitlines()
    assert lines[0] == "actors"
    assert {"machine", "settings", "figures", "ratios"} <= set(lines)
    assert any(line.split()[:1] == ["asks_64_to_bare"] for line in lines)


def test_nothing_is_left_in_the_directory(tmp_path: Path) -> None:
    printed("writes", tmp_path, "--json")
    assert list(tmp_path.iterdir()) == []


def test_the_machine_is_described_without_a_path(tmp_path: Path) -> None:
    facts: Mapping[str, object] = machine.facts(tmp_path)
    assert facts.keys() <= DOCUMENTED
    assert str(Path.home()) not in json.dumps(facts)
    assert str(tmp_path) not in json.dumps(facts)


def test_the_file_of_issues_is_one_that_is_read_as_it_is_written() -> None:
    data = shape.file_of(500)
    loaded = published.load(data, lambda _, first, __: first)
    assert (len(loaded.rows), loaded.quarantined, loaded.duplicates) == (500, [], 0)
    assert b"".join(jsonl.encode(row) + b"\n" for row in loaded.rows.values()) == data
    statuses = Counter(row["status"] for row in loaded.rows.values())
    assert statuses["tombstone"] > statuses["closed"] > statuses["open"] > 0
