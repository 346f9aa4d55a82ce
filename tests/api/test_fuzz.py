"""Random requests, by seed: whatever comes in, what goes out is an answer or a proper problem."""

import json
import os
import random
from typing import Any

import pytest

from tests.api.asgi import Answer, Header
from tests.api.problems import problem_of
from tests.api.site import WORKFLOWS, SharedSite

REQUESTS = 300
SEEDS = 170 if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else 3

METHODS = ("GET", "GET", "GET", "POST", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PRI", "a'b")
TARGETS = (
    WORKFLOWS,
    f"{WORKFLOWS}/types",
    f"{WORKFLOWS}/x",
    f"{WORKFLOWS}/x/results",
    f"{WORKFLOWS}/x/logs",
    f"{WORKFLOWS}/x/history",
    *(f"{WORKFLOWS}/x/{verb}" for verb in ("signal", "query", "pause", "resume", "cancel")),
    "/api/v1/agents",
    "/api/v1/agents/types",
    "/api/v1/agents/x",
    *(f"/api/v1/agents/x/{name}" for name in ("status", "config", "drain", "activate")),
    "/api/v1/system",
    "/api/v1/events",
    "/health/live",
    "/health/ready",
)
PIECES = (
    "%00",
    "%ff",
    "%ed%a0%80",
    "..",
    "%2e%2e%2f",
    "//",
    "?",
    "&",
    "=",
    ";",
    "%",
    "\\",
    "~",
    "{",
)
NAMES = ("status", "type", "limit", "cursor", "after", "workflow_id", "x", "")
VALUES = ("", "0", "-1", "1e9", "failed", "W10", "9" * 40, "%00", "%ff", "nan", "null", "\xb2")
ODD: tuple[Any, ...] = (
    None, True, -1, 2, 5, 1.5, 10**300, "", "x", "\x00", "\u2028", "\ud83d", "x" * 501,
    [], {}, [[]], {"first": 1}, {"first": "1", "": 0}, {"a.b/c~d": 1},
)  # fmt: skip
FIELDS = (
    *("issue_title", "workflow_type", "agent_type", "priority", "variables", "workflow_id"),
    *("agent_id", "config", "max_workload", "merge", "force"),
    *("name", "value", "argument", "message_id", "reason", "", "x"),
)
KINDS = ("arithmetic", "counting", "failing", "algebra")
HEADERS: tuple[Header, ...] = (
    ("Idempotency-Key", "k"),
    ("Idempotency-Key", "\xff"),
    ("Content-Encoding", "gzip"),
    ("Content-Length", "-5"),
    ("Content-Length", "99999999"),
    ("X-Request-Id", "\x00"),
    ("Accept", "\xff"),
    ("Cookie", "session=\xff;="),
    ("Range", "bytes=9-1"),
    ("If-None-Match", "*"),
    ("If-Modified-Since", "never"),
    ("Authorization", "Bearer \xff"),
    ("Upgrade", "websocket"),
)
HOSTS = (*["127.0.0.1:8080"] * 20, "[::1", "", "evil", "\xff:\xff")
TYPES = (*["application/json"] * 6, "application/json; charset=x", "text/html", "\xff")


class Fuzz:
    """Makes requests from a seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def target(self) -> str:
        target = self._chance.choice(TARGETS)
        if self._chance.random() < 0.5:
            at = self._chance.randrange(1, len(target) + 1)
            target = target[:at] + self._chance.choice(PIECES) + target[at:]
        pairs = [
            f"{self._chance.choice(NAMES)}={self._chance.choice(VALUES)}"
            for _ in range(self._chance.randrange(3))
        ]
        return f"{target}?{'&'.join(pairs)}" if pairs else target

    def body(self, *, of_start: bool) -> bytes:
        data: dict[str, Any] = {"name": "go"} if self._chance.random() < 0.5 else {}
        if of_start:
            data = {
                "issue_title": "t",
                "workflow_type": self._chance.choice(KINDS),
                "variables": {"first": 1} if self._chance.random() < 0.5 else {},
            }
        for _ in range(self._chance.randrange(3)):
            data[self._chance.choice(FIELDS)] = self._chance.choice(ODD)
        raw = bytearray(json.dumps(data).encode())
        for _ in range(self._chance.choice((0, 0, 0, 1, 5))):
            raw[self._chance.randrange(len(raw))] = self._chance.randrange(256)
        return bytes(raw)

    def headers(self) -> list[Header]:
        chosen = self._chance.sample(HEADERS, self._chance.choice((0, 0, 1, 3)))
        return [("Content-Type", self._chance.choice(TYPES)), *chosen]

    def request(self) -> tuple[str, str, dict[str, Any]]:
        given: dict[str, Any] = {"headers": self.headers(), "host": self._chance.choice(HOSTS)}
        method = self._chance.choice(METHODS)
        starts = method == "POST" and self._chance.random() < 0.7
        if method in {"POST", "PUT"}:
            given["body"] = [self.body(of_start=starts)]
        return method, WORKFLOWS if starts else self.target(), given


def check(answer: Answer) -> None:
    assert answer.status < 500, answer
    if answer.status >= 400:
        problem_of(answer)
    elif answer.status == 304:
        assert answer.body == b""
    else:
        assert answer.headers["content-type"] == "application/json"
        answer.json()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_request_makes_the_server_fail(
    shared: SharedSite, seed: int, logged: list[dict[str, Any]]
) -> None:
    fuzz, seen = Fuzz(seed), set()
    for number in range(REQUESTS):
        method, target, given = fuzz.request()
        answer = shared.call(method, target, **given)
        seen.add(answer.status)
        try:
            check(answer)
        except AssertionError as error:
            error.add_note(f"request {number} of seed {seed}: {method} {target!r} {given!r}")
            raise
    assert {200, 400, 404, 422} <= seen
    assert [entry for entry in logged if entry["log_level"] == "error"] == []
