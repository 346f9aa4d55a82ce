"""The answers to the questions of questions.py, from the graph in memory.

Each is a generator that yields after some milliseconds of work and returns the answer. The tracker
runs it to its first yield at once, so a short answer is given as things stood when it was asked.
"""

import re
from collections.abc import Collection, Generator, Iterable, Iterator
from typing import Any, Final, TypeVar

from actors.errors import NotFound, ValidationError
from actors.issues.messages import Issue
from actors.issues.questions import (
    BlockedIssues,
    ClaimReady,
    CountIssues,
    DependencyCycles,
    DependencyTree,
    Edge,
    Explained,
    ExplainIssue,
    IssueFilter,
    IssuePage,
    IssueStats,
    QueryIssues,
    ReadyIssues,
    ShowIssue,
    Shown,
    TreeNode,
)
from actors.issues.reading import counting, filters, listing, walks, why
from actors.issues.reading.graph import PARENT_CHILD
from actors.issues.reading.resident import Resident

ROWS: Final = 100
"""Rows read between two turns of the other tasks: about five milliseconds."""
LIMIT: Final = 1000
DEPTH: Final = 100

T = TypeVar("T")
Steps = Generator[None, None, T]
Question = (
    QueryIssues
    | ReadyIssues
    | BlockedIssues
    | ExplainIssue
    | ShowIssue
    | DependencyTree
    | DependencyCycles
    | CountIssues
)


class Answers:
    """Answers from what a `Resident` knows."""

    def __init__(self, resident: Resident) -> None:
        self._resident = resident

    def to(self, question: Question, saying: Collection[str] | None = None) -> Steps[Any]:
        """Begin an answer; `saying` are the issues that hold the words of the filter, if any."""
        match question:
            case QueryIssues():
                return self._query(question, saying)
            case ReadyIssues():
                return self._ready(question, saying)
            case BlockedIssues():
                return self._blocked(question, saying)
            case ExplainIssue():
                return self._explain(question)
            case ShowIssue():
                return self._show(question)
            case DependencyTree():
                return self._tree(question)
            case DependencyCycles():
                return walks.circles(self._resident.graph)
            case CountIssues():
                return self._count()

    def _count(self) -> Steps[IssueStats]:
        return counting.count(self._resident.readiness)

    def _query(self, question: QueryIssues, saying: Collection[str] | None) -> Steps[IssuePage]:
        _check_limit(question.limit)
        fits = self._fits(question.filter, saying)
        graph = self._resident.graph
        page = yield from listing.page(
            listing.candidates(graph, question.filter, closed=question.closed),
            fits,
            sort=question.sort,
            reverse=question.reverse,
            limit=question.limit,
            cursor=question.cursor,
        )
        issues = yield from self._views(page.ids)
        there = tuple(found for found in issues if found is not None)
        return IssuePage(issues=there, total=page.total, next_cursor=page.next_cursor)

    def _fits(self, wanted: IssueFilter, saying: Collection[str] | None) -> filters.Accepts | None:
        graph = self._resident.graph
        filters.check(wanted, graph)
        under = None
        if wanted.parent is not None:
            under = graph.descendants(self._resident.resolve(wanted.parent))
        return filters.accepts(wanted, under=under, saying=saying)

    def claimable(
        self, question: ClaimReady, saying: Collection[str] | None = None
    ) -> Iterator[str]:
        """Yield the ids of what can be worked on, best first; then whose lease has run out.

        Nothing may change meanwhile.
        """
        readiness, wanted = self._resident.readiness, question.filter
        fits = self._fits(wanted, saying)
        for node in listing.ranked(readiness, wanted, fits, policy=question.policy):
            yield node.id
        for issue_id in self._resident.run_out():
            held = readiness.graph.get(issue_id)
            if held is not None and readiness.is_free(held) and (fits is None or fits(held)):
                yield issue_id

    def _ready(
        self, question: ReadyIssues, saying: Collection[str] | None
    ) -> Steps[tuple[Explained, ...]]:
        _check_limit(question.limit)
        readiness = self._resident.readiness
        nodes = yield from listing.offered(
            readiness,
            question.filter,
            self._fits(question.filter, saying),
            policy=question.policy,
            classic=question.classic,
            limit=question.limit,
        )
        causes = [why.settled(readiness, node) for node in nodes]
        issues = yield from self._views(node.id for node in nodes)
        return tuple(
            Explained(issue=found, ready=True, causes=reasons)
            for found, reasons in zip(issues, causes, strict=True)
            if found is not None
        )

    def _blocked(
        self, question: BlockedIssues, saying: Collection[str] | None
    ) -> Steps[tuple[Explained, ...]]:
        _check_limit(question.limit)
        readiness = self._resident.readiness
        fits = self._fits(question.filter, saying)
        nodes = yield from listing.waiting(readiness, question.filter, fits, limit=question.limit)
        causes = [why.explain(readiness, node)[1] for node in nodes]
        issues = yield from self._views(node.id for node in nodes)
        return tuple(
            Explained(issue=found, ready=False, causes=reasons)
            for found, reasons in zip(issues, causes, strict=True)
            if found is not None
        )

    def _explain(self, question: ExplainIssue) -> Steps[Explained]:
        node = self._resident.node(question.issue_id)
        ready, causes = why.explain(self._resident.readiness, node)
        yield from ()
        return Explained(issue=self._view(node.id), ready=ready, causes=causes)

    def _show(self, question: ShowIssue) -> Steps[Shown]:
        graph = self._resident.graph
        node = self._resident.node(question.issue_id)
        below = walks.depends_on(graph, node.id)
        above = [edge for edge in walks.dependents(graph, node.id) if edge[0] != PARENT_CHILD]
        children = sorted(graph.children(node.id), key=_natural)
        depends_on = yield from self._views(other for _, other in below)
        dependents = yield from self._views(other for _, other in above)
        shown = yield from self._views(children)
        return Shown(
            issue=self._view(node.id),
            depends_on=_edges(below, depends_on),
            dependents=_edges(above, dependents),
            children=tuple(child for child in shown if child is not None),
            claim=self._resident.lease(node.id),
        )

    def _tree(self, question: DependencyTree) -> Steps[TreeNode]:
        if question.direction not in ("down", "up"):
            text = 'a tree goes "down" to what an issue depends on, or "up"'
            raise ValidationError(text, field="direction", value=question.direction)
        if not 1 <= question.depth <= DEPTH:
            text = f"a tree has 1 to {DEPTH} levels"
            raise ValidationError(text, field="depth", value=question.depth)
        root = self._resident.resolve(question.issue_id)
        up = question.direction == "up"
        tree = yield from walks.tree(self._resident.graph, root, up=up, depth=question.depth)
        branches = _flat(tree)
        names = dict.fromkeys(branch.id for branch in branches)
        issues = dict(zip(names, (yield from self._views(names)), strict=True))
        return _node(tree, issues)

    def _view(self, issue_id: str) -> Issue:
        found = self._resident.view(issue_id)
        if found is None:  # a tombstone that was taken out just now
            raise NotFound(f"there is no issue {issue_id}")
        return found

    def _views(self, issue_ids: Iterable[str]) -> Steps[list[Issue | None]]:
        found: list[Issue | None] = []
        for issue_id in issue_ids:
            found.append(self._resident.view(issue_id))
            if len(found) % ROWS == 0:
                yield
        return found


def _edges(edges: list[tuple[str, str]], issues: list[Issue | None]) -> tuple[Edge, ...]:
    pairs = zip(edges, issues, strict=True)
    return tuple(Edge(id=other, type=kind, issue=found) for (kind, other), found in pairs)


def _flat(root: walks.Branch) -> list[walks.Branch]:
    found = [root]
    for branch in found:
        found.extend(branch.below)
    return found


def _node(branch: walks.Branch, issues: dict[str, Issue | None]) -> TreeNode:
    return TreeNode(
        issue=issues[branch.id],
        id=branch.id,
        type=branch.type,
        seen=branch.seen,
        children=tuple(_node(below, issues) for below in branch.below),
    )


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= LIMIT:
        text = f"a list has 1 to {LIMIT} issues"
        raise ValidationError(text, field="limit", value=limit)


def _natural(issue_id: str) -> list[str | int]:
    """Sort `x.10` behind `x.2`."""
    parts = re.split(r"([0-9]+)", issue_id)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]
