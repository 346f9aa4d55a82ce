"""Holds answers to the description of the API: whatever a test asks, it is answered as described.

Stricter than a client should be: a field that is not described is refused, too.
"""

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from werkzeug.exceptions import HTTPException

from api.app import create_app
from api.operations.openapi import build, path_of
from api.operations.table import OPERATIONS
from api.permissions import PERMISSIONS

LINES = "application/x-ndjson"
INVENTED = "INVENTED"
"""In the configuration of an app: its actors answer what they never would."""

PLACE = "urn:described"


class NotDescribedError(AssertionError):
    """An answer is not what the description says."""


def hold(app: Any, method: str, path: str, answer: Any, *, whole: bool = True) -> None:
    """Compare an answer with the description of its operation, where its address has one.

    Args:
        path: without the query, and decoded.
        answer: with `status`, lower-case `headers` and `body`.
        whole: whether all fields were asked for.

    Raises:
        NotDescribedError: its status, code, type, headers or body are not described so.
    """
    rule = _rule(app, method, path)
    if rule is None or method == "HEAD" or INVENTED in app.config:
        return
    place = (path_of(rule.rule), method.lower())
    who = f"{method} {path_of(rule.rule)} with {answer.status}"
    described = _document()["paths"][place[0]][place[1]]["responses"].get(str(answer.status))
    if described is None:
        raise NotDescribedError(f"{who} is not described: {answer.body[:300]!r}")
    missing = {*_promised(described)} - answer.headers.keys()
    if missing:
        raise NotDescribedError(f"{who} lacks headers: {sorted(missing)}")
    if "content" not in described:
        if answer.body:
            raise NotDescribedError(f"{who} has a body: {answer.body[:300]!r}")
        return
    media = answer.headers.get("content-type", "").partition(";")[0]
    if media not in described["content"]:
        if "application/octet-stream" in described["content"]:
            return
        raise NotDescribedError(f"{who} is of type {media}")
    for body in _bodies(media, answer.body):
        for error in _validator(*place, str(answer.status), media, whole=whole).iter_errors(body):
            raise NotDescribedError(f"{who}: {error.json_path}: {error.message[:500]}")
        if "x-codes" in described and body["code"] not in described["x-codes"]:
            raise NotDescribedError(f"{who} has the code {body['code']}")


def _promised(described: dict[str, Any]) -> Iterator[str]:
    """The headers that an answer always has."""
    for name in described["headers"]:
        if _document()["components"]["headers"][name].get("required", False):
            yield name.lower()


def _bodies(media: str, body: bytes) -> list[Any]:
    if media == LINES:
        return [json.loads(line) for line in body.splitlines()]
    return [json.loads(body)] if media.endswith("json") else []


def _rule(app: Any, method: str, path: str) -> Any:
    urls = getattr(app, "url_map", None)
    if urls is None:
        return None
    try:
        rule, _ = urls.bind("localhost").match(path, method=method, return_rule=True)
    except HTTPException:
        return None
    return rule if rule.endpoint in OPERATIONS and not rule.websocket else None


def component(name: str) -> Draft202012Validator:
    """What a component is held to."""
    return _held(f"{PLACE}#/components/schemas/{name}", whole=True)


@cache
def _document() -> dict[str, Any]:
    nothing: Any = None
    return build(create_app(nothing).url_map.iter_rules(), OPERATIONS, PERMISSIONS)


@cache
def _closed(*, whole: bool) -> Registry[Any]:
    """The document, where every object has the fields that are described and no others."""
    document = copy.deepcopy(_document())
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        if not whole:
            schema.pop("required", None)
    return Registry().with_resource(PLACE, Resource(contents=document, specification=DRAFT202012))


@cache
def _validator(
    path: str, method: str, status: str, media: str, *, whole: bool
) -> Draft202012Validator:
    steps = ("paths", path, method, "responses", status, "content", media, "schema")
    pointer = "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)
    pointer = pointer.replace("{", "%7B").replace("}", "%7D")
    return _held(f"{PLACE}#/{pointer}", whole=whole)


def _held(place: str, *, whole: bool) -> Draft202012Validator:
    return Draft202012Validator({"$ref": place}, registry=_closed(whole=whole))
