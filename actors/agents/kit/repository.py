"""Git in a repository that nobody has vetted.

A repository can make Git run commands: hooks, monitors, filters, merge and diff drivers, signature
checks, submodules, transports. So Git gets an environment that holds nothing but what is written
here; no configuration but the repository's own is read, and of that every key that names a
program is overridden before anything else runs. What comes from a request is checked by `check_ref`
and stands behind `--`.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import trio

from actors.agents.site import Site
from actors.agents.tools import ToolResult, ToolStatus, run_tool
from actors.workflows.definition import ActivityFailure
from storage.errors import UnsafePath
from storage.gitdir import GitDir, find_git_dir

READING: Final = frozenset(
    {"blame", "cat-file", "diff", "diff-tree", "for-each-ref", "log", "ls-files", "ls-tree"}
    | {"merge-base", "name-rev", "rev-list", "rev-parse", "shortlog", "show", "status"}
)
_GUARDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "blame": ("--no-textconv",),
        "diff": ("--no-ext-diff", "--no-textconv", "--ignore-submodules=all"),
        "diff-tree": ("--no-ext-diff", "--no-textconv", "--ignore-submodules=all"),
        "log": ("--no-ext-diff", "--no-textconv", "--ignore-submodules=all"),
        "show": ("--no-ext-diff", "--no-textconv", "--ignore-submodules=all"),
        "status": ("--ignore-submodules=all",),
    }
)
_FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "advice.detachedHead": "false",
        "apply.whitespace": "nowarn",
        "blame.ignoreRevsFile": "",
        "commit.gpgSign": "false",
        "core.alternateRefsCommand": "",
        "core.attributesFile": os.devnull,
        "core.editor": "true",
        "core.fsmonitor": "false",
        "core.hooksPath": os.devnull,
        "core.pager": "cat",
        "core.quotePath": "false",
        "core.sparseCheckout": "false",
        "core.sshCommand": "false",
        "diff.external": "",
        "diff.ignoreSubmodules": "all",
        "diff.submodule": "short",
        "gc.auto": "0",
        "log.showSignature": "false",
        "maintenance.auto": "false",
        "protocol.allow": "never",
        "protocol.ext.allow": "never",
        "submodule.recurse": "false",
        "worktree.useRelativePaths": "false",
    }
)
_MERGE: Final = "git merge-file -L ours -L base -L theirs --marker-size=%L %A %O %B"
_PROGRAMS: Final = (
    (re.compile(r"filter\..*\.(clean|smudge|process)", re.DOTALL), ""),
    (re.compile(r"filter\..*\.required", re.DOTALL), "false"),
    (re.compile(r"merge\..*\.driver", re.DOTALL), _MERGE),
    (re.compile(r"diff\..*\.(command|textconv)", re.DOTALL), "cat"),
    (re.compile(r"gpg\.(.*\.)?program|gpg\.ssh\.defaultkeycommand", re.DOTALL), "false"),
    (re.compile(r"hook\..*\.command", re.DOTALL), "true"),
)
_CLOSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "HOME": os.devnull,  # a `~` in the repository's configuration leads nowhere
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_GRAFT_FILE": f"{os.devnull}/none",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
)
_CONFIG_DEADLINE_S: Final = 10.0
_CONFIG_CAP_BYTES: Final = 4 << 20
_REF_CHARACTERS: Final = 250
_STEPS: Final = re.compile(r"([~^][0-9]{0,6}){0,20}")
_UNFIT: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\\u0085\u2028\u2029]|\.\.|@\{|//")


async def read(
    where: Site | Path, *args: str, deadline_s: float = 30.0, cap_bytes: int = 16 << 20
) -> ToolResult:
    """Run a reading Git command in a work tree, and give what it said.

    Args:
        where: a site's repository, or any directory of a work tree; Git runs at its root.
        args: the command, its options, and after `--` its operands.
        deadline_s: after so many seconds it is killed.
        cap_bytes: of its output; what is beyond is dropped, and `truncated` says so.

    Raises:
        ActivityFailure: "no_repository" where there is none.
        ValueError: the command is none that only reads.
    """
    command, *rest = args
    if command not in READING:
        raise ValueError(f"git {command} is no command that only reads")
    found = await find_repository(where)
    guarded = [command, *_GUARDS.get(command, ()), *rest]
    return await run_git(found, guarded, deadline_s=deadline_s, cap_bytes=cap_bytes)


async def ask(where: Site | Path, *args: str) -> str:
    """The same as `read`, as text without its last newline.

    Raises:
        ActivityFailure: also "git_failed", with what Git complained of.
    """
    result = complete(await read(where, *args))
    return result.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


async def resolve(where: Site | Path, ref: str) -> str:
    """The id of the commit that a ref names.

    Raises:
        ActivityFailure: "bad_ref" or "unknown_ref".
    """
    check_ref(ref)
    named = f"{ref}^{{commit}}"
    found = await read(where, "rev-parse", "--verify", "--quiet", "--end-of-options", named)
    if not found.ok:
        raise ActivityFailure("unknown_ref", f"there is no commit {ref!r}", retryable=False)
    return found.text.strip()


def check_ref(ref: str) -> str:
    """A name of a commit, with `~` and `^` behind it or without.

    Raises:
        ActivityFailure: "bad_ref"; it is none that Git could have made, or looks like an option.
    """
    name = re.split(r"[~^]", ref, maxsplit=1)[0]
    if not _is_name(name) or not _STEPS.fullmatch(ref[len(name) :]):
        raise ActivityFailure("bad_ref", f"{ref[:80]!r} names no commit", retryable=False)
    return ref


def check_branch(branch: str) -> str:
    """A name that a branch may have.

    Raises:
        ActivityFailure: "bad_ref".
    """
    if not _is_name(branch) or branch == "HEAD" or branch.startswith("refs/"):
        raise ActivityFailure("bad_ref", f"{branch[:80]!r} cannot be a branch", retryable=False)
    return branch


def _is_name(name: str) -> bool:
    """The rules of `git check-ref-format`, and no dash at the beginning of any part."""
    if not 0 < len(name) <= _REF_CHARACTERS or name == "@" or _UNFIT.search(name):
        return False
    if not name.isprintable() or name.endswith("."):
        return False
    parts = name.split("/")
    return all(part and not part.startswith((".", "-")) for part in parts) and not any(
        part.endswith(".lock") for part in parts
    )


def complete(result: ToolResult) -> ToolResult:
    """A result that is all that was asked for.

    Raises:
        ActivityFailure: "git_missing", "git_timeout" or "git_failed".
    """
    match result.status:
        case ToolStatus.OK if not result.truncated:
            return result
        case ToolStatus.OK:
            raise ActivityFailure("git_failed", "git says more than is read", retryable=False)
        case ToolStatus.MISSING:
            raise ActivityFailure("git_missing", f"{result.why}: install Git", retryable=False)
        case ToolStatus.TIMED_OUT:
            raise ActivityFailure("git_timeout", result.why)
        case _:
            raise ActivityFailure("git_failed", result.why)


async def find_repository(where: Site | Path) -> GitDir:
    """The directories of the repository that a place lies in.

    Raises:
        ActivityFailure: "no_repository", or "unsafe_repository": it is another user's.
    """
    place = where.repo if isinstance(where, Site) else where
    try:
        found = await trio.to_thread.run_sync(find_git_dir, place)
    except UnsafePath as error:
        raise ActivityFailure("unsafe_repository", str(error), retryable=False) from error
    if found is None:
        raise ActivityFailure(
            "no_repository", f"{place.name} lies in no Git repository", retryable=False
        )
    return found


async def run_git(
    where: GitDir,
    args: Sequence[str],
    *,
    deadline_s: float = 60.0,
    cap_bytes: int = 16 << 20,
    env: Mapping[str, str] = MappingProxyType({}),
) -> ToolResult:
    """Run any Git command that this package has composed itself."""
    place = {"GIT_DIR": str(where.git_dir)}
    if where.work_tree is not None:
        place["GIT_WORK_TREE"] = str(where.work_tree)
    cwd = where.work_tree or where.git_dir
    listed = await run_tool(
        ["git", "config", "--null", "--name-only", "--list"],
        cwd=cwd,
        deadline_s=_CONFIG_DEADLINE_S,
        output_cap_bytes=_CONFIG_CAP_BYTES,
        env={**_CLOSED, **place},
    )
    if not listed.ok or listed.truncated:
        return listed
    flags = {**_FLAGS, **silenced(listed.text.split("\0")), "safe.directory": "*"}
    return await run_tool(
        ["git", "--no-pager", *args],
        cwd=cwd,
        deadline_s=deadline_s,
        output_cap_bytes=cap_bytes,
        env={**_CLOSED, **place, **_as_variables(flags), **env},
    )


def silenced(names: Sequence[str]) -> dict[str, str]:
    """What the keys that name programs are set to instead, so that none is run."""
    return {
        name: value for name in names for pattern, value in _PROGRAMS if pattern.fullmatch(name)
    }


def _as_variables(flags: Mapping[str, str]) -> dict[str, str]:
    """Configuration as variables: `-c` cannot say a name with "=" in it."""
    variables = {"GIT_CONFIG_COUNT": str(len(flags))}
    for number, (name, value) in enumerate(flags.items()):
        variables[f"GIT_CONFIG_KEY_{number}"] = name
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables
