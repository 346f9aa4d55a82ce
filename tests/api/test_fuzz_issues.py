"""Random requests about issues, by seed: an answer or a proper problem, never a fault."""

import json
import random
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import BaseModel

from api import issue_models as models
from tests.api.asgi import Answer
from tests.api.desk import ISSUES
from tests.api.site import SharedSite
from tests.api.test_fuzz import METHODS, ODD, PIECES, REQUESTS, SEEDS, VALUES, check

Model = type[BaseModel] | None

ROUTES: tuple[tuple[str, str, Model], ...] = (
    *(("POST", "", models.NewIssueRequest),) * 6,
    *(("PUT", "/{id}", models.UpdateRequest),) * 4,
    *(("POST", "/{id}/dependencies", models.DependencyRequest),) * 4,
    *(("POST", "/{id}/close", models.CloseRequest),) * 2,
    *(("POST", "/{id}/claim", models.ClaimRequest),) * 2,
    ("POST", "/{id}/reopen", models.ReopenRequest),
    ("POST", "/{id}/defer", models.DeferRequest),
    ("POST", "/{id}/restore", models.ActorRequest),
    ("POST", "/{id}/comments", models.CommentRequest),
    ("POST", "/{id}/labels", models.LabelsRequest),
    ("POST", "/{id}/heartbeat", models.HeartbeatRequest),
    ("POST", "/{id}/release", models.ReleaseRequest),
    ("POST", "/ready/claim", models.ClaimReadyRequest),
    ("DELETE", "/{id}", models.DeleteQuery),
    ("DELETE", "/{id}/dependencies/{id}", models.ActorQuery),
    ("GET", "", models.IssuesQuery),
    ("GET", "/search", models.SearchQuery),
    ("GET", "/ready", models.ReadyQuery),
    ("GET", "/blocked", models.BlockedQuery),
    ("GET", "/{id}/tree", models.TreeQuery),
    ("GET", "/{id}/why", None),
    ("GET", "/{id}", None),
    ("GET", "/stats", None),
    ("GET", "/cycles", None),
)
TIMES = ("2030-01-01T00:00:00Z", "2020-01-01T00:00:00+02:00", "9999-12-31T23:59:59Z", "soon", "")
USUAL: dict[str, tuple[Any, ...]] = {
    "actor": ("ann", "bob", "bob"),
    "title": ("t", "T" * 300, "ü\x1b[2J", "  "),
    "priority": (0, 1, 4, 5),
    "issue_type": ("bug", "epic", "gate", "mine"),
    "status": ("open", "closed", "in_progress", "deferred", "tombstone", "hooked", "mine"),
    "type": ("blocks", "parent-child", "waits-for", "conditional-blocks", "related", "x y"),
    "metadata": ({"a": 1}, {"beadflow": 1}, {"beadflow": {"home": "h"}}, "{}", '{"gate":"any"}'),
    "labels": (["a"], ["a", "b"], [""], []),
    "due_at": TIMES,
    "defer_until": TIMES,
    "until": TIMES,
    "updated_before": TIMES,
    "updated_after": TIMES,
    "estimated_minutes": (0, 30),
    "token": (1, 2**62),
    "ttl_s": (1.0, 60, 604800),
    "text": ("a remark", "ü" * 9000),
    "q": ("t", "a b", '"', "%", "*", "'"),
    "sort": ("updated", "created", "priority", "id"),
    "policy": ("hybrid", "priority", "oldest"),
    "direction": ("up", "down"),
    "limit": (1, 3, 1000),
    "depth": (1, 100),
    "force": (True, False, False),
    "cascade": (True, False, False),
}
IDS = frozenset({"parent", "depends_on"})


class IssuesFuzz:
    """Makes requests from a seed. It knows the ids that were answered, to get past the doors."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._known = ["shop-x", "external:a:b", "s"]

    def request(self) -> tuple[str, str, dict[str, Any]]:
        chance = self._chance
        method, path, model = chance.choice(ROUTES)
        while "{id}" in path:
            path = path.replace("{id}", quote(self._an_id()), 1)
        target = f"{ISSUES}{path}"
        headers = [("Content-Type", "application/json")]
        given: dict[str, Any] = {"headers": headers}
        fields = {} if model is None else self._fields(model)
        if chance.random() < 0.2:
            headers.append(("Idempotency-Key", chance.choice("abc")))
        if method == "PUT" and chance.random() < 0.2:
            headers.append(("If-Match", chance.choice(('"2026-01-01T00:00:00Z"', '"\xff"', "*"))))
        if method in {"POST", "PUT"}:
            given["body"] = [self._body(fields)]
        elif fields:
            target += (
                f"?{'&'.join(f'{name}={self._word(value)}' for name, value in fields.items())}"
            )
        if chance.random() < 0.05:
            method = chance.choice(METHODS)
        if chance.random() < 0.05:
            at = chance.randrange(1, len(target) + 1)
            target = target[:at] + chance.choice(PIECES) + target[at:]
        return method, target, given

    def learn(self, answer: Answer) -> None:
        found = answer.json() if answer.body else None
        if isinstance(found, dict) and isinstance(found.get("id"), str):
            self._known = [*self._known, found["id"]][-30:]

    def _fields(self, model: type[BaseModel]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            if self._chance.random() < (0.97 if field.is_required() else 0.15):
                fields[name] = self._value(name, model)
        if self._chance.random() < 0.03:
            fields["x"] = 1
        return fields

    def _value(self, name: str, model: type[BaseModel]) -> Any:
        if self._chance.random() < 0.08:
            return self._chance.choice(ODD)
        if name == "depends_on" and model is models.NewIssueRequest:
            return [{"id": self._an_id(), "type": self._chance.choice(USUAL["type"])}]
        if name in IDS:
            return self._an_id()
        key = "labels" if "label" in name or name in {"add", "remove"} else name
        return self._chance.choice(USUAL.get(key, ("a text", "", None)))

    def _body(self, fields: dict[str, Any]) -> bytes:
        raw = bytearray(json.dumps(fields).encode())
        if self._chance.random() < 0.03:
            raw[self._chance.randrange(len(raw))] = self._chance.randrange(256)
        return bytes(raw)

    def _word(self, value: Any) -> str:
        if self._chance.random() < 0.05:
            return self._chance.choice(VALUES)
        text = ",".join(value) if isinstance(value, list) and _are_words(value) else str(value)
        return quote(text.lower() if isinstance(value, bool) else text, errors="replace")

    def _an_id(self) -> str:
        whole = self._chance.choice(self._known)
        return whole[:-1] if self._chance.random() < 0.1 and len(whole) > 1 else whole


def _are_words(value: list[Any]) -> bool:
    return all(isinstance(word, str) for word in value)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_request_about_issues_makes_the_server_fail(
    shared: SharedSite, seed: int, logged: list[dict[str, Any]]
) -> None:
    fuzz, seen = IssuesFuzz(seed), set()
    for number in range(REQUESTS):
        method, target, given = fuzz.request()
        answer = shared.call(method, target, **given)
        seen.add((method, answer.status))
        try:
            check(answer)
        except AssertionError as error:
            error.add_note(f"request {number} of seed {seed}: {method} {target!r} {given!r}")
            raise
        if answer.status < 300:
            fuzz.learn(answer)
    deep = {("POST", 201), ("POST", 200), ("GET", 200), ("POST", 409)}
    assert deep <= seen
    assert [entry for entry in logged if entry["log_level"] == "error"] == []
