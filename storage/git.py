"""Recording the issues in Git, beside the user's own work and without touching it.

The issues go onto a ref of their own by plumbing: HEAD, the index and the work tree stay as they
are, nothing is fetched or pushed, and no hook runs (`storage.gitrunner` sees to that). A ref is
moved only from where it was read, so two programs that record at once cannot lose a commit.

Everything here blocks: one thread owns a `Repository` and calls it.
"""

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import git

from storage import regular
from storage.errors import GitError, GitTimeout, RefMoved, UnsafePath
from storage.gitdir import GitDir, find_git_dir
from storage.gitrunner import COMMIT_ID, FILE, REF, Runner, as_file, checked, reading

ISSUES_REF = "refs/beadflow/issues"
ISSUES_FILE = "issues.jsonl"
DEADLINE_S = 60.0

_NOTHING = "0" * 40


class Repository:
    """One repository, seen from one work tree. Close it: it keeps a Git process for reading."""

    def __init__(self, where: GitDir, *, deadline_s: float = DEADLINE_S) -> None:
        self.where = where
        self._runner = Runner(where, deadline_s=deadline_s)
        self._run = self._runner.run

    @classmethod
    def discover(cls, path: Path, *, deadline_s: float = DEADLINE_S) -> "Repository | None":
        """Opens the repository that `path` lies in: a work tree, a linked one, or a bare one.

        Raises:
            UnsafePath: it belongs to another user.
        """
        where = find_git_dir(path)
        return cls(where, deadline_s=deadline_s) if where else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._runner.close()

    def head_commit(self) -> str | None:
        """Gives the id of the commit that HEAD is at, or None before the first commit."""
        return self._resolve("HEAD")

    def commit_at(self, ref: str = ISSUES_REF) -> str | None:
        """Gives the id of the commit that a ref is at, or None when there is no such ref."""
        return self._resolve(checked(REF, ref, "ref"))

    def tracks(self, path: Path) -> bool:
        """Says whether a file (relative to the work tree, or inside it) is in HEAD's commit."""
        base = self.where.work_tree or self.where.git_dir
        inside = os.path.relpath(base / path, base)
        if inside.startswith(".."):
            raise UnsafePath(path, f"it is not inside {base}")
        head = self.head_commit()
        return head is not None and self._blob(head, inside) is not None

    def read(self, ref: str = ISSUES_REF, filename: str = ISSUES_FILE) -> bytes | None:
        """Reads a file as of the commit a ref is at; None when the ref or the file is missing."""
        name = checked(FILE, filename, "file name")
        commit = self.commit_at(ref)
        blob = self._blob(commit, name) if commit else None
        if blob is None:
            return None
        with reading(f"read {ref}"):
            return bytes(blob.data_stream.read())

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

    def exclude(self, pattern: str) -> bool:
        """Adds a line to the repository's own ignore list, `info/exclude`; False if it is there."""
        if not pattern.strip() or "\n" in pattern:
            raise GitError("exclude", f"{pattern!r} is not one pattern")
        info = self.where.common_dir / "info"
        info.mkdir(exist_ok=True)
        if info.is_symlink():
            raise UnsafePath(info, "it is a symbolic link")
        file = info / "exclude"
        lines = _lines(file)
        if pattern in lines:
            return False
        _replace(file, "".join(f"{line}\n" for line in (*lines, pattern)))
        return True

    def _store(self, content: bytes | Path) -> str:
        with regular.reading(content) if isinstance(content, Path) else as_file(content) as stream:
            return self._run("hash-object", "-w", "--stdin", stdin=stream)

    def _advance(self, ref: str, filename: str, blob: str, message: str) -> str | None:
        parent = self.commit_at(ref)
        if parent and self._is_symbolic(ref):
            raise UnsafePath(ref, "it is a symbolic ref, so it would move another ref's branch")
        entries = self._entries(parent) if parent else {}
        entry = f"100644 blob {blob}"
        if entries.get(filename) == entry:
            return None
        commit = self._commit({**entries, filename: entry}, parent, message)
        self._move(ref, commit, parent)
        return commit

    def _commit(self, entries: dict[str, str], parent: str | None, message: str) -> str:
        listing = "".join(f"{entry}\t{name}\0" for name, entry in sorted(entries.items()))
        with as_file(listing.encode()) as stream:
            tree = self._run("mktree", "-z", stdin=stream)
        parents = ("-p", parent) if parent else ()
        with as_file(message.encode()) as stream:
            return self._run("commit-tree", tree, *parents, "-F", "-", stdin=stream, as_us=True)

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

    def _entries(self, commit: str) -> dict[str, str]:
        with reading(f"read {commit}"):
            tree = git.Commit(self._runner.repo, bytes.fromhex(commit)).tree
            return {str(o.name): f"{o.mode:06o} {o.type} {o.hexsha}" for o in tree}

    def _blob(self, commit: str, path: str) -> git.Blob | None:
        with reading(f"read {commit}:{path}"):
            try:
                found = git.Commit(self._runner.repo, bytes.fromhex(commit)).tree / path
            except KeyError:
                return None
            return found if isinstance(found, git.Blob) else None


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
