"""The thread that reads, composes and writes the published file, and records it in Git.

Everything about the file that blocks or computes happens here, off the trio thread: hashing
megabytes, comparing thousands of rows, fsync, Git's processes. It decides nothing: the publisher
and the tracker ask step by step, and only the writer of beads.db changes the database, which is
read here through a connection of its own.

What the disk or Git refuses is an answer (`PublicationFailed`), not a crash: the change is safe in
the database and the next attempt finds it there.
"""

import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from actors.issues.merging.collisions import Rows, different, new_ids
from actors.issues.merging.files import Side, read_side
from actors.issues.messages import (
    CompareFile,
    Composed,
    ComposeFile,
    InstallFile,
    Outside,
    PublicationFailed,
    Recorded,
    RecordFile,
)
from actors.issues.publishing import meeting
from actors.issues.publishing.meeting import Met
from actors.issues.publishing.sync_messages import (
    SHOWN,
    CommitFile,
    Committed,
    Difference,
    MergeCommit,
    Merged,
    NoteRemote,
    RecordMerge,
    SyncRefused,
)
from storage.errors import BranchBusy, StorageError
from storage.git import ISSUES_REF, Repository, tracking_ref
from storage.inline import open_inline
from storage.issues import file, jsonl, queries
from storage.issues.file import PUBLISHED
from storage.issues.jsonl import Row
from supervision import BlockingActor

MAINTAIN_AFTER: Final = 100
"""Recordings between two packings of what they left loose."""
MESSAGE: Final = "beadflow: issues"
REST_S: Final = 0.5
"""How long a file has to be left alone before rows that are missing from it count as removed: a
program that writes it piece by piece may have come to the end of any line."""
JUDGED: Final = 100
"""Commits of the user's branch in which a row is looked for that is missing from its file."""

log = structlog.get_logger("beadflow.issues")


class GitWorker(BlockingActor):
    """Owns the published file and the repository it is recorded in.

    Args:
        database: beads.db, migrated already.
        path: the published file; its directory is made when it is first written.
        repository: where the work tree of the file lies, or None to leave Git alone.
        mode: "ref" records the file on its ref, "branch" commits it when asked.
        rest_s: how long a file that lacks rows is waited for, in seconds.
    """

    def __init__(
        self,
        database: Path,
        path: Path,
        *,
        repository: Path | None,
        mode: str = "ref",
        rest_s: float = REST_S,
    ) -> None:
        super().__init__()
        self._database = database
        self._path = path
        self._where = repository
        self._mode = mode
        self._rest_s = rest_s
        self._repository: Repository | None = None
        self._recordings = 0
        self._conn: sqlite3.Connection

    def on_start(self) -> None:
        self._conn = open_inline(self._database)
        try:
            with _as_refusal("prepare the repository"):
                self._opened()
                self._take_from_ref()
        except PublicationFailed as err:
            # Tried again by each recording: a broken repository costs recordings, nothing else.
            log.warning("repository not prepared", reason=str(err))

    def on_stop(self) -> None:
        self._close()

    def on_failure(self, error: BaseException) -> None:
        del error
        self._close()

    def on_receive(self, message: object) -> object:
        match message:
            case ComposeFile():
                return self._compose()
            case CompareFile():
                return self._compare()
            case InstallFile():
                return self._install(message)
            case RecordFile():
                return self._record()
            case MergeCommit():
                return self._merge(message)
            case RecordMerge():
                return self._record_merge(message)
            case NoteRemote():
                self._note_remote(message)
                return None
            case CommitFile():
                return self._commit_file(message)
            case _:
                return super().on_receive(message)

    def _compose(self) -> Composed:
        with _read_transaction(self._conn):
            lines = queries.all_lines(self._conn)
            seq = queries.last_seq(self._conn)
            known = queries.publication(self._conn)
            placed = queries.placed(self._conn, str(self._place()))
        data = "".join(f"{line}\n" for line in lines).encode()
        with _as_refusal(f"read {self._path}"):
            present = file.present_sha256(self._path)
        return Composed(
            seq=seq,
            sha256=file.sha256_of(data),
            data=data,
            present_sha256=present,
            flushed_sha256=known.flushed_sha256,
            intended_seq=known.intended_seq,
            intended_sha256=known.intended_sha256,
            known=known.known,
            place=str(self._place()),
            is_placed=placed is not None and placed >= seq,
        )

    def _compare(self) -> Outside:
        with _read_transaction(self._conn):
            base = queries.published_lines(self._conn)
            placed = queries.placed(self._conn, str(self._place()))
            later = queries.changed_after(self._conn, placed) if placed is not None else base.keys()
        with _as_refusal(f"read {self._path}"):
            data = file.read(self._path)
            side = read_side("the file", data or b"", _Parsed(base))
            for one in side.renamed:
                log.warning("two issues had one id", issue_id=one.old, renamed=one.new)
            side_file = self._path.with_name(file.QUARANTINE_NAME)
            file.keep(side_file, (line.raw for line in side.loaded.quarantined))
            gone = self._removed(base, side, data or b"", later)
        return Outside(
            sha256=None if data is None else file.sha256_of(data),
            rows=tuple(_collisions_first(base, _differences(base, side, gone))),
            quarantined=len(side.loaded.quarantined),
            duplicates=side.loaded.duplicates,
            conflict_markers=len(side.loaded.conflict_markers),
        )

    def _removed(
        self, base: Mapping[str, str], side: Side, data: bytes, later: Collection[str]
    ) -> list[str]:
        """Tell which rows somebody took out of the file.

        Only where the whole file could be read and holds anything at all: an emptied or damaged
        file removes nothing. Nor does one that is merely behind: one of another work tree has not
        held what was changed after it was written, and one that Git brought back from an older
        commit has forgotten nothing. A tombstone may go at any time.
        """
        if not side.is_whole:
            return []
        missing = [issue_id for issue_id in base if issue_id not in side.rows]
        buried = {one for one in missing if jsonl.parse(base[one]).get("status") == "tombstone"}
        lost = {one for one in missing if one not in later} - buried
        if lost and not self._is_at_rest(data):
            lost = set()
        if lost and self._repository is not None and self._repository.tracks(self._place()):
            lost = self._repository.removed(self._place(), data, lost, scan=JUDGED)
        return [issue_id for issue_id in missing if issue_id in lost or issue_id in buried]

    def _is_at_rest(self, data: bytes) -> bool:
        found = file.stamp(self._path)
        if found is not None:
            age_s = time.time() - found[0] / 1e9
            if 0 <= age_s < self._rest_s:
                time.sleep(self._rest_s - age_s)
        return file.read(self._path) == data

    def _install(self, message: InstallFile) -> file.Stamp | None:
        expected = message.expected_sha256
        with _as_refusal(f"write {self._path}"), suppress(file.FileChangedError):
            return file.replace(self._path, message.data, expected_sha256=expected)
        return None

    def _record(self) -> Recorded:
        with _as_refusal("record the issues in Git"):
            repository = self._opened()
            if repository is None or self._mode != "ref" or not self._path.exists():
                return Recorded(commit=None)
            commit = repository.record(self._path, MESSAGE)
            if commit is not None:
                self._keep_packed(repository)
            return Recorded(commit=commit)

    def _keep_packed(self, repository: Repository) -> None:
        self._recordings += 1
        if self._recordings % MAINTAIN_AFTER == 0:
            repository.maintain()

    def _merge(self, message: MergeCommit) -> Merged:
        with _read_transaction(self._conn):
            lines = queries.lines_by_id(self._conn)
            seq = queries.last_seq(self._conn)
        with _as_refusal("merge with what was fetched"):
            repository = self._required()
            tip, theirs = repository.commit_at(), message.theirs
            commits = (tip, theirs) if tip and theirs else None
            data = (repository.read_at(theirs) if theirs else None) or b""
            met = meeting.meet(lines, data, commits, _Past(repository))
            related = commits is None or bool(repository.merge_bases(*commits))
            if met.unread:
                file.keep(self._path.with_name(file.QUARANTINE_NAME), met.unread)
        return _merged(lines, met, related=related, seq=seq)

    def _record_merge(self, message: RecordMerge) -> str:
        data = self._compose().data
        with _as_refusal("record the issues in Git"):
            repository = self._required()
            before = repository.commit_at()
            if message.theirs is None:
                commit = repository.record(data, MESSAGE) or repository.commit_at() or ""
            else:
                commit = repository.merge(data, message.theirs, MESSAGE)
            if commit != before:
                self._keep_packed(repository)
            return commit

    def _note_remote(self, message: NoteRemote) -> None:
        with _as_refusal("remember the remote's issues"):
            self._required().adopt_commit(message.commit, ref=tracking_ref(message.remote))

    def _commit_file(self, message: CommitFile) -> Committed:
        with _as_refusal("commit the issues"):
            repository = self._required()
            data = file.read(self._path)
            head = repository.head_commit()
            there = (repository.read_at(head, PUBLISHED.as_posix()) if head else None) or b""
            commit = None
            if data is not None and not message.dry_run:
                try:
                    commit = repository.commit_on_branch(data, self._place(), MESSAGE)
                except BranchBusy as err:
                    raise SyncRefused(f"the issues cannot be committed: {err.detail}") from err
        before, after = (read_side("", one, {}).rows for one in (there, data or b""))
        outgoing = list(meeting.changes(before, after))
        return Committed(
            commit=commit,
            outgoing=tuple(_listed(outgoing, before, after)),
            outgoing_count=len(outgoing),
        )

    def _place(self) -> Path:
        return self._path.parent.resolve() / self._path.name

    def _required(self) -> Repository:
        repository = self._opened()
        if repository is None:
            raise SyncRefused("there is no Git repository, or git_mode is off")
        return repository

    def _opened(self) -> Repository | None:
        if self._repository is None and self._where is not None:
            found = Repository.discover(self._where)
            if found is not None and self._mode == "ref":
                self._hide(found)
            self._repository = found
        return self._repository

    def _take_from_ref(self) -> None:
        """Puts the file back where neither it nor the database knows any issues any more.

        A database that ever held one knows better, also that there is none left.
        """
        if self._repository is None or self._mode != "ref" or self._path.exists():
            return
        if queries.last_seq(self._conn):
            return
        if data := self._repository.read():
            with suppress(file.FileChangedError):  # somebody has just brought another one
                file.replace(self._path, data, expected_sha256=None)
                log.warning("issues taken from the ref", ref=ISSUES_REF, file=str(self._path))

    def _hide(self, repository: Repository) -> None:
        """Keep the file out of `git status`, unless the user's own branch holds it."""
        tree, place = repository.where.work_tree, self._place()
        if tree is None or not place.is_relative_to(tree) or repository.tracks(place):
            return
        for name in file.companions(place):
            repository.exclude(f"/{name.relative_to(tree).as_posix()}")

    def _close(self) -> None:
        if hasattr(self, "_conn"):
            self._conn.close()


@dataclass(frozen=True, slots=True)
class _Past:
    repository: Repository

    def read(self, commit: str) -> bytes:
        return self.repository.read_at(commit) or b""

    def merge_bases(self, commit: str, others: Collection[str]) -> Collection[str]:
        return self.repository.merge_bases(commit, *others)


def _merged(lines: dict[str, str], met: Met, *, related: bool, seq: int) -> Merged:
    incoming = list(meeting.changes(met.ours, met.merged))
    outgoing = list(meeting.changes(met.theirs, met.merged))
    return Merged(
        rows=tuple((name, lines.get(name), _line(met.merged.get(name))) for name, _ in incoming),
        related=related,
        moved=tuple((one.old, one.new) for one in met.renamed if one.side == "ours"),
        seq=seq,
        incoming=tuple(_listed(incoming, met.ours, met.merged)),
        outgoing=tuple(_listed(outgoing, met.theirs, met.merged)),
        incoming_count=len(incoming),
        outgoing_count=len(outgoing),
        quarantined=len(met.unread),
        renamed=tuple((one.old, one.new) for one in met.renamed),
    )


def _line(row: Row | None) -> str | None:
    return None if row is None else jsonl.encode_text(row)


def _listed(changes: list[tuple[str, str]], before: Rows, after: Rows) -> Iterator[Difference]:
    for name, kind in changes[:SHOWN]:
        title = (after.get(name) or before[name]).get("title") or ""
        yield Difference(issue_id=name, kind=kind, title=title)


class _Parsed(Mapping[str, Row]):
    """Rows of lines, each parsed when it is looked at: of a large file few are."""

    def __init__(self, lines: Mapping[str, str]) -> None:
        self._lines = lines

    def __getitem__(self, issue_id: str) -> Row:
        return jsonl.parse(self._lines[issue_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


def _differences(
    base: dict[str, str], side: Side, gone: Iterable[str]
) -> Iterator[tuple[str, str | None]]:
    """Yield what the file says otherwise than was last published, and last what is gone."""
    for issue_id, row in side.rows.items():
        line = jsonl.encode_text(row)
        if base.get(issue_id) != line:
            yield issue_id, line
    yield from ((issue_id, None) for issue_id in gone)


def _collisions_first(
    base: dict[str, str], rows: Iterable[tuple[str, str | None]]
) -> list[tuple[str, str | None]]:
    """Put the ids that another issue has got in front, with where the old one may be now.

    Whoever takes in so many rows at a time then meets these together, before any row that refers
    to them.
    """
    differing = list(rows)
    early: set[str] = set()
    for issue_id, line in differing:
        was = base.get(issue_id)
        if was is None or line is None:
            continue
        before, after = jsonl.parse(was), jsonl.parse(line)
        if different(before, after):
            early |= {issue_id, next(new_ids(before)), next(new_ids(after))}
    return sorted(differing, key=lambda each: each[0] not in early)


@contextmanager
def _read_transaction(conn: sqlite3.Connection) -> Iterator[None]:
    conn.execute("BEGIN")
    try:
        yield
    finally:
        conn.execute("ROLLBACK")


@contextmanager
def _as_refusal(attempt: str) -> Iterator[None]:
    try:
        yield
    except (OSError, StorageError) as err:
        raise PublicationFailed(f"could not {attempt}: {err}") from err
