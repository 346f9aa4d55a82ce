"""Requests that the description of the API allows, and others, over a real socket."""

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.fuzz import corpus
from tests.api.fuzz.served import Served, served_beside

CASES = int(os.environ.get("BEADFLOW_SCHEMA_CASES", "600"))
CHECKS = [
    *(not_a_server_error, content_type_conformance),
    *(response_schema_conformance, status_code_conformance),
]
ALLOWED = schemathesis.GenerationMode.POSITIVE
NOT_ALLOWED = schemathesis.GenerationMode.NEGATIVE
UNCHECKED = set(hypothesis.HealthCheck) - {hypothesis.HealthCheck.filter_too_much}
"""Who finds nothing in 50 attempts gives up, and not after ten times as many."""

FILES = ("/docs/{name}",)
"""What is no part of the API proper."""


@schemathesis.serializer("application/x-ndjson")
def _lines(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def test_what_the_description_allows_and_what_it_does_not_is_answered_as_it_says(
    repo: Path, logged: list[dict[str, Any]]
) -> None:
    seen: Counter[int] = Counter()
    with served_beside(repo) as here, requests.Session() as session:
        schema = schemathesis.openapi.from_dict(without_security(corpus.document(here.app)))
        found = [each.ok() for each in schema.get_all_operations()]
        found = [each for each in found if each.path not in (*corpus.QUIET, *FILES)]
        times = -(-CASES // (len(found) * 2))
        for operation in found:
            there = known(operation.path, here.ids)
            for mode, given in ((ALLOWED, there), (NOT_ALLOWED, {})):
                strategy = operation.as_strategy(generation_mode=mode, **given)
                seen += ask(here, strategy, session, times)
    print(dict(seen))
    assert seen.total() >= CASES * 0.85  # some operations take nothing that could be varied
    assert {200, 404, 422} <= set(seen)
    assert [entry for entry in logged if entry["log_level"] == "error"] == []


def without_security(document: dict[str, Any]) -> dict[str, Any]:
    """The same, so that no credentials are made up: what those come to is tested elsewhere."""
    document.pop("security", None)
    document["components"].pop("securitySchemes", None)
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    return document


def ask(here: Served, strategy: Any, session: requests.Session, times: int) -> Counter[int]:
    """Send so many cases; answers the statuses that came."""
    seen: Counter[int] = Counter()
    host, port = here.address

    @hypothesis.settings(
        max_examples=times,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=UNCHECKED,
    )
    @hypothesis.given(case=strategy)
    def each(case: Any) -> None:
        shown = {"Authorization": f"Bearer {here.key}"}
        base = f"http://{host}:{port}"
        answer = case.call(base_url=base, session=session, headers=shown, timeout=20)
        seen[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    try:
        each()
    except (hypothesis.errors.Unsatisfiable, hypothesis.errors.FailedHealthCheck):
        assert not seen  # there may be nothing that is not allowed
    return seen


def known(path: str, ids: dict[str, str]) -> dict[str, Any]:
    """What goes into a path of which all ids are there."""
    names = re.findall(r"{(\w+)}", path)
    if not names or any(name not in ids for name in names):
        return {}
    return {"path_parameters": {name: ids[name] for name in names}}
