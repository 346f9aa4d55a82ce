"""Where a refusal says that the fault is: at the field as it was sent."""

from typing import Any

import pytest

from tests.api.problems import refused
from tests.api.site import SharedSite
from tests.api.test_sync import ISSUES, post


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"id": "no id"}, "/id"),
        ({"due_at": "soon"}, "/due_at"),
        ({"depends_on": [{"id": "external:p"}]}, "/depends_on/0/id"),
        ({"depends_on": [{"id": "external:p:c"}, {"id": ""}]}, "/depends_on/1/id"),
        ({"depends_on": [{"id": "external:p:c", "type": " "}]}, "/depends_on/0/type"),
    ],
)
def test_a_refusal_points_to_the_field_that_was_sent(
    shared: SharedSite, body: dict[str, Any], pointer: str
) -> None:
    answer = refused(post(shared, ISSUES, title="T", actor="a", **body), 422, "validation_error")
    assert answer["errors"][0]["pointer"] == pointer


def test_a_refused_dependency_points_to_the_field_that_was_sent(shared: SharedSite) -> None:
    made = post(shared, ISSUES, title="T", actor="a").json()["id"]
    answer = post(shared, f"{ISSUES}/{made}/dependencies", depends_on=made, actor="a")
    assert refused(answer, 422, "validation_error")["errors"][0]["pointer"] == "/depends_on"
