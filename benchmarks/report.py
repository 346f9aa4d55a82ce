"""How a benchmark is started and what it prints: one JSON object, or a table for people.

The names of benchmarks, figures and ratios never change their meaning, so that reports of different
versions can be compared; README.md here lists them all.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import machine
from cli.running import configure_logging

DIGITS = 4
"""Significant digits of a figure: more would only be noise."""


class Scale(StrEnum):
    """How much is measured: enough to publish, enough to look, or enough to see that it runs."""

    FULL = "full"
    QUICK = "quick"
    SMOKE = "smoke"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one benchmark found.

    Args:
        settings: how it was run.
        figures: what was measured; a key's ending names its unit.
        ratios: figures divided by the floor that the same run measured.
    """

    name: str
    settings: Mapping[str, Any]
    figures: Mapping[str, Any]
    ratios: Mapping[str, Any]

    def to_json(self, facts: Mapping[str, object]) -> str:
        """The object that is printed."""
        return json.dumps(
            {
                "name": self.name,
                "machine": facts,
                "settings": self.settings,
                "figures": self.figures,
                "ratios": self.ratios,
            }
        )


@dataclass(slots=True)
class Samples:
    """Values measured in several rounds; what is reported is the median of each."""

    _values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, key: str, value: float) -> None:
        self._values.setdefault(key, []).append(value)

    def medians(self) -> dict[str, float]:
        return {key: rounded(median(values)) for key, values in self._values.items()}


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def main(
    name: str, run: Callable[[Scale, Path], Report], arguments: Sequence[str] | None = None
) -> None:
    """Run a benchmark as the command line says, and print its report on standard output."""
    chosen = _parser(name).parse_args(arguments)
    configure_logging("error")
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=chosen.directory) as directory:
        facts = machine.facts(Path(directory))
        report = run(Scale.QUICK if chosen.quick else Scale.FULL, Path(directory))
    print(report.to_json(facts) if chosen.json else "\n".join(_table(report, facts)))


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help="less of everything: under 10 s")
    parser.add_argument("--json", action="store_true", help="print one JSON object, not a table")
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where the databases are put; the file system there should be on a disk",
    )
    return parser


def _table(report: Report, facts: Mapping[str, object]) -> Iterator[str]:
    yield report.name
    sections = ("machine", facts), ("settings", report.settings)
    for title, values in (*sections, ("figures", report.figures), ("ratios", report.ratios)):
        yield f"\n{title}"
        rows = list(_rows(values, ""))
        width = max((len(key) for key, _ in rows), default=0)
        yield from (f"  {key:<{width}}  {_text(value)}" for key, value in rows)


def _rows(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: object) -> str:
    return f"{value:>12,.{DIGITS}g}" if isinstance(value, float) and value < 10 else _whole(value)


def _whole(value: object) -> str:
    return f"{value:>12,.0f}" if isinstance(value, float) else str(value)
