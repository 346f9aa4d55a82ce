"""The API's app over a tracker that answers what a test says, and keeps what it was asked."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from actors.issues import issue
from actors.issues.messages import Issue
from actors.issues.questions import Explained, IssuePage, Shown
from api.app import create_app
from supervision import Actor, ChildSpec, System
from tests.api.asgi import Answer, Header, call, send_json
from tests.api.site import nowhere

ISSUES = "/api/v1/issues"
AT = "2026-01-02T03:04:05.006Z"


def an_issue(issue_id: str = "bd-1", **fields: Any) -> Issue:
    row = issue.new_issue(issue_id=issue_id, title="A title", created_at=AT, created_by="ann")
    return issue.view(row | fields)


def a_page(*issues: Issue, more: str | None = None) -> IssuePage:
    return IssuePage(issues=issues, total=len(issues), next_cursor=more)


def shown(found: Issue, **fields: Any) -> Shown:
    around: dict[str, Any] = {"depends_on": (), "dependents": (), "children": (), "claim": None}
    return Shown(issue=found, **{**around, **fields})


def explained(found: Issue, *causes: Any, ready: bool = False) -> Explained:
    return Explained(issue=found, ready=ready, causes=causes)


class FakeTracker(Actor):
    def __init__(self, asked: list[Any], answers: dict[type, Any]) -> None:
        super().__init__()
        self._asked = asked
        self._answers = answers

    async def on_receive(self, message: object) -> object:
        self._asked.append(message)
        answer = self._answers[type(message)]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The app, what it asked the tracker, and what that answers to messages of a type."""

    app: Any
    asked: list[Any] = field(default_factory=list)
    answers: dict[type, Any] = field(default_factory=dict)

    async def get(self, path: str = "") -> Answer:
        return await call(self.app, "GET", f"{ISSUES}{path}")

    async def post(self, path: str, body: Any, *headers: Header) -> Answer:
        return await send_json(self.app, f"{ISSUES}{path}", body, *headers)

    async def delete(self, path: str) -> Answer:
        return await call(self.app, "DELETE", f"{ISSUES}{path}")

    async def put(self, path: str, body: bytes, *headers: Header) -> Answer:
        typed = [("Content-Type", "application/json"), *headers]
        return await call(self.app, "PUT", f"{ISSUES}{path}", headers=typed, body=[body])


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    asked: list[Any] = []
    answers: dict[type, Any] = {}
    build: Callable[[], Actor] = lambda: FakeTracker(asked, answers)  # noqa: E731
    async with System.open() as system:
        await system.start(ChildSpec(id="nobody", name="nobody", build=build))
        yield Desk(app=create_app(nowhere(system)), asked=asked, answers=answers)
