import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from actors.agents.research.conflicts import can_be_met, conflicts
from actors.agents.research.graph import Declared


@pytest.mark.parametrize(
    ("specifiers", "expected"),
    [
        ((">=2", "<2"), False),
        ((">=2", "<=2"), True),
        ((">1", "<2"), True),
        ((">1.0", "<1.1"), True),
        (("==1.4", ">=1.2"), True),
        (("==1.4", ">=1.5"), False),
        (("==1.*", ">=1.5"), True),
        (("==1.*", ">=2"), False),
        (("~=2.1", "<2.1"), False),
        (("~=2.1", "!=2.1"), True),
        (("<0.9", ">=1!0"), False),
        ((">=0", "<0.1"), True),
        (("===odd", ">=3"), True),
        (("<2,>=1", ">=1.9.9"), True),
    ],
)
def test_requirements_are_tried_at_the_versions_they_name(
    specifiers: tuple[str, ...], expected: bool
) -> None:
    assert can_be_met(map(SpecifierSet, specifiers)) is expected


def declared(line: str, path: str = "pyproject.toml") -> Declared:
    return Declared(requirement=Requirement(line), scope="runtime", path=path)


def test_manifests_that_no_version_satisfies_contradict_each_other() -> None:
    (found,) = conflicts([declared("alpha>=2"), declared("alpha<2", "requirements.txt")], {})
    assert found.message == (
        "No version of alpha meets >=2 (pyproject.toml, runtime) and <2 (requirements.txt, "
        "runtime)."
    )


def test_requirements_under_different_conditions_do_not_contradict_each_other() -> None:
    lines = ('alpha>=2; python_version >= "3.12"', 'alpha<2; python_version < "3.12"')
    assert conflicts([declared(line) for line in lines], {}) == []
