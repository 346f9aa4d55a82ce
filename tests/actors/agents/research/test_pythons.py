import pytest

from actors.agents.research.facts import PythonBound
from actors.agents.research.pythons import accepted, newest_for, span


@pytest.mark.parametrize(
    ("requires", "first", "last"),
    [(">=3.11", "3.11", "3.15"), (">=3.9,<3.12", "3.9", "3.11"), (">=3.11.4", "3.11", "3.15")],
)
def test_a_requirement_is_read_as_the_minor_versions_it_accepts(
    requires: str, first: str, last: str
) -> None:
    pythons = accepted(requires)
    assert pythons is not None
    assert (pythons[0], pythons[-1]) == (first, last)


@pytest.mark.parametrize("requires", [None, "", "three", ">=3.x"])
def test_what_cannot_be_read_is_unknown(requires: str | None) -> None:
    assert accepted(requires) is None


def test_the_newest_version_for_an_older_python_is_found() -> None:
    bounds = (
        PythonBound(version="3.0", requires_python=">=3.12"),
        PythonBound(version="2.5", requires_python=">=3.8"),
    )
    assert newest_for("3.11", bounds) == "2.5"
    assert newest_for("3.12", bounds) == "3.0"


def test_a_span_is_written_shortly() -> None:
    assert span(("3.11",)) == "3.11"
    assert span(("3.11", "3.12")) == "3.11 to 3.12"
