"""Recording the issues in Git, beside the user's own work and without touching it.

The issues go onto a ref of their own by plumbing: HEAD, the index and the work tree stay as they
are, and no hook runs (`storage.gitrunner` sees to that). A ref is moved only from where it was
read, so two programs that record at once cannot lose a commit. Nothing is fetched or pushed unless
it is asked for (`storage.gitremote`).

On the user's own branch one file is committed, when it is asked for. Its entry in the user's index
is set first: a commit beneath an index that still holds the file of before would show as a change
that takes the new one back. Cut off in between, the file merely stands in the index, as after `git
add`. Every other entry stays as it is, and so does the work tree.

Everything here blocks: one thread owns a `Repository` and calls it.
"""

import json
import os
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from storage import regular
from storage.errors import (
    BranchBusy,
    GitError,
    GitTimeout,
    RefMoved,
    RemoteFailed,
    UnsafePath,
)
from storage.gitdir import GitDir, find_git_dir
from storage.gitremote import REMOTE, Remotes
from storage.gitrunner import COMMIT_ID, FILE, REF, Interrupt, Runner, as_file, checked

ISSUES_REF = "refs/beadflow/issues"
ISSUES_FILE = "issues.jsonl"
DEADLINE_S = 60.0
TRANSPORT_DEADLINE_S: Final = 120.0
HEAD: Final = "HEAD"

_NOTHING = "0" * 40
_BUSY: Final = {
    "MERGE_HEAD": "a merge is",
    "CHERRY_PICK_HEAD": "a cherry-pick is",
    "REVERT_HEAD": "a revert is",
    "rebase-merge": "a rebase is",
    "rebase-apply": "a rebase, or `git am`, is",
}
_BLOB = re.compile(r"100[0-7]{3} blob ([0-9a-f]{40})")
_SUBTREE = re.compile(r"040000 tree ([0-9a-f]{40})")
_ID = re.compile(rb'^\{"id":("(?:[^"\\]|\\.)*")', re.MULTILINE)
_CONFIG_KEY = re.compile(r"[A-Za-z][A-Za-z0-9.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One commit and the line that it has at an issue; None where it has none.

    `before` are the lines its parents have.
    """

    commit: str
    author: str
    email: str
    at_s: int
    line: bytes | None
    before: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """`next` is the newest commit that was not looked at; None where there is no older one."""

    versions: tuple[Version, ...]
    next: str | None


def tracking_ref(remote: str) -> str:
    """Names the ref that says where a remote's issues were last seen."""
    return f"refs/beadflow/remotes/{checked(REMOTE, remote, 'name of a remote')}/issues"


class Repository:
    """One repository, seen from one work tree. A context manager, though nothing stays open."""

    def __init__(
        self,
        where: GitDir,
        *,
        deadline_s: float = DEADLINE_S,
        interrupt: Interrupt | None = None,
    ) -> None:
        self.where = where
        self._runner = Runner(where, deadline_s=deadline_s, interrupt=interrupt)
        self._run = self._runner.run
        transports = Runner(where, deadline_s=TRANSPORT_DEADLINE_S, interrupt=interrupt)
        self._remotes = Remotes(where, transports)

    @classmethod
    def discover(
        cls,
        path: Path,
        *,
        deadline_s: float = DEADLINE_S,
        interrupt: Interrupt | None = None,
    ) -> "Repository | None":
        """Opens the repository that `path` lies in: a work tree, a linked one, or a bare one.

        Raises:
            UnsafePath: it belongs to another user.
        """
        where = find_git_dir(path)
        return cls(where, deadline_s=deadline_s, interrupt=interrupt) if where else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace

    def head_commit(self) -> str | None:
        """Gives the id of the commit that HEAD is at, or None before the first commit."""
        return self._resolve("HEAD")

    def commit_at(self, ref: str = ISSUES_REF) -> str | None:
        """Gives the id of the commit that a ref is at, or None when there is no such ref."""
        return self._resolve(checked(REF, ref, "ref"))

    def has_commit(self, commit: str) -> bool:
        """Says whether a commit is here, on a ref or not."""
        with as_file(f"{checked(COMMIT_ID, commit, 'SHA-1 commit id')}\n".encode()) as name:
            said = self._run("cat-file", "--batch-check", stdin=name)
        return said.split(" ")[1:2] == ["commit"]

    def tracks(self, path: Path) -> bool:
        """Says whether a file (relative to the work tree, or inside it) is in HEAD's commit."""
        inside = self._inside(path)
        head = self.head_commit()
        return head is not None and self._blob(head, inside) is not None

    def removed(self, path: Path, content: bytes, ids: Collection[str], *, scan: int) -> set[str]:
        """Tells which issues were taken out of a tracked file that now holds `content`.

        All of them, where no version in the repository is this one: somebody edited the file. In
        the file of HEAD's commit those are that one of the `scan` commits before it still had. Any
        other version was only checked out, and lost nothing.
        """
        inside, head = self._inside(path), self.head_commit()
        with as_file(content) as stream:
            blob = self._run("hash-object", "--stdin", stdin=stream)
        if head is None or self._blob(head, inside) != blob:
            with as_file(f"{blob}\n".encode()) as name:
                said = self._run("cat-file", "--batch-check", stdin=name)
            return set() if said.split(" ")[1:2] == ["blob"] else set(ids)
        commits = [one.commit for one in self._past(head, inside, scan)]
        return set(ids) & self._ids_in(commits, inside)

    def _ids_in(self, commits: Sequence[str], path: str) -> set[str]:
        found: set[str] = set()
        wanted = "".join(f"{commit}:{path}\n" for commit in commits).encode()
        with (
            as_file(wanted) as names,
            self._runner.stream("cat-file", "--batch", "--buffer", stdin=names) as output,
        ):
            for _ in commits:
                facts = output.readline().split()
                if facts[1:2] == [b"blob"]:
                    data = output.take(int(facts[2]) + 1)
                    found |= {json.loads(each) for each in _ID.findall(data)}
        return found

    def read(self, ref: str = ISSUES_REF, filename: str = ISSUES_FILE) -> bytes | None:
        """Reads a file as of the commit a ref is at; None when the ref or the file is missing."""
        name = checked(FILE, filename, "file name")
        commit = self.commit_at(ref)
        return self.read_at(commit, name) if commit else None

    def read_at(self, commit: str, filename: str = ISSUES_FILE) -> bytes | None:
        """Reads a file as of a commit; None when it is not in there."""
        blob = self._blob(checked(COMMIT_ID, commit, "SHA-1 commit id"), filename)
        return self._runner.read("cat-file", "blob", blob) if blob else None

    def record(
        self,
        content: bytes | Path,
        message: str,
        *,
        ref: str = ISSUES_REF,
        filename: str = ISSUES_FILE,
    ) -> str | None:
        """Commits `content` as `filename` on top of a ref, keeping the other files it has.

        Returns: the new commit's id, or None when the ref had this very content already.

        Raises:
            RefMoved: someone else moved the ref meanwhile, and again when it was tried anew.
            GitError: a command failed. Nothing but unreferenced objects is left behind.
        """
        checked(FILE, filename, "file name")
        blob = self._store(content)
        try:
            return self._advance(ref, filename, blob, message)
        except RefMoved:
            return self._advance(ref, filename, blob, message)

    def maintain(self, ref: str = ISSUES_REF) -> None:
        """Packs the loose objects of one ref; those of the user's branches are left alone.

        Recording leaves one compressed copy of the file per commit; packed, all but one become
        deltas. Each version differs little from the one before, so a wider window costs time for
        no smaller pack. A kill in the middle leaves a temporary file that Git's own gc removes.
        """
        if self.commit_at(ref) is None:
            return
        pack = self.where.common_dir / "objects" / "pack" / "pack"
        limits = ("--threads=1", "--window=2", "--depth=50", "--window-memory=256m")
        with as_file(f"{ref}\n".encode()) as revisions:
            self._run(
                "pack-objects",
                *("--revs", "--unpacked", "--incremental", "--non-empty", "--quiet"),
                *limits,
                str(pack),
                stdin=revisions,
            )
        self._run("prune-packed", "--quiet")

    def merge(
        self, content: bytes | Path, theirs: str, message: str, *, ref: str = ISSUES_REF
    ) -> str:
        """Records what became of ours and theirs, so that both are in the ref's past.

        Where the ref had nothing that theirs does not have, and `content` is theirs, the ref is
        moved there, and no commit is made: two clones that follow each other come to rest.

        Returns: the commit the ref is at then.

        Raises: as `record`.
        """
        checked(COMMIT_ID, theirs, "SHA-1 commit id")
        blob = self._store(content)
        try:
            return self._join(ref, blob, theirs, message)
        except RefMoved:
            return self._join(ref, blob, theirs, message)

    def _join(self, ref: str, blob: str, theirs: str, message: str) -> str:
        tip = self._tip(ref)
        bases = self.merge_bases(tip, theirs) if tip else ()
        if tip is not None and theirs in bases:
            return self._advance(ref, ISSUES_FILE, blob, message) or tip
        follows = tip is None or tip in bases
        entries = self._entries(theirs if follows or tip is None else tip)
        entry = f"100644 blob {blob}"
        if follows and entries.get(ISSUES_FILE) == entry:
            self._move(ref, theirs, tip)
            return theirs
        parents = (theirs,) if follows or tip is None else (tip, theirs)
        commit = self._commit({**entries, ISSUES_FILE: entry}, parents, message)
        self._move(ref, commit, tip)
        return commit

    def adopt_commit(self, commit: str, *, ref: str) -> None:
        """Moves one of our own refs to a commit, wherever it was before."""
        checked(COMMIT_ID, commit, "SHA-1 commit id")
        self._move(ref, commit, self._tip(ref))

    def merge_bases(self, commit: str, *others: str) -> tuple[str, ...]:
        """Gives the best common ancestors of a commit and a merge of the others, sorted."""
        for one in (commit, *others):
            checked(COMMIT_ID, one, "SHA-1 commit id")
        found = self._run("merge-base", "--all", commit, *others, silent_no=True)
        return tuple(sorted(found.split()))

    def remotes(self) -> dict[str, str]:
        """Gives the URL of every remote that the repository's configuration names."""
        found = self._configured(r"^remote\..*\.url$")
        urls: dict[str, str] = {}
        for key, url in found:
            name = key.removeprefix("remote.").removesuffix(".url")
            if REMOTE.fullmatch(name):
                urls.setdefault(name, url)
        return urls

    def fetch(self, remote: str, ref: str = ISSUES_REF) -> str | None:
        """Brings a remote's ref here, as objects: no ref of this repository moves.

        Returns: its commit, or None where the remote has no such ref.

        Raises:
            RemoteFailed: there is no such remote, or it cannot be used.
            GitTimeout: it did not come to an end.
        """
        here = {name: self.commit_at(name) for name in (ref, tracking_ref(remote))}
        have = {name: commit for name, commit in here.items() if commit}
        return self._remotes.fetch(self._url(remote), ref, have=have)

    def push(
        self, remote: str, commit: str, *, expected: str | None, ref: str = ISSUES_REF
    ) -> None:
        """Moves a remote's ref from the commit it was seen at (None: it was not there) to ours.

        Raises:
            PushRejected: it is no longer there.
            RemoteFailed: as for `fetch`.
        """
        pushed = dict(self._configured(rf"^remote\.{re.escape(remote)}\.pushurl$"))
        url = next(iter(pushed.values()), None) or self._url(remote)
        self._remotes.push(url, ref, commit, expected=expected)

    def commit_on_branch(self, content: bytes | Path, path: Path, message: str) -> str | None:
        """Commits `content` as the file at `path` on HEAD's branch, and in the index.

        Nothing else of the branch, the index or the work tree changes. The entry is set whatever
        the user had staged of that file: what they staged is older than what is committed.

        Returns: the new commit, or None when the branch had this very content already.

        Raises:
            BranchBusy: HEAD is on no branch, something is under way, or the index is locked.
            RefMoved: the branch moved meanwhile, and again when it was tried anew.
        """
        inside = self._inside(path)
        self._refuse_busy()
        blob = self._store(content)
        try:
            return self._commit_one(inside, blob, message)
        except RefMoved:
            return self._commit_one(inside, blob, message)

    def _commit_one(self, path: str, blob: str, message: str) -> str | None:
        head = self.head_commit()
        if head is not None and self._blob(head, path) == blob:
            return None
        self._stage(path, blob)
        tree = self._with_file(head, path.split("/"), blob)
        commit = self._commit_tree(tree, (head,) if head else (), message)
        try:
            args = ("-m", f"commit: {message}", HEAD, commit, head or _NOTHING)
            self._run("update-ref", *args, as_us=True)
        except GitTimeout:
            raise
        except GitError as err:
            raise RefMoved(HEAD, head, err.detail) from err
        return commit

    def _stage(self, path: str, blob: str) -> None:
        try:
            self._run("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        except GitTimeout:
            raise
        except GitError as err:
            raise BranchBusy(f"the index cannot be written: {err.detail}") from err

    def _with_file(self, tree: str | None, path: Sequence[str], blob: str) -> str:
        """Makes the tree that has one file more, or anew; every other entry stays."""
        entries = self._entries(tree) if tree else {}
        name, *rest = path
        if rest:
            below = _SUBTREE.fullmatch(entries.get(name, ""))
            entries[name] = f"040000 tree {self._with_file(below and below[1], rest, blob)}"
        else:
            entries[name] = f"100644 blob {blob}"
        return self._tree(entries)

    def _refuse_busy(self) -> None:
        if self.where.work_tree is None:
            raise BranchBusy("a bare repository has no branch that is worked on")
        if not self._is_symbolic(HEAD):
            raise BranchBusy("HEAD is on no branch: check one out first")
        for name, what in _BUSY.items():
            if (self.where.git_dir / name).exists():
                raise BranchBusy(f"{what} under way: finish it first")

    def versions(self, issue_id: str, *, revision: str, path: str, scan: int) -> "Past":
        """Reads the commits behind a ref, newest first, that changed what a file has on an issue.

        At most `scan` commits are looked at, from `revision` on: a ref, HEAD, or a commit id.

        Raises:
            GitError: the past cannot be read.
        """
        if not COMMIT_ID.fullmatch(revision) and revision != HEAD:
            checked(REF, revision, "ref")
        start = self._resolve(revision)
        commits = self._past(start, path, scan + 1) if start else []
        judged = commits[:scan]
        needed = [name for commit in judged for name in (commit.commit, *commit.parents)]
        lines = self._lines_of(issue_id, tuple(dict.fromkeys(needed)), path)
        versions = (_version(commit, lines) for commit in judged)
        return Past(
            versions=tuple(version for version in versions if version is not None),
            next=commits[scan].commit if len(commits) > scan else None,
        )

    def _past(self, start: str, path: str, count: int) -> list["_Commit"]:
        wanted = "--format=%at%x00%an%x00%ae"
        args = ("--topo-order", f"--max-count={count}", "--encoding=UTF-8", wanted, "--parents")
        said = self._run("rev-list", *args, start, "--", path).split("\n")
        pairs = zip(said[::2], said[1::2], strict=False)
        return [_commit_of(heading, facts) for heading, facts in pairs]

    def _lines_of(
        self, issue_id: str, commits: Sequence[str], path: str
    ) -> dict[str, bytes | None]:
        """Reads the files one after the other; only one is held at a time."""
        found: dict[str, bytes | None] = {}
        mark = b'{"id":' + json.dumps(issue_id, ensure_ascii=False).encode()
        known: dict[str, bytes | None] = {}
        wanted = "".join(f"{commit}:{path}\n" for commit in commits).encode()
        with (
            as_file(wanted) as names,
            self._runner.stream("cat-file", "--batch", "--buffer", stdin=names) as output,
        ):
            for commit in commits:
                blob, *facts = output.readline().decode("utf-8", "replace").split()
                if len(facts) != len(("type", "size")) or facts[0] != "blob":
                    found[commit] = None
                    continue
                data = output.take(int(facts[1]) + 1)
                if blob not in known:
                    known[blob] = _line_with(data, mark)
                found[commit] = known[blob]
        return found

    def configure(self, key: str, value: str | None) -> bool:
        """Sets a key of the repository's configuration, or removes it; False if it is so already.

        Raises:
            UnsafePath: the configuration is a link: it is not this repository's alone.
        """
        checked(_CONFIG_KEY, key, "key")
        present = self._run("config", "--local", "--get", key, silent_no=True)
        if present == (value or ""):
            return False
        if (self.where.common_dir / "config").is_symlink():
            raise UnsafePath(self.where.common_dir / "config", "it is a symbolic link")
        if value is None:
            self._run("config", "--local", "--unset-all", key)
        else:
            self._run("config", "--local", "--replace-all", key, value)
        return True

    def exclude(self, pattern: str) -> bool:
        """Adds a line to the repository's own ignore list, `info/exclude`; False if it is there."""
        return self._add_line("exclude", pattern)

    def include(self, pattern: str) -> bool:
        """Takes a line out of `info/exclude` again; False if it is not there."""
        return self._remove_line("exclude", pattern)

    def attribute(self, line: str) -> bool:
        """Adds a line to the repository's own attributes, `info/attributes`."""
        return self._add_line("attributes", line)

    def without_attribute(self, line: str) -> bool:
        return self._remove_line("attributes", line)

    def _add_line(self, name: str, line: str) -> bool:
        if not line.strip() or "\n" in line:
            raise GitError(name, f"{line!r} is not one pattern")
        info = self.where.common_dir / "info"
        info.mkdir(exist_ok=True)
        if info.is_symlink():
            raise UnsafePath(info, "it is a symbolic link")
        file = info / name
        lines = _lines(file)
        if line in lines:
            return False
        _replace(file, "".join(f"{there}\n" for there in (*lines, line)))
        return True

    def _remove_line(self, name: str, line: str) -> bool:
        info = self.where.common_dir / "info"
        lines = _lines(info / name)
        if line not in lines:
            return False
        if info.is_symlink():
            raise UnsafePath(info, "it is a symbolic link")
        _replace(info / name, "".join(f"{there}\n" for there in lines if there != line))
        return True

    def _inside(self, path: Path) -> str:
        base = self.where.work_tree or self.where.git_dir
        inside = os.path.relpath(base / path, base)
        if inside.startswith(".."):
            raise UnsafePath(path, f"it is not inside {base}")
        return inside

    def _url(self, remote: str) -> str:
        url = self.remotes().get(checked(REMOTE, remote, "name of a remote"))
        if url is None:
            raise RemoteFailed("remote", f"there is no remote {remote}", reason="unknown")
        return url

    def _configured(self, pattern: str) -> list[tuple[str, str]]:
        said = self._run("config", "--local", "--null", "--get-regexp", pattern, silent_no=True)
        entries = (entry.partition("\n") for entry in said.split("\0") if entry)
        return [(key, value) for key, _, value in entries]

    def _store(self, content: bytes | Path) -> str:
        with regular.reading(content) if isinstance(content, Path) else as_file(content) as stream:
            return self._run("hash-object", "-w", "--stdin", stdin=stream)

    def _advance(self, ref: str, filename: str, blob: str, message: str) -> str | None:
        parent = self._tip(ref)
        entries = self._entries(parent) if parent else {}
        entry = f"100644 blob {blob}"
        if entries.get(filename) == entry:
            return None
        parents = (parent,) if parent else ()
        commit = self._commit({**entries, filename: entry}, parents, message)
        self._move(ref, commit, parent)
        return commit

    def _tip(self, ref: str) -> str | None:
        tip = self.commit_at(ref)
        if tip and self._is_symbolic(ref):
            raise UnsafePath(ref, "it is a symbolic ref, so it would move another ref's branch")
        return tip

    def _commit(self, entries: Mapping[str, str], parents: Sequence[str], message: str) -> str:
        return self._commit_tree(self._tree(entries), parents, message)

    def _tree(self, entries: Mapping[str, str]) -> str:
        listing = "".join(f"{entry}\t{name}\0" for name, entry in sorted(entries.items()))
        with as_file(listing.encode("utf-8", "surrogateescape")) as stream:
            return self._run("mktree", "--missing", "-z", stdin=stream)

    def _commit_tree(self, tree: str, parents: Sequence[str], message: str) -> str:
        past = [part for parent in parents for part in ("-p", parent)]
        with as_file(message.encode()) as stream:
            return self._run("commit-tree", tree, *past, "-F", "-", stdin=stream, as_us=True)

    def _move(self, ref: str, commit: str, expected: str | None) -> None:
        """Moves the ref if it is where we read it; a symbolic ref is replaced, not followed."""
        try:
            self._run(
                "update-ref",
                *("--no-deref", "-m", "beadflow: record"),
                *(ref, commit, expected or _NOTHING),
                as_us=True,
            )
        except GitTimeout:
            raise
        except GitError as err:
            raise RefMoved(ref, expected, err.detail) from err

    def _is_symbolic(self, ref: str) -> bool:
        return bool(self._run("symbolic-ref", "--quiet", ref, silent_no=True))

    def _resolve(self, name: str) -> str | None:
        # Without ^{commit}: a ref whose commit is missing is damage, not an absent ref.
        found = self._run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", name, silent_no=True
        )
        return checked(COMMIT_ID, found, "SHA-1 commit id") if found else None

    def _entries(self, tree: str, *paths: str) -> dict[str, str]:
        said = self._run("ls-tree", "-z", "--full-tree", tree, *(("--", *paths) if paths else ()))
        entries = (entry.partition("\t") for entry in said.split("\0") if entry)
        return {name: entry for entry, _, name in entries}

    def _blob(self, commit: str, path: str) -> str | None:
        found = _BLOB.fullmatch(self._entries(commit, path).get(path, ""))
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class _Commit:
    commit: str
    parents: tuple[str, ...]
    at_s: int
    author: str
    email: str


def _commit_of(heading: str, facts: str) -> _Commit:
    """Reads what rev-list says of one commit: its id and parents as they are left by the path."""
    _, commit, *parents = heading.split()
    at, author, email = facts.split("\0")
    return _Commit(commit, tuple(parents), int(at or 0), author, email)


def _line_with(data: bytes, mark: bytes) -> bytes | None:
    start = 0 if data.startswith(mark) else data.find(b"\n" + mark) + 1
    if not start and not data.startswith(mark):
        return None
    end = data.find(b"\n", start)
    return data[start:] if end < 0 else data[start:end]


def _version(commit: _Commit, lines: Mapping[str, bytes | None]) -> Version | None:
    line = lines.get(commit.commit)
    before = tuple(lines.get(parent) for parent in commit.parents)
    if line in before or (not before and line is None):
        return None
    return Version(
        commit=commit.commit,
        author=commit.author,
        email=commit.email,
        at_s=commit.at_s,
        line=line,
        before=before,
    )


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


def _replace(file: Path, text: str) -> None:
    """Writes a file anew and renames it into place: whole or not at all, and never via a link."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
