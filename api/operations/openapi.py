"""The description of all operations as an OpenAPI 3.1 document."""

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from importlib.metadata import version
from itertools import groupby
from typing import Any, Final

from werkzeug.routing import Rule

from actors.auth.roles import Permission
from api.entrance import ALWAYS
from api.operations import headers
from api.operations.answers import Problem
from api.operations.examples import EXAMPLES
from api.operations.operation import LINES, Operation
from api.operations.parameters import query_parameters
from api.operations.problems import STATUSES, codes_of
from api.operations.schemas import Components, Schema
from api.operations.security import REQUESTS
from api.permissions import KNOWN, Need, Open
from api.problem import MEDIA_TYPE

STREAM: Final = "text/event-stream"
"""Of events as they come: they are text, one after the other."""

INTRODUCTION: Final = (
    "Durable agent workflows on your own machine, every one an issue in your Git repository. "
    "Unknown fields and parameters are refused. A request may carry an `X-Request-Id` and a "
    "`traceparent`; every answer has the one, and the other where it came. Fields may "
    "be added to answers; that is no new version."
)

DESCRIPTION: Final = "description"

PARTS: Final = {
    "actors": "The running supervision tree",
    "agents": "Who does the work",
    "assignments": "Which agent has which workflow",
    "audit": "Who did what, or was refused what",
    "auth": "Who asks, and what they may",
    DESCRIPTION: "What this API offers",
    "events": "What happens",
    "gates": "Questions to people",
    "health": "Whether all is well",
    "issues": "What is to be done",
    "reconcile": "Comparing the stores",
    "results": "What came of it",
    "system": "Where things are, and the services outside",
    "workflows": "Durable work",
}
"""The tags, which are the first words of addresses."""

_PARAMETER: Final = re.compile(r"<(?:[a-z]+:)?(\w+)>")


def build(
    rules: Iterable[Rule],
    operations: Mapping[str, Operation],
    permissions: Mapping[str, Need],
) -> Schema:
    """The document. Raises `KeyError` for a route that no operation describes."""
    routes = sorted(_routes(rules))
    used = [operations[endpoint] for _, _, endpoint in routes]
    components = Components(
        [each for one in used for each in (one.body, one.query)],
        [Problem, *(each for one in used for each in (one.answer, one.lines))],
    )
    asked = {one.query for one in used if one.query}
    queries = {query: components.taken(query) for query in asked}
    paths: Schema = {}
    for path, method, endpoint in routes:
        described = _Described(
            operation=operations[endpoint],
            endpoint=endpoint,
            method=method,
            path=path,
            permission=permissions.get(endpoint),
            components=components,
            queries=queries,
        )
        paths.setdefault(path, {})[method.lower()] = described.schema()
    _exemplify(components.schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "beadflow",
            "version": version("beadflow"),
            "description": INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": PARTS[name]} for name in _tags(paths)],
        "security": [{name: []} for name in REQUESTS],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "headers": headers.ANSWERED,
            "securitySchemes": REQUESTS,
        },
    }


def path_of(rule: str) -> str:
    """The path of a route as OpenAPI spells it."""
    return _PARAMETER.sub(r"{\1}", rule)


def _routes(rules: Iterable[Rule]) -> Iterator[tuple[str, str, str]]:
    for rule in rules:
        if not rule.websocket:
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield path_of(rule.rule), method, rule.endpoint


def _tag(path: str) -> str:
    first = path.removeprefix("/api/v1").split("/")[1]
    return first if first in PARTS else DESCRIPTION


def _tags(paths: Iterable[str]) -> list[str]:
    return sorted({_tag(path) for path in paths})


def _exemplify(schemas: Schema) -> None:
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]


class _Described:
    """One operation on its way into the document."""

    def __init__(
        self,
        *,
        operation: Operation,
        endpoint: str,
        method: str,
        path: str,
        permission: Need | None,
        components: Components,
        queries: Mapping[Any, Schema],
    ) -> None:
        self._operation = operation
        self._endpoint = endpoint
        self._method = method
        self._path = path
        self._permission = permission
        self._components = components
        self._queries = queries

    def schema(self) -> Schema:
        operation = self._operation
        described: Schema = {
            "operationId": self._endpoint.replace(".", "_"),
            "tags": [_tag(self._path)],
            "summary": operation.summary,
        }
        if text := " ".join(self._description()):
            described["description"] = text
        if parameters := [*self._parameters()]:
            described["parameters"] = parameters
        if operation.body is not None:
            described["requestBody"] = self._body()
        described["responses"] = {**self._answers(), **self._problems()}
        if isinstance(self._permission, Open):
            described["security"] = []
        return described

    def _description(self) -> Iterator[str]:
        if self._operation.description:
            yield self._operation.description
        if isinstance(self._permission, Permission):
            yield f"Needs `{self._permission}`."
        if self._permission is KNOWN:
            yield "Needs any credential."

    def _parameters(self) -> Iterator[Schema]:
        for name in re.findall(r"{(\w+)}", self._path):
            yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        if self._operation.query is not None:
            yield from query_parameters(self._queries[self._operation.query])
        for name in headers.asked_of(self._operation, self._method, self._path):
            yield {"name": name, "in": "header", "required": False, **headers.ASKED[name]}

    def _body(self) -> Schema:
        operation = self._operation
        content: Schema = {"schema": self._components.asked(operation.body)}
        if operation.example is not None:
            content["example"] = operation.example
        return {"required": True, "content": {operation.body_type: content}}

    def _answers(self) -> Schema:
        operation = self._operation
        shown = _shown(*self._answered_headers())
        answer: Schema = {"description": HTTPStatus(operation.status).phrase, "headers": shown}
        if operation.answer is not None:
            schema = self._components.answered(operation.answer)
            types = (operation.answer_type, *operation.other_types)
            answer["content"] = {
                media: {} if media == STREAM else {"schema": schema} for media in types
            }
        if operation.lines is not None:
            schema = self._components.answered(operation.lines)
            answer["content"][LINES] = {"schema": schema}
        answers = {str(int(operation.status)): answer}
        for status in operation.also:
            answers[str(status)] = {**answer, "description": HTTPStatus(status).phrase}
        for status in self._other_statuses():
            answers[str(int(status))] = _without_model(status, operation, shown)
        return answers

    def _answered_headers(self) -> list[str]:
        counted = self._endpoint not in ALWAYS
        return headers.answered_of(self._operation, self._method, self._path, counted=counted)

    def _other_statuses(self) -> Iterator[int]:
        yield from self._operation.other_statuses
        if headers.is_fresh(self._operation, self._method):
            yield HTTPStatus.NOT_MODIFIED

    def _problems(self) -> Schema:
        guarded = not isinstance(self._permission, Open)
        asked = (self._operation, self._method, self._path)
        codes = codes_of(*asked, guarded=guarded, counted=self._endpoint not in ALWAYS)
        by_status = sorted((STATUSES[code], code) for code in codes)
        return {
            str(status): self._problem(status, [code for _, code in group])
            for status, group in groupby(by_status, key=lambda each: each[0])
            if status not in self._operation.also
        }

    def _problem(self, status: int, codes: list[str]) -> Schema:
        told = ", ".join(f"`{code}`" for code in codes)
        names = ["X-Request-Id"]
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            names.append("Retry-After")
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            names += ["RateLimit", "RateLimit-Policy"]
        if status == HTTPStatus.UNAUTHORIZED:
            names.append("WWW-Authenticate")
        return {
            "description": f"{HTTPStatus(status).phrase}: {told}",
            "headers": _shown(*names),
            "content": {MEDIA_TYPE: {"schema": self._components.answered(Problem)}},
            "x-codes": codes,
        }


def _shown(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _without_model(status: int, operation: Operation, shown: Schema) -> Schema:
    answer: Schema = {"description": HTTPStatus(status).phrase, "headers": shown}
    if status == HTTPStatus.PARTIAL_CONTENT:
        binary = {"type": "string", "format": "binary"}
        answer["content"] = {operation.answer_type: {"schema": binary}}
        answer["headers"] = {**shown, **_shown("Content-Range")}
    return answer
