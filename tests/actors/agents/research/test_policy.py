import pytest

from actors.agents.research.dependency_messages import LicencePolicy, Verdict
from actors.agents.research.policy import judge_licence, unknown_names

ALLOWED, DENIED, UNKNOWN = Verdict.ALLOWED, Verdict.DENIED, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("licence", "own", "verdict"),
    [
        ("MIT", "MIT", ALLOWED),
        ("GPL-3.0-only", "MIT", DENIED),
        ("GPL-3.0-only OR MIT", "MIT", ALLOWED),
        ("GPL-3.0-only AND MIT", "MIT", DENIED),
        ("GPL-3.0-only", "AGPL-3.0-or-later", ALLOWED),
        ("LGPL-3.0-only", "Apache-2.0", ALLOWED),
        ("GNU General Public License v3 (GPLv3)", "MIT", DENIED),
        ("GPL-3.0-only", None, DENIED),
        ("MPL-2.0", None, ALLOWED),
        ("Our Own Terms", "MIT", UNKNOWN),
        ("MIT", "Our Own Terms", UNKNOWN),
        (None, "MIT", UNKNOWN),
    ],
)
def test_the_projects_own_licence_decides_where_there_is_no_list(
    licence: str | None, own: str | None, verdict: Verdict
) -> None:
    assert judge_licence(licence, LicencePolicy(), own)[0] is verdict


@pytest.mark.parametrize(
    ("licence", "allow", "deny", "verdict"),
    [
        ("MIT", ("MIT",), (), ALLOWED),
        ("MIT License", ("MIT",), (), ALLOWED),
        ("Apache-2.0", ("mit",), (), DENIED),
        ("Apache-2.0 OR MIT", ("MIT",), (), ALLOWED),
        ("Apache-2.0 AND MIT", ("MIT",), (), DENIED),
        ("(Apache-2.0 OR GPL-2.0) AND MIT", ("MIT", "Apache-2.0"), ("GPL-2.0-only",), ALLOWED),
        ("GPL-3.0-only", (), ("GPL-3.0",), DENIED),
        ("GPL-2.0-only WITH Classpath-exception-2.0", (), ("GPL-2.0-only",), DENIED),
        (
            "GPL-2.0-only WITH Classpath-exception-2.0",
            ("GPL-2.0-only WITH Classpath-exception-2.0",),
            (),
            ALLOWED,
        ),
        ("LicenseRef-Ours", ("MIT",), (), UNKNOWN),
        ("MIT OR", ("MIT",), (), UNKNOWN),
    ],
)
def test_a_list_is_applied_to_the_expression(
    licence: str, allow: tuple[str, ...], deny: tuple[str, ...], verdict: Verdict
) -> None:
    assert judge_licence(licence, LicencePolicy(allow=allow, deny=deny), "MIT")[0] is verdict


def test_a_name_that_is_no_identifier_is_told() -> None:
    policy = LicencePolicy(allow=("MIT", "GPL-3.0", "GPL 3"), deny=("Apache2",))
    assert unknown_names(policy) == ("GPL 3", "Apache2")
    assert unknown_names(LicencePolicy()) == ()
