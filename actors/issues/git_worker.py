"""The thread that reads, composes and writes the published file, and records it in Git.

Everything about the file that blocks or computes happens here, off the trio thread: hashing
megabytes, comparing thousands of rows, fsync, Git's processes. It decides nothing: the publisher
and the tracker ask step by step, and only the writer of beads.db changes the database, which is
read here through a connection of its own.

What the disk or Git refuses is an answer (`PublicationFailed`), not a crash: the change is safe in
the database and the next attempt finds it there.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from actors.issues.merge import merge_rows
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
from storage.errors import StorageError
from storage.git import ISSUES_REF, Repository
from storage.inline import open_inline
from storage.issues import file, jsonl, published, queries
from storage.issues.jsonl import Row
from storage.issues.published import Loaded
from supervision import BlockingActor

MAINTAIN_AFTER: Final = 100
"""Recordings between two packings of what they left loose."""
MESSAGE: Final = "beadflow: issues"

log = structlog.get_logger("beadflow.issues")


class GitWorker(BlockingActor):
    """Owns the published file and the repository it is recorded in.

    Args:
        database: beads.db, migrated already.
        path: the published file; its directory is made when it is first written.
        repository: where the work tree of the file lies, or None to leave Git alone.
    """

    def __init__(self, database: Path, path: Path, *, repository: Path | None) -> None:
        super().__init__()
        self._database = database
        self._path = path
        self._where = repository
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
            case _:
                return super().on_receive(message)

    def _compose(self) -> Composed:
        with _read_transaction(self._conn):
            lines = queries.all_lines(self._conn)
            seq = queries.last_seq(self._conn)
            known = queries.publication(self._conn)
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
        )

    def _compare(self) -> Outside:
        with _read_transaction(self._conn):
            base = queries.published_lines(self._conn)

        def merge(common: Row | None, first: Row, second: Row) -> Row:
            """Two rows of one issue: what was published is what both sides began with."""
            line = base.get(first["id"])
            known = jsonl.parse(line) if common is None and line is not None else common
            return merge_rows(known, first, second)

        with _as_refusal(f"read {self._path}"):
            data = file.read(self._path)
            loaded = published.load(data or b"", merge)
            side_file = self._path.with_name(file.QUARANTINE_NAME)
            file.keep(side_file, (line.raw for line in loaded.quarantined))
        return Outside(
            sha256=None if data is None else file.sha256_of(data),
            rows=tuple(_differences(base, loaded)),
            quarantined=len(loaded.quarantined),
            duplicates=loaded.duplicates,
            conflict_markers=len(loaded.conflict_markers),
        )

    def _install(self, message: InstallFile) -> bool:
        with _as_refusal(f"write {self._path}"):
            try:
                file.replace(self._path, message.data, expected_sha256=message.expected_sha256)
            except file.FileChangedError:
                return False
        return True

    def _record(self) -> Recorded:
        with _as_refusal("record the issues in Git"):
            repository = self._opened()
            if repository is None or not self._path.exists():
                return Recorded(commit=None)
            commit = repository.record(self._path, MESSAGE)
            if commit is not None:
                self._recordings += 1
                if self._recordings % MAINTAIN_AFTER == 0:
                    repository.maintain()
            return Recorded(commit=commit)

    def _opened(self) -> Repository | None:
        if self._repository is None and self._where is not None:
            found = Repository.discover(self._where)
            if found is not None:
                self._hide(found)
            self._repository = found
        return self._repository

    def _take_from_ref(self) -> None:
        """Puts the file back where neither it nor the database knows any issues any more.

        A database that ever held one knows better, also that there is none left.
        """
        if self._repository is None or self._path.exists() or queries.last_seq(self._conn):
            return
        if data := self._repository.read():
            with suppress(file.FileChangedError):  # somebody has just brought another one
                file.replace(self._path, data, expected_sha256=None)
                log.warning("issues taken from the ref", ref=ISSUES_REF, file=str(self._path))

    def _hide(self, repository: Repository) -> None:
        """Keep the file out of `git status`, unless the user's own branch holds it."""
        tree, place = repository.where.work_tree, self._path.parent.resolve() / self._path.name
        if tree is None or not place.is_relative_to(tree) or repository.tracks(place):
            return
        for name in file.companions(place):
            repository.exclude(f"/{name.relative_to(tree).as_posix()}")

    def _close(self) -> None:
        if self._repository is not None:
            self._repository.close()
        if hasattr(self, "_conn"):
            self._conn.close()


def _differences(base: dict[str, str], loaded: Loaded) -> Iterator[tuple[str, str | None]]:
    """Yield what the file says otherwise than was last published.

    A row that is not there has been removed only where the whole file could be read and holds
    anything at all: an emptied or damaged file removes nothing.
    """
    for issue_id, row in loaded.rows.items():
        line = jsonl.encode_text(row)
        if base.get(issue_id) != line:
            yield issue_id, line
    if loaded.rows and not loaded.quarantined:
        yield from ((issue_id, None) for issue_id in base if issue_id not in loaded.rows)


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
