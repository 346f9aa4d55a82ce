import pytest

from actors.agents.research.licences import permissiveness, stated_licence


@pytest.mark.parametrize(
    ("licence", "score"),
    [
        ("MIT", 1.0),
        ("Apache Software License", 1.0),
        ("MIT OR GPL-3.0-only", 1.0),
        ("MIT AND GPL-3.0-only", 0.2),
        ("MPL-2.0", 0.6),
        ("GNU Lesser General Public License v3 (LGPLv3)", 0.6),
        ("GNU Affero General Public License v3", 0.2),
        ("any-OSI", 1.0),
        ("MIT License; Some House Rules", None),
        ("Proprietary", None),
    ],
)
def test_a_licence_is_graded_and_an_unknown_one_is_unknown(
    licence: str, score: float | None
) -> None:
    assert permissiveness(licence) == score


def test_the_expression_comes_before_classifiers_and_those_before_free_text() -> None:
    classifiers = ["License :: OSI Approved :: MIT License", "License :: OSI Approved"]
    assert stated_licence("BSD-2-Clause", "x", classifiers) == "BSD-2-Clause"
    assert stated_licence(None, "x", classifiers) == "MIT License"
    assert stated_licence(None, "\n ISC\nCopyright …", []) == "ISC"
    assert stated_licence(None, "UNKNOWN", []) is None
