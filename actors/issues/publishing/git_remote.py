"""The thread that waits for the network, and reads Git's past.

Either may take minutes, so they are kept from the Git worker, whom every flush needs. What is
fetched are objects; it is the Git worker who moves refs.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from actors.breakers import Breakers, Tolerance
from actors.errors import NotFound
from actors.issues.messages import PublicationFailed
from actors.issues.publishing.sync_messages import (
    SCAN,
    Fetched,
    FetchIssues,
    IssuePast,
    IssueVersion,
    NoRemote,
    PushIssues,
    ReadPast,
    RemoteUnavailable,
    SyncRefused,
)
from storage.errors import GitTimeout, PushRejected, RemoteFailed, StorageError
from storage.git import HEAD, ISSUES_FILE, ISSUES_REF, Repository, Version, tracking_ref
from storage.gitrunner import Interrupt
from storage.issues import instants, jsonl
from storage.issues.checks import BadLineError
from storage.issues.file import PUBLISHED
from storage.issues.jsonl import Row
from supervision import BlockingActor

_REASONS: Final = {
    "denied": "does not let us in: check the credential helper or the ssh key of your own"
    " Git configuration",
    "rejected": "does not take what is pushed",
    "unreachable": "cannot be reached",
    "protocol": "has a URL that is not used",
}


TOLERANCE: Final = Tolerance(failures=3, window_s=600.0, reset_s=30.0)
"""A person who tries again by hand is slow, and a transport may take two minutes to fail."""


class GitRemote(BlockingActor):
    """Answers `FetchIssues`, `PushIssues` and `ReadPast`.

    Args:
        mode: says "ref" or "branch", where the past is; or "off", to leave Git alone.
        repository: the work tree.
        interrupt: what ends a transport when the system stops.
        breakers: where each remote has a circuit, `git:NAME`: one that cannot be reached is left
            alone for a while (`CircuitOpen`).
    """

    def __init__(
        self,
        mode: Callable[[], str],
        repository: Path,
        interrupt: Interrupt | None = None,
        breakers: Breakers | None = None,
    ) -> None:
        super().__init__()
        self._breakers = breakers or Breakers()
        self._interrupt = interrupt
        self._mode = mode
        self._where = repository

    def on_receive(self, message: object) -> object:
        match message:
            case FetchIssues():
                return self._fetch(message)
            case PushIssues():
                return self._push(message)
            case ReadPast():
                return self._read_past(message)
            case _:
                return super().on_receive(message)

    def _fetch(self, message: FetchIssues) -> Fetched:
        repository = self._opened()
        with _as_refusal("read the remotes", "configuration"):
            remote = _chosen(message.remote, repository.remotes())
        with _as_refusal("fetch", remote), self._guarding(remote, "fetch"):
            met = repository.commit_at(tracking_ref(remote)) is not None
            return Fetched(remote=remote, commit=repository.fetch(remote), met=met)

    def _push(self, message: PushIssues) -> bool:
        repository = self._opened()
        with _as_refusal("push", message.remote):
            try:
                with self._guarding(message.remote, "push"):
                    repository.push(message.remote, message.commit, expected=message.expected)
            except PushRejected:
                return False
        return True

    def _guarding(self, remote: str, endpoint: str) -> AbstractContextManager[None]:
        return self._breakers.of(f"git:{remote}", TOLERANCE).guarding(endpoint, _is_away)

    def _read_past(self, message: ReadPast) -> IssuePast:
        repository = self._opened()
        in_branch = self._mode() == "branch"
        revision = message.before or (HEAD if in_branch else ISSUES_REF)
        path = PUBLISHED.as_posix() if in_branch else ISSUES_FILE
        with _as_refusal("read the past", message.issue_id):
            if message.before is not None and not repository.has_commit(message.before):
                raise NotFound(
                    f"there is no commit {message.before} in this repository",
                    hint="leave `before` out to begin at the newest one",
                )
            past = repository.versions(message.issue_id, revision=revision, path=path, scan=SCAN)
            versions = [_told(version) for version in past.versions]
        return IssuePast(versions=tuple(versions), next_before=past.next)

    def _opened(self) -> Repository:
        if self._mode() == "off":
            raise SyncRefused("there is no Git repository, or git_mode is off")
        with _as_refusal("open", str(self._where)):
            found = Repository.discover(self._where, interrupt=self._interrupt)
        if found is None:
            raise SyncRefused(f"there is no Git repository at {self._where} any more")
        return found


def _is_away(error: Exception) -> bool:
    """Whether the remote failed; one that refuses us, or what is ours, does not."""
    if isinstance(error, RemoteFailed):
        return error.reason == "unreachable"
    return isinstance(error, GitTimeout)


def _chosen(wanted: str | None, there: Iterable[str]) -> str:
    names = sorted(there)
    if wanted is None and "origin" in names:
        return "origin"
    if wanted is None and len(names) == 1:
        return names[0]
    known = ", ".join(names) or "none: `git remote add origin URL` adds one"
    if wanted is None:
        raise NoRemote(f"which remote is meant? There are: {known}")
    if wanted not in names:
        raise NoRemote(f"there is no remote {wanted}. There are: {known}")
    return wanted


def _told(version: Version) -> IssueVersion:
    after, before = _row(version.line), _row(version.before[0] if version.before else None)
    names = {name for name in after.keys() | before.keys() if after.get(name) != before.get(name)}
    kind = "removed" if version.line is None else "changed" if before else "created"
    return IssueVersion(
        commit=version.commit,
        at=_moment(version.at_s),
        author=version.author,
        email=version.email,
        kind=kind,
        fields=tuple(sorted(names)),
        status=after.get("status"),
        title=after.get("title") or before.get("title") or "",
    )


def _moment(at_s: int) -> str:
    try:
        return instants.from_datetime(datetime.fromtimestamp(at_s, UTC))
    except (OverflowError, ValueError, OSError):
        return instants.ZERO


def _row(line: bytes | None) -> Row:
    if line is None:
        return {}
    try:
        return jsonl.parse(line)
    except BadLineError:
        return {}


@contextmanager
def _as_refusal(attempt: str, what: str) -> Iterator[None]:
    try:
        yield
    except RemoteFailed as err:
        why = _REASONS.get(err.reason, "cannot be used")
        raise RemoteUnavailable(f"{what} {why}: {err.detail}") from err
    except GitTimeout as err:
        raise RemoteUnavailable(f"{what} did not come to an end: {err}") from err
    except (OSError, StorageError) as err:
        raise PublicationFailed(f"could not {attempt} ({what}): {err}") from err
