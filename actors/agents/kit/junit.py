"""What tests came to, read from JUnit files of any runner, and written as one.

Files are made by what was tested, so they are bounded and may be broken. Cases that passed are only
counted; the written file holds them all.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from actors.agents.kit.outcome import Model, Place
from actors.agents.kit.untrusted import plain

if TYPE_CHECKING:
    from junitparser import TestCase

FILE_LIMIT_BYTES: Final = 32 << 20
SHOWN: Final = 100
"""Cases that did not pass, in an answer; with all their text they stay below its limit."""
SHOWN_DETAIL_CHARACTERS: Final = 1_500
MESSAGE_CHARACTERS: Final = 500
DETAIL_CHARACTERS: Final = 4_000


class Status(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


class Case(Model):
    """One test.

    Attributes:
        id: as its runner calls it where that is known, e.g. "tests/test_a.py::test_b".
        detail: what the runner said of a failure, its end where it is long.
    """

    id: str
    status: Status
    seconds: float = 0.0
    message: str = ""
    detail: str = ""
    place: Place | None = None

    @property
    def is_failure(self) -> bool:
        return self.status in {Status.FAILED, Status.ERROR}


class Results(Model):
    """What a run of tests came to; `cases` are those that did not pass, failures first."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    seconds: float = Field(default=0.0, ge=0.0)
    cases: tuple[Case, ...] = ()

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.errors + self.skipped

    @property
    def failures(self) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if case.is_failure)

    def __str__(self) -> str:
        parts = (
            (self.failed, "failed"),
            (self.errors, "broken"),
            (self.passed, "passed"),
            (self.skipped, "skipped"),
        )
        return ", ".join(f"{count} {word}" for count, word in parts if count) or "no tests"


class JUnitError(Exception):
    """A file that should be JUnit and cannot be read as that."""


def results_of(cases: Iterable[Case], seconds: float | None = None) -> Results:
    """Count cases, and keep those that did not pass.

    Args:
        cases: all of a run.
        seconds: how long it took; None adds up the cases.
    """
    every = list(cases)
    counts = {status: sum(case.status is status for case in every) for status in Status}
    shown = sorted(
        (case for case in every if case.status is not Status.PASSED),
        key=lambda case: (not case.is_failure, case.id),
    )
    return Results(
        passed=counts[Status.PASSED],
        failed=counts[Status.FAILED],
        errors=counts[Status.ERROR],
        skipped=counts[Status.SKIPPED],
        seconds=round(sum(case.seconds for case in every) if seconds is None else seconds, 3),
        cases=tuple(_shortened(case) for case in shown[:SHOWN]),
    )


def _shortened(case: Case) -> Case:
    end = case.detail[-SHOWN_DETAIL_CHARACTERS:]
    return case if end == case.detail else case.model_copy(update={"detail": end})


def read_cases(files: Sequence[Path]) -> list[Case]:
    """The cases of all files, in their order. For a thread.

    Raises:
        JUnitError: one is too large, or is none; it says which.
        ImportError: junitparser is not installed.
    """
    return list(chain.from_iterable(_cases(file) for file in files))


def write_cases(cases: Iterable[Case], name: str) -> bytes:
    """One JUnit file of cases. For a thread.

    Raises:
        ImportError: junitparser is not installed.
    """
    from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite  # noqa: PLC0415

    kinds: dict[Status, type] = {
        Status.FAILED: Failure,
        Status.ERROR: Error,
        Status.SKIPPED: Skipped,
    }
    suite = TestSuite(name)
    for case in cases:
        made = TestCase(case.id, time=case.seconds)
        if case.place is not None:
            made._elem.set("file", case.place.path)  # noqa: SLF001 - as pytest's, and no API has it
        if (kind := kinds.get(case.status)) is not None:
            result = kind(case.message)
            result.text = case.detail
            made.result = [result]
        suite.add_testcase(made)
    whole: Any = JUnitXml(name)
    whole.add_testsuite(suite)
    text: bytes = whole.tostring()
    return text


def _cases(file: Path) -> Iterable[Case]:
    import junitparser  # noqa: PLC0415 - an extra may be missing

    try:
        if file.stat().st_size > FILE_LIMIT_BYTES:
            raise JUnitError(f"{file.name} is larger than {FILE_LIMIT_BYTES >> 20} MiB")
        whole: Any = junitparser.JUnitXml.fromfile(str(file))
        every = whole._elem.iter("testcase")  # noqa: SLF001 - Node's cases stand in no suite
        kind: Any = junitparser.TestCase
        return [_case(kind.fromelem(found)) for found in every]
    except (junitparser.JUnitXmlError, SyntaxError, ValueError, TypeError, OSError) as error:
        raise JUnitError(f"{file.name} is no JUnit file: {plain(str(error), 200)}") from error


def _case(found: "TestCase") -> Case:
    status, message, detail = _outcome(found)
    element = found._elem  # noqa: SLF001 - pytest's file and line are in no API
    path, line = element.get("file") or "", element.get("line") or ""
    return Case(
        id=_id(path, found.classname or "", found.name or "unnamed"),
        status=status,
        seconds=_seconds(element.get("time")),
        message=plain(message, MESSAGE_CHARACTERS),
        detail=detail[-DETAIL_CHARACTERS:],
        place=_place(path, line),
    )


def _outcome(found: "TestCase") -> tuple[Status, str, str]:
    """The worst of what a case says; one that says nothing passed."""
    kinds = {"Error": Status.ERROR, "Failure": Status.FAILED, "Skipped": Status.SKIPPED}
    said = {kinds[type(r).__name__]: r for r in found.result if type(r).__name__ in kinds}
    for status in (Status.ERROR, Status.FAILED, Status.SKIPPED):
        if status in said:
            return status, said[status].message or "", said[status].text or ""
    return Status.PASSED, "", ""


def _id(path: str, classname: str, name: str) -> str:
    """Pytest's own id where the file is known: its class name begins with the file's."""
    if not path:
        return plain("::".join(part for part in (classname, name) if part))
    module = ".".join(PurePosixPath(path).with_suffix("").parts)
    inner = classname.removeprefix(module).strip(".")
    classes = inner.split(".") if inner and classname.startswith(module) else []
    return plain("::".join((path, *classes, name)))


def _place(path: str, line: str) -> Place | None:
    """Lines are from 0, as pytest writes them."""
    if not path or path.startswith("/") or ".." in PurePosixPath(path).parts:
        return None
    return Place(path=path, line=int(line) + 1 if line.isascii() and line.isdigit() else None)


def _seconds(text: str | None) -> float:
    try:
        seconds = float((text or "0").replace(",", ""))
    except ValueError:
        return 0.0
    return seconds if 0.0 <= seconds < float("inf") else 0.0
