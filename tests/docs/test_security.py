"""docs/security.md gives the roles as the code does, and names commands that there are."""

import re

import pytest

from actors.auth.roles import GRANTS, Permission, Role
from cli.settings import Settings
from tests.docs.pages import names, page, rows, section

PAGE = "docs/security.md"


def test_the_roles_are_those_of_the_code() -> None:
    table = {names(row[0])[0]: row[1:] for row in rows(section(PAGE, "Roles"))}
    order = (Role.ADMIN, Role.OPERATOR, Role.VIEWER, Role.AGENT)
    assert set(order) == set(Role)
    assert table == {
        str(permission): ["yes" if permission in GRANTS[role] else "" for role in order]
        for permission in Permission
    }


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(auth_[a-z_]+)`", page(PAGE)))))
def test_settings_that_are_named_are_there(name: str) -> None:
    assert hasattr(Settings(), name)
