"""`beadflow init`: prepares a repository, or a fresh clone of one, for keeping issues in it.

Every step is done only where it is not done yet, and says so, so it can be called again and again.
Nothing in the work tree is touched but the issues' own file, where there is none; what Git has to
know goes into the repository's own `info/` and configuration.

It works on files and Git alone: no database is made, no server asked.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from actors.issues import ids
from cli.exits import ExitCode
from cli.output import Output
from cli.paths import PATH
from cli.problem import Problem, usage
from cli.running import Place, place
from storage.agreement import is_new
from storage.arrangement import Arrangement, is_word, mode_of
from storage.errors import GitError, RemoteFailed
from storage.git import ISSUES_REF, Repository, tracking_ref
from storage.issues import file, published
from storage.issues.file import PUBLISHED

_REPO = "The Git repository, or directory; by default the one around the current directory."
_DATA = "Where to keep the databases; by default beadflow/ in the repository's Git directory."
_PREFIX = "What the ids of new issues begin with."
_MODE = "How the issues are kept in Git; by default branch where HEAD holds their file, else ref."
_REMOTE = "Where to fetch the issues from; by default origin, or the only remote."
_TYPE = "A type that issues may have besides the usual ones; may be given several times."
_STATUS = "A status that issues may have besides the usual ones; may be given several times."
_NO_DRIVER = "Leave the merge driver out."
_REMOVE = "Take the merge driver out again, and do nothing else."

_PREFIXES: Final = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")
_PREFIX_LIMIT: Final = 50
DRIVER_KEYS: Final = ("merge.beadflow.name", "merge.beadflow.driver")
ATTRIBUTE: Final = f"/{PUBLISHED.as_posix()} merge=beadflow"

Done = Iterator[tuple[str, str]]


def init(
    *,
    repo: Annotated[Path | None, PATH, Parameter(help=_REPO)] = None,
    data_dir: Annotated[
        Path | None, PATH, Parameter(env_var="WORKFLOW_DATA_DIR", help=_DATA)
    ] = None,
    prefix: Annotated[str | None, Parameter(help=_PREFIX)] = None,
    git_mode: Annotated[Literal["ref", "branch", "off"] | None, Parameter(help=_MODE)] = None,
    issue_type: Annotated[tuple[str, ...], Parameter(negative="", help=_TYPE)] = (),
    issue_status: Annotated[tuple[str, ...], Parameter(negative="", help=_STATUS)] = (),
    remote: Annotated[str | None, Parameter(help=_REMOTE)] = None,
    no_driver: Annotated[bool, Parameter(negative="", show_default=False, help=_NO_DRIVER)] = False,
    remove_driver: Annotated[
        bool, Parameter(negative="", show_default=False, help=_REMOVE)
    ] = False,
    out: Annotated[Output, Parameter(parse=False)],
) -> int:
    """Prepare a repository, or a fresh clone of one, for keeping issues in it.

    In a fresh clone the issues are fetched from the remote and written into their file. It
    can be called again: what is done already stays as it is. HEAD, the index and your own
    files are not touched. It needs the data directory for itself: stop the server first.
    """
    if prefix is not None and not (_PREFIXES.fullmatch(prefix) and len(prefix) <= _PREFIX_LIMIT):
        raise usage("A prefix is letters and digits, with - . _ between them", prefix)
    if odd := [word for word in (*issue_type, *issue_status) if not is_word(word)]:
        raise usage("A type or a status is up to 50 small letters, digits, - and _", odd[0])
    where = place(repo, data_dir)
    _refuse_without_git(where, git_mode, remove_driver=remove_driver)
    with where.data:
        if remove_driver:
            done = dict(_remove_driver(_repository(where)))
        else:
            recorded = Arrangement.read(where.data.path)
            wanted = replace(
                recorded,
                git_mode=mode_of(where.data.git, git_mode or "", recorded.git_mode),
                prefix=prefix or recorded.prefix,
                types=_with(recorded.types, issue_type),
                statuses=_with(recorded.statuses, issue_status),
            )
            done = dict(_prepare(where, recorded, wanted, remote, driver=not no_driver))
    if out.json:
        out.envelope("init", done)
    else:
        out.fields(done)
    return ExitCode.OK


def _refuse_without_git(where: Place, mode: str | None, *, remove_driver: bool) -> None:
    if where.data.git is None and (remove_driver or mode in ("ref", "branch")):
        raise Problem(
            "There is no Git repository",
            str(where.repo),
            code="no_repository",
            exit_code=ExitCode.USAGE,
            hint="make one with `git init`, or leave --git-mode out",
        )


def _repository(where: Place) -> Repository:
    assert where.data.git is not None  # noqa: S101 - refused before
    return Repository(where.data.git)


def _with(there: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*there, *more}))


def _prepare(
    where: Place,
    recorded: Arrangement,
    wanted: Arrangement,
    remote: str | None,
    *,
    driver: bool,
) -> Done:
    mode = wanted.git_mode
    yield "repository", str(where.repo)
    yield "data", str(where.data.path)
    yield "git mode", mode if mode == recorded.git_mode else f"{mode}, now"
    if mode == "ref":
        yield from _fetch(where, remote)
    if where.data.git is not None:
        yield from _hide(where, mode)
        if mode != "off" and driver:
            yield from _install_driver(_repository(where))
    yield from _name(where, recorded, wanted)


def _name(where: Place, recorded: Arrangement, wanted: Arrangement) -> Done:
    """Choose the prefix, and write down what was chosen."""
    path = where.repo / PUBLISHED
    data = file.read(path) or b""
    there = published.load(data, lambda _base, one, _other: one).rows
    chosen = wanted.prefix
    if not chosen and not there:
        chosen = _prefix_of(where)
    arranged = replace(wanted, prefix=chosen)
    if arranged != recorded:
        arranged.write(where.data.path)
    for name, words in (("issue types", arranged.types), ("statuses", arranged.statuses)):
        if words:
            yield name, ", ".join(words)
    yield "prefix", chosen or ids.commonest(ids.prefixes(there)) or ids.FALLBACK_PREFIX
    issues = f"{len(there)} issues" if len(there) != 1 else "1 issue"
    yield "file", f"{path} ({issues})" if data else f"{path}, with the first issue"


def _prefix_of(where: Place) -> str:
    """Name a repository as its remote does: clones lie in directories of any name."""
    name = where.repo.resolve().name
    if where.data.git is not None:
        urls = _repository(where).remotes()
        url = urls.get("origin") or next(iter(urls.values()), "")
        name = PurePosixPath(url.replace(":", "/")).name.removesuffix(".git") or name
    return ids.prefix_from_name(name)


def _fetch(where: Place, remote: str | None) -> Done:
    """Take the issues from the ref, and the ref from the remote, where they are not here."""
    repository, path = _repository(where), where.repo / PUBLISHED
    tip = repository.commit_at()
    if tip is None and not path.exists() and is_new(where.data.path):
        yield "remote", _fetched(repository, remote)
    elif remote is not None:
        yield "remote", "not asked, since there are issues here: `beadflow issue sync` meets it"
    data = repository.read() if not path.exists() and is_new(where.data.path) else None
    if data:
        file.replace(path, data, expected_sha256=None)
        yield "written", f"{path}, from {ISSUES_REF}"


def _fetched(repository: Repository, wanted: str | None) -> str:
    names = sorted(repository.remotes())
    if wanted is not None and wanted not in names:
        raise Problem(
            "There is no such remote",
            f"{wanted}; there are: {', '.join(names) or 'none'}",
            code="no_remote",
            exit_code=ExitCode.NOT_FOUND,
        )
    remote = wanted or ("origin" if "origin" in names else None)
    if remote is None and len(names) != 1:
        return "none" if not names else f"none chosen of {', '.join(names)}: name one by --remote"
    remote = remote or names[0]
    try:
        commit = repository.fetch(remote)
    except (RemoteFailed, GitError) as err:
        if wanted is not None:
            raise
        return f"{remote} was not reached ({_first_line(err)}): `beadflow issue sync` tries again"
    if commit is None:
        return f"{remote} has no issues yet"
    repository.adopt_commit(commit, ref=tracking_ref(remote))
    repository.adopt_commit(commit, ref=ISSUES_REF)
    return f"issues fetched from {remote}"


def _first_line(err: GitError) -> str:
    return err.detail.partition("\n")[0]


def _hide(where: Place, mode: str) -> Done:
    """Keep the file out of `git status` where it is on no branch, and show it where it is to be."""
    repository = _repository(where)
    tree = repository.where.work_tree
    if tree is None or mode == "off":
        return
    path = where.repo / PUBLISHED
    names = [f"/{one.relative_to(tree).as_posix()}" for one in file.companions(path)]
    is_hidden = mode == "ref" and not repository.tracks(path)
    changed = [
        repository.exclude(name) if is_hidden or place_ else repository.include(name)
        for place_, name in enumerate(names)
    ]
    if any(changed):
        yield "excluded", f"in {repository.where.common_dir / 'info' / 'exclude'}"


def _install_driver(repository: Repository) -> Done:
    values = ("issues, merged by beadflow", f"{_program()} merge-driver %O %A %B %P")
    changed = [repository.configure(*pair) for pair in zip(DRIVER_KEYS, values, strict=True)]
    changed.append(repository.attribute(ATTRIBUTE))
    yield "merge driver", "installed" if any(changed) else "as it was"


def _remove_driver(repository: Repository) -> Done:
    changed = [repository.configure(key, None) for key in DRIVER_KEYS]
    changed.append(repository.without_attribute(ATTRIBUTE))
    yield "merge driver", "removed" if any(changed) else "was not there"


def _program() -> str:
    """Name this very program: Git runs the driver wherever and whenever it merges."""
    beside = Path(sys.executable).with_name("beadflow")
    return shlex.quote(str(beside)) if beside.exists() else "beadflow"
