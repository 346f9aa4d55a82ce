"""docs/supervision.md says of each case of OTP's suite which tests hold it, or why none does."""

import ast
from collections.abc import Iterator

import pytest

from tests.docs.pages import ROOT, names, rows, section

SUITE = ROOT / "tests" / "supervision"
CASES = (SUITE / "otp_cases.txt").read_text("utf-8").split()
SECTION = section("docs/supervision.md", "OTP's suite")
ROWS = {names(row[0])[0]: row for row in rows(SECTION)}


def _tests(pattern: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for path in sorted(SUITE.glob(pattern)):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


TESTS = {test.name for test in _tests("test_*.py")}
NAMED = [test for test in _tests("test_otp_*.py") if test.name.startswith("test_")]


def test_every_case_of_the_suite_is_in_the_table_once_and_in_its_order() -> None:
    assert [names(row[0])[0] for row in rows(SECTION)] == CASES
    assert len(set(CASES)) == len(CASES)


def test_the_numbers_of_cases_are_those_of_the_table() -> None:
    applying = [row for row in ROWS.values() if row[1]]
    assert f"has {len(CASES)} cases; {len(applying)} of\nthem apply" in SECTION


@pytest.mark.parametrize("case", CASES)
def test_a_case_has_tests_that_exist_or_a_reason(case: str) -> None:
    _, tests, reason = ROWS[case]
    assert set(names(tests)) <= TESTS
    assert tests or reason


@pytest.mark.parametrize("test", NAMED, ids=lambda test: test.name)
def test_a_test_that_follows_a_case_stands_in_its_row(
    test: ast.FunctionDef | ast.AsyncFunctionDef,
) -> None:
    text = ast.get_docstring(test) or ""
    cases = text.removeprefix("OTP: ").rstrip(".").replace(",", " ").split()
    assert cases
    assert {case for case in CASES if test.name in names(ROWS[case][1])} == set(cases)
