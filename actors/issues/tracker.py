"""The tracker: knows which issues there are, chooses ids for new ones, answers readers.

It holds the graph of all issues in memory and brings it level with the journal before every answer,
so that each reflects all that was committed before. What it is asked to change, the writer changes;
by itself it only takes in, at its start, a published file that others wrote. An id that was handed
out is kept in memory until it is far in the past, because its issue is stored later.
"""

import re
import sqlite3
from collections import Counter, OrderedDict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, get_args

import structlog
import trio

from actors.clock import Clock, system_clock
from actors.damage import refusing_damage
from actors.errors import Conflict, NotFound, ValidationError
from actors.issues import ids, issue
from actors.issues.import_messages import Imported, ImportIssues
from actors.issues.messages import (
    ComposeFile,
    GetIssue,
    Issue,
    IssueId,
    ListIssues,
    MintIssueId,
    PublicationFailed,
)
from actors.issues.publishing.adoption import ask_files, take_in
from actors.issues.questions import BlockedIssues, ClaimReady, QueryIssues, ReadyIssues
from actors.issues.reading.answers import Answers, Question, Steps
from actors.issues.reading.resident import Resident
from actors.issues.verbs import Claim
from actors.issues.writing import importing
from actors.issues.writing.claims import Claiming
from actors.issues.writing.claims import Message as Claims
from actors.issues.writing.editing import Editing, Verb
from storage.inline import open_inline
from storage.issues import jsonl, queries, reading
from storage.pool import ReadPool
from supervision import Actor, Named

RESERVED: Final = 100_000
"""Ids kept in memory; the oldest go first, long after their issues were stored."""
LIST_LIMIT: Final = 1000
TEXT_LENGTH: Final = 1000
QUESTIONS: Final = get_args(Question)
Filtered = QueryIssues | ReadyIssues | BlockedIssues

log = structlog.get_logger("beadflow.issues")


class IssueTracker(Actor):
    """Answers the questions of questions.py and carries out the verbs of verbs.py.

    Also `MintIssueId`, `GetIssue` and `ListIssues`.

    Args:
        writer: the writer of beads.db.
        files: the Git worker.
        database: beads.db.
        pool: reads of the same database.
        directory: the repository's directory; its name is the prefix where no issue shows one.
        home: this installation, whose claims these are.
        prefix: the prefix of new ids; None takes the one most issues have.
        types: issue types that may be used besides the usual ones; so `statuses`.
    """

    def __init__(
        self,
        *,
        writer: Named,
        files: Named,
        database: Path,
        pool: ReadPool,
        directory: Path,
        home: str = "",
        prefix: str | None = None,
        types: Sequence[str] = (),
        statuses: Sequence[str] = (),
        clock: Clock = system_clock,
    ) -> None:
        super().__init__()
        self._writer = writer
        self._files = files
        self._database = database
        self._pool = pool
        self._directory = directory
        self._home = home
        self._prefix = prefix or ""
        self._types = types
        self._statuses = statuses
        self._clock = clock
        self._saying: dict[int, frozenset[str]] = {}
        self._reserved: OrderedDict[str, None] = OrderedDict()
        self._count = 0
        self._conn: sqlite3.Connection

    async def on_start(self) -> None:
        try:
            composed = await ask_files(self._files, ComposeFile())
            await take_in(composed, writer=self._writer, files=self._files, clock=self._clock)
        except PublicationFailed as err:
            # The database is enough to work with; the publisher tries the file again.
            log.error("published file not read", reason=str(err))  # noqa: TRY400 - no crash
        self._conn = open_inline(self._database)
        self._resident = Resident(self._conn, self._clock)
        self._answers = Answers(self._resident)
        await self._resident.load(self._choose_prefix)
        resolve = self._resident.resolve
        self._editing = Editing(
            self._writer,
            resolve,
            self._mint,
            self._clock,
            types=self._types,
            statuses=self._statuses,
        )
        self._claiming = Claiming(
            writer=self._writer,
            resolve=resolve,
            ready=self._claimable,
            clock=self._clock,
            home=self._home,
        )

    def _choose_prefix(self, counts: Counter[str]) -> str:
        if not self._prefix:
            found = ids.commonest(counts)
            self._prefix = found or ids.prefix_from_name(self._directory.resolve().name)
        self._count = counts[self._prefix]
        return self._prefix

    async def on_stop(self) -> None:
        self._conn.close()

    async def on_failure(self, error: BaseException) -> None:
        del error
        if hasattr(self, "_conn"):
            self._conn.close()

    async def on_receive(self, message: object) -> object:
        if isinstance(message, QUESTIONS):
            return await self._answer(message)
        if isinstance(message, Verb | Claims):
            return await self._carry_out(message)
        match message:
            case ImportIssues():
                return self.defer(self._import(message))
            case MintIssueId():
                return self._mint(message)
            case GetIssue():
                return self._get(message.issue_id)
            case ListIssues():
                return self.defer(self._list(message))
            case _:
                return await super().on_receive(message)

    async def _answer(self, question: Question) -> object:
        with refusing_damage(_name(question)):
            await self._resident.catch_up()
            if isinstance(question, Filtered) and question.filter.text:
                return self.defer(self._answer_search(question))
            steps = self._answers.to(question)
            try:
                next(steps)
            except StopIteration as done:
                return done.value
        return self.defer(self._finish(question, steps))

    async def _finish(self, question: Question, steps: Steps[Any]) -> Any:
        with refusing_damage(_name(question)):
            while True:
                await trio.lowlevel.checkpoint()
                try:
                    next(steps)
                except StopIteration as done:
                    return done.value

    async def _carry_out(self, message: Verb | Claims) -> object:
        with refusing_damage(_name(message)):
            await self._resident.catch_up()
        if isinstance(message, ClaimReady):
            return self.defer(self._claim_ready(message))
        if isinstance(message, Claims):
            return self.defer(self._claiming.run(message))
        return self.defer(self._editing.run(message))

    async def _import(self, message: ImportIssues) -> Imported:
        with refusing_damage(_name(message)):
            return await importing.take_in(message, self._conn, self._writer, self._clock)

    async def _claim_ready(self, message: ClaimReady) -> Claim | Issue:
        if not message.filter.text:
            return await self._claiming.run(message)
        self._saying[id(message)] = await self._search(message)
        try:
            return await self._claiming.run(message)
        finally:
            del self._saying[id(message)]

    async def _claimable(self, message: ClaimReady, limit: int) -> list[str]:
        with refusing_damage(_name(message)):
            self._resident.catch_up_now()
            found = self._answers.claimable(message, self._saying.get(id(message)))
            return list(islice(found, limit))

    async def _answer_search(self, question: Filtered) -> Any:
        saying = await self._search(question)
        return await self._finish(question, self._answers.to(question, saying))

    async def _search(self, question: Filtered | ClaimReady) -> frozenset[str]:
        """Find the issues that hold all the words of a filter."""
        text = question.filter.text
        if len(text) > TEXT_LENGTH:
            refusal = f"a search has at most {TEXT_LENGTH} characters"
            raise ValidationError(refusal, field="text", value=text)
        if not text.split() or "\0" in text:  # which no issue holds
            return frozenset()
        with refusing_damage(_name(question)):
            wanted = {"words": reading.search_words(text)}
            found = await self._pool.fetch("search_issues", reading.SEARCH, wanted)
        return frozenset(row["id"] for row in found)

    def _mint(self, message: MintIssueId) -> IssueId:
        with refusing_damage("mint_issue_id"):
            return self._minted(message)

    def _minted(self, message: MintIssueId) -> IssueId:
        try:
            minted = ids.mint(
                prefix=self._prefix,
                title=message.title,
                description=message.description,
                creator=message.creator,
                created_at=message.created_at,
                count=self._count,
                taken=self._is_taken,
            )
        except ids.IdsExhaustedError as err:
            raise Conflict(f"no id for issue {message.title!r}: {err}") from err
        except ValueError as err:
            raise ValidationError(str(err), field="created_at", value=message.created_at) from err
        self._reserve(minted)
        return IssueId(minted)

    def _is_taken(self, issue_id: str) -> bool:
        return issue_id in self._reserved or queries.get_line(self._conn, issue_id) is not None

    def _reserve(self, issue_id: str) -> None:
        self._reserved[issue_id] = None
        self._count += 1
        if len(self._reserved) > RESERVED:
            self._reserved.popitem(last=False)

    def _get(self, issue_id: str) -> Issue:
        with refusing_damage("get_issue"):
            line = queries.get_line(self._conn, issue_id)
        if line is None:
            raise NotFound(f"there is no issue {issue_id}")
        return issue.view(jsonl.parse(line))

    async def _list(self, message: ListIssues) -> tuple[Issue, ...]:
        if not 1 <= message.limit <= LIST_LIMIT:
            raise ValidationError(
                f"a list has 1 to {LIST_LIMIT} issues", field="limit", value=message.limit
            )
        sql = queries.LIST_ALL if message.status is None else queries.LIST_BY_STATUS
        wanted = {"status": message.status, "limit": message.limit}
        with refusing_damage("list_issues"):
            rows = await self._pool.fetch("list_issues", sql, wanted)
        return tuple(issue.view(jsonl.parse(row["line"])) for row in rows)


def _name(message: object) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(message).__name__).lower()
