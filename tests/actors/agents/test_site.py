from pathlib import Path

import pytest

from actors.agents.site import Site
from actors.errors import ValidationError


def test_a_program_that_is_not_allowed_is_shown_as_it_was_given() -> None:
    site = Site(repo=Path(), workspace=Path(), commands=("sh",))
    site.check(["sh", "-c", "true"])
    with pytest.raises(ValidationError, match=r"^'/opt/own/sh' is no program .* it runs: sh$"):
        site.check(["/opt/own/sh"])
