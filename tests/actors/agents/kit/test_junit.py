from pathlib import Path

import pytest

from actors.agents.kit.junit import (
    SHOWN,
    Case,
    JUnitError,
    Status,
    read_cases,
    results_of,
    write_cases,
)
from actors.agents.kit.outcome import Place

PYTEST = """\
<testsuites><testsuite name="pytest" tests="4">
<testcase classname="tests.test_a.TestB" name="test_c[x-1]" file="tests/test_a.py" line="9"
 time="0.5"/>
<testcase classname="tests.test_a" name="test_d" file="tests/test_a.py" line="19" time="0.1">
<failure message="assert 1 == 2">Traceback
assert 1 == 2</failure></testcase>
<testcase classname="tests.test_a" name="test_e" file="tests/test_a.py" line="29" time="0.0">
<error message="no fixture">gone</error></testcase>
<testcase classname="tests.test_a" name="test_f" time="0.0"><skipped message="not here"/></testcase>
</testsuite></testsuites>
"""
SUREFIRE = """\
<testsuite name="org.Apples" tests="2">
<testcase classname="org.Apples" name="ripe" time="1,234.5"/>
<testcase classname="org.Apples" name="rotten"><failure type="AssertionError"/></testcase>
</testsuite>
"""
NESTED = """\
<testsuites><testsuite name="outer"><testsuite name="inner"><testcase name="works"/></testsuite>
</testsuite></testsuites>
"""
NODE = """\
<testsuites><testcase name="works" time="0.1" classname="test"/>
<testcase name="breaks" classname="test" failure="1 == 2"><failure message="1 == 2"/></testcase>
</testsuites>
"""


def written(tmp_path: Path, *texts: str) -> list[Path]:
    files = [tmp_path / f"{number}.xml" for number, _ in enumerate(texts)]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    return files


def test_cases_have_the_ids_and_places_that_pytest_gives_them(tmp_path: Path) -> None:
    passed, failed, broken, skipped = read_cases(written(tmp_path, PYTEST))
    assert passed.id == "tests/test_a.py::TestB::test_c[x-1]"
    assert passed.place == Place(path="tests/test_a.py", line=10)
    assert (failed.status, failed.message) == (Status.FAILED, "assert 1 == 2")
    assert failed.detail.startswith("Traceback")
    assert (broken.status, skipped.status) == (Status.ERROR, Status.SKIPPED)
    assert skipped.id == "tests.test_a::test_f"


def test_several_files_of_another_runner_are_one_run(tmp_path: Path) -> None:
    results = results_of(read_cases(written(tmp_path, SUREFIRE, NESTED)))
    assert (results.passed, results.failed, results.total) == (2, 1, 3)
    assert results.seconds == 1234.5
    assert [case.id for case in results.cases] == ["org.Apples::rotten"]
    assert str(results) == "1 failed, 2 passed"


def test_cases_outside_of_any_suite_count(tmp_path: Path) -> None:
    results = results_of(read_cases(written(tmp_path, NODE)))
    assert (results.passed, [case.id for case in results.cases]) == (1, ["test::breaks"])


@pytest.mark.parametrize(
    "text",
    ["", "no xml", "<html/>", '<!DOCTYPE x [<!ENTITY a "aa">]>', "<testsuite><testcase"],
)
def test_a_file_that_is_no_junit_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(JUnitError, match=r"0\.xml is no JUnit file"):
        read_cases(written(tmp_path, text))


def test_entities_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE x [<!ENTITY l0 "ha">{levels}]><testsuite><testcase name="&l9;"/></testsuite>'
    with pytest.raises(JUnitError):
        read_cases(written(tmp_path, bomb))


def test_a_file_out_of_the_tree_is_no_place(tmp_path: Path) -> None:
    text = '<testsuite><testcase name="a" file="../../etc/passwd" line="1"/></testsuite>'
    (case,) = read_cases(written(tmp_path, text))
    assert case.place is None


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    cases = read_cases(written(tmp_path, PYTEST))
    again = read_cases(written(tmp_path, write_cases(cases, "all").decode()))
    assert [(case.status, case.message) for case in again] == [
        (case.status, case.message) for case in cases
    ]
    assert again[0].id.endswith("tests/test_a.py::TestB::test_c[x-1]")


def test_only_so_many_cases_are_kept_and_all_are_counted() -> None:
    long = "ä" * 4_000
    cases = [Case(id=f"t{n}", status=Status.FAILED, detail=long) for n in range(SHOWN + 10)]
    results = results_of([*cases, Case(id="s", status=Status.SKIPPED)])
    assert (results.failed, results.skipped, len(results.cases)) == (SHOWN + 10, 1, SHOWN)
    assert len(results.model_dump_json().encode()) < 1 << 20
