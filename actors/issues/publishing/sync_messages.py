"""What may be asked about other clones: to meet them, and what Git remembers of an issue."""

from dataclasses import dataclass

from actors.writer import Command
from supervision import Ask, Refused

# --- for everybody, answered by the sync actor ---------------------------------------------------


class SyncRefused(Refused):
    """The clones cannot meet as things are; nothing was changed on either side."""

    code = "sync_refused"
    status = 409
    retryable = False
    hint = "read what the message says; `beadflow init` prepares a repository for its issues"


class NoRemote(SyncRefused):
    """There is no such remote, or none can be chosen."""

    code = "no_remote"
    hint = "name one that `git remote -v` lists, or add it: `git remote add NAME URL`"


class RemoteUnavailable(SyncRefused):
    """The remote cannot be reached, does not let us in, or does not take what is pushed."""

    code = "remote_unavailable"
    status = 503
    retryable = True
    hint = "check its URL and your access with `git ls-remote NAME`, then sync again"


class Unrelated(SyncRefused):
    """The remote's issues have no past in common with ours, although we have met it before."""

    code = "unrelated_histories"
    hint = "check the remote's URL; to merge both all the same, sync with --allow-unrelated"


class Contended(SyncRefused):
    """Somebody else pushed each time. What came is merged here; ours is not there yet."""

    code = "sync_contended"
    retryable = True
    hint = "sync again when there is less going on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An issue that one side lacks or has otherwise: "new", "changed" or "removed" there."""

    issue_id: str
    kind: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What came and what went; at a dry run what would.

    Args:
        mode: "ref", or "branch", where nothing is fetched or pushed.
        remote: its name; None in branch mode.
        incoming: issues that change here, `outgoing`: there. At most `SHOWN` of each are listed.
        commit: where our ref (in branch mode the branch) is now; None where nothing was recorded.
        pushed: whether the remote's ref was moved.
        attempts: how often it was fetched, because somebody else pushed meanwhile.
        quarantined: lines of the remote's file that could not be read; they are kept beside ours.
        renamed: issues whose id another issue has, too: the old id and the new one.
    """

    mode: str
    remote: str | None
    dry_run: bool
    incoming: tuple[Difference, ...]
    outgoing: tuple[Difference, ...]
    incoming_count: int
    outgoing_count: int
    commit: str | None
    pushed: bool
    attempts: int
    quarantined: int
    renamed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncIssues(Ask[Synced]):
    """Meet a remote: fetch, merge, push. In branch mode: commit the file on the current branch.

    It can be repeated: what was done is not done again. Refused with `SyncRefused`, and with
    `PublicationFailed` where the file or the repository cannot be used.

    Args:
        remote: its name; None takes origin, or the only one there is.
        dry_run: tell what would come and go, and change nothing.
        allow_unrelated: merge, too, where the remote's issues began anew.
    """

    remote: str | None = None
    dry_run: bool = False
    allow_unrelated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueVersion:
    """One commit that changed an issue.

    Args:
        at: when it was committed, RFC 3339 in UTC.
        kind: "created", "changed" or "removed".
        fields: that are different from what was before.
    """

    commit: str
    at: str
    author: str
    email: str
    kind: str
    fields: tuple[str, ...]
    status: str | None
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuePast:
    """`next_before` goes on with older commits; None at the end."""

    versions: tuple[IssueVersion, ...]
    next_before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPast(Ask[IssuePast]):
    """What Git remembers of an issue, newest first.

    One look reads at most `SCAN` commits; there may be more where it found nothing. Refused with
    `NotFound` where `before` is not here.

    Args:
        before: a commit; only what is older, None begins at the newest.
    """

    issue_id: str
    before: str | None = None


SHOWN = 200
SCAN = 500

# --- for the one who talks to remotes, and for the Git worker ------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """`commit` is None where the remote has no issues yet; `met` says whether we saw it before."""

    remote: str
    commit: str | None
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchIssues(Ask[Fetched]):
    remote: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushIssues(Ask[bool]):
    """False where somebody else moved the remote's ref from `expected`."""

    remote: str
    commit: str
    expected: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Ours and theirs in one.

    Args:
        rows: issues that change here: the id, the line it has here, the line it is to have.
        related: whether the two have a past in common; True where one side has none at all.
        moved: issues of this clone that get another id: the old one and the new one, in order.
        seq: the last change here that the merge saw.
    """

    rows: tuple[tuple[str, str | None, str | None], ...]
    related: bool
    moved: tuple[tuple[str, str], ...]
    seq: int
    incoming: tuple[Difference, ...]
    outgoing: tuple[Difference, ...]
    incoming_count: int
    outgoing_count: int
    quarantined: int
    renamed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCommit(Ask[Merged]):
    """Merge a fetched commit's file with the database's issues, and change nothing.

    Args:
        theirs: None merges nothing, and tells what the remote lacks.
    """

    theirs: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMerge(Ask[str]):
    """Record the database's issues on the ref, with a fetched commit in its past."""

    theirs: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRemote(Ask[None]):
    """Remember where a remote's issues are now."""

    remote: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """`commit` is None when the branch had this very file, or it was a dry run."""

    commit: str | None
    outgoing: tuple[Difference, ...]
    outgoing_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFile(Ask[Committed]):
    """Commit the published file on the current branch."""

    dry_run: bool


# --- for the writer of beads.db ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptMerge(Command[int]):
    """Take in what a merge made of the issues; answers how many changed.

    What was changed here since the merge looked is merged once more, inside the transaction.
    Refused with `Conflict` where a renamed issue was changed meanwhile: merge anew.

    Args:
        rows: id, the line the merge saw here, and the line it made.
        moved: issues that get another id, as `Merged` has them: their claims, and what the merge
            did not see (wisps, and changes after `seq`), follow them.
    """

    rows: tuple[tuple[str, str | None, str | None], ...]
    at: str
    moved: tuple[tuple[str, str], ...] = ()
    seq: int = 0
