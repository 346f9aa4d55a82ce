"""The command tree, and the boundary where every refusal becomes words and an exit code.

Commands are registered by import path: asking for help or for one command imports only what that
needs, and the server's own command, which brings the whole system along, costs the others nothing.
`-o` belongs to no command but to all of them, before or after the command's name.
"""

import difflib
import errno
import os
import sqlite3
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError

from cli.exits import ExitCode
from cli.output import Form, Output
from cli.problem import Problem, usage
from storage.errors import (
    BackupExists,
    BackupMissing,
    BackupOfAnother,
    DiskFull,
    RepositoryCopied,
    RepositoryMismatch,
    SchemaError,
    StorageError,
    StoreLocked,
    plain,
)

_EPILOGUE = (
    "Examples:\n\n"
    "  beadflow up\n\n"
    '  beadflow workflow start research Clients --var question="…" --watch\n\n'
    "  beadflow help exit-codes"
)
_OUTPUT = Parameter(
    name=["--output", "-o"], env_var="BEADFLOW_OUTPUT", help="Write for people, or for programs."
)

_JSON = Parameter(negative="", show_default=False, help="The same as -o json.")

_RIGHTS = "check who owns it and its directory, and who may read and write there"
_ROOM = "free some space and try again"
_WAYS_OUT = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "nothing can be written there; name another place",
    errno.ENOENT: "check the path, or name another place",
    errno.ENOTDIR: "a part of the path is a file; name another place",
    errno.EISDIR: "it is a directory; name a file",
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
}


def version() -> str:
    return metadata.version("beadflow")


app = App(
    name="beadflow",
    help="Durable agent workflows on your own machine, every one an issue in your Git repository.",
    help_format="plaintext",
    help_epilogue=_EPILOGUE,
    version=version,
    version_flags=["--version", "-V"],
)
app.meta.suppress_keyboard_interrupt = False  # main.py returns its exit code
app.command(
    "cli.serve:up",
    name="up",
    help="Serve the API, run workflows and keep issues in Git.",
    help_epilogue="Example:\n\n  beadflow up --repo ~/src/project --port 0",
)
app.command(
    "cli.init:init",
    name="init",
    help="Prepare a repository, or a fresh clone of one, for keeping issues in it.",
    help_epilogue=(
        "Examples:\n\n  beadflow init\n\n  beadflow init --prefix shop --git-mode branch"
    ),
)
app.command(
    "cli.workflow:app",
    name="workflow",
    help="Start and steer workflows, and see what they do and what they found.",
)
app.command(
    "cli.agents.group:app",
    name="agent",
    help="Register and look after the agents that do the work.",
)
app.command(
    "cli.issue:app",
    name="issue",
    help="Create, find, change, connect and claim issues.",
)
app.command(
    "cli.gates:app",
    name="gate",
    help="See what waits for a person, and approve or reject it.",
)
app.command(
    "cli.readiness:ready",
    name="ready",
    help="Show the issues that can be worked on now, or take the first.",
    help_epilogue="Examples:\n\n  beadflow ready -n 3\n\n  beadflow ready --claim -o json",
)
app.command(
    "cli.claims:claim",
    name="claim",
    help="Take an issue to work on.",
    help_epilogue="Example:\n\n  beadflow claim shop-a1b",
)
app.command(
    "cli.editing:close",
    name="done",
    help="Close issues that are done.",
    help_epilogue='Example:\n\n  beadflow done shop-a1b -r "Completed"',
)
app.command(
    "cli.prime:prime",
    name="prime",
    help="Print how agents work with the issues.",
    help_epilogue="Example:\n\n  beadflow prime",
)
app.command(
    "cli.merge_driver:merge_driver",
    name="merge-driver",
    help_epilogue=(
        "Example:\n\n"
        '  git config merge.beadflow.driver "beadflow merge-driver %O %A %B %P"\n\n'
        '  echo ".beads/issues.jsonl merge=beadflow" >> .git/info/attributes'
    ),
)
app.command(
    "cli.auth.group:app",
    name="auth",
    help="Make keys for whoever may use the server, and see who may do what.",
)
app.command(
    "cli.audit:audit",
    name="audit",
    help="Show who did what, or was refused what, and see whether that was changed.",
    help_epilogue=(
        "Examples:\n\n  beadflow audit --outcome refused -n 20\n\n  beadflow audit --verify"
    ),
)
app.command(
    "cli.db:app",
    name="db",
    help="Look after the databases: their versions, backups, integrity and size.",
)
app.command(
    "cli.doctor:doctor",
    name="doctor",
    help="Check the settings, the data and the server; with --reconcile, mend what disagrees.",
    help_epilogue="Examples:\n\n  beadflow doctor\n\n  beadflow doctor --reconcile --dry-run",
)
app.command(
    "cli.analytics:app",
    name="analytics",
    help="Count what happened in a period.",
)
app.command(
    "cli.actors:actors",
    name="actors",
    help="Show the running actors, as the tree in which they supervise each other.",
    help_epilogue=(
        "Examples:\n\n  beadflow actors --watch\n\n  beadflow actors root/engine --depth 1 -o json"
    ),
)


app.command(
    "cli.events:events",
    name="events",
    help="Show what has happened, and with --watch what happens.",
    help_epilogue=(
        "Examples:\n\n"
        "  beadflow events --topic 'workflow_*' --after 100\n\n"
        "  beadflow events --watch --workflow wf-7k2m -o json"
    ),
)


@app.command(name="help", help_epilogue="Example:\n\n  beadflow help workflow start")
def help_(
    *topic: Annotated[str, Parameter(help="A command, or `exit-codes`.")],
    out: Annotated[Output, Parameter(parse=False)],
) -> int:
    """Explain a command, or the exit codes."""
    if topic != ("exit-codes",):
        _explain(topic)
        return ExitCode.OK
    if out.json:
        out.envelope("help.exit-codes", {str(code.value): code.meaning for code in ExitCode})
    else:
        out.fields({str(code.value): code.meaning for code in ExitCode})
    return ExitCode.OK


def _explain(topic: Sequence[str]) -> None:
    _, apps, unknown = app.parse_commands(topic)
    if unknown:
        raise _unknown(unknown[0], apps[-1])
    app.help_print(topic)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    output: Annotated[Form, _OUTPUT] = "table",
    json: Annotated[bool, _JSON] = False,
) -> int:
    return _guarded(tokens, Output("json" if json else output))


def run(tokens: Sequence[str]) -> int:
    """Runs one command line and returns its exit code. Never raises for what a user can cause."""
    try:
        code = app.meta(
            tokens,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
            end_of_options_delimiter="",  # `--` is for the command itself
        )
        sys.stdout.flush()
    except CycloptsError as err:
        Output().refuse(_misused(err))
        return ExitCode.USAGE
    except BrokenPipeError:
        _discard_stdout()
        return ExitCode.FAILED
    return int(code or 0)


def _guarded(tokens: Sequence[str], out: Output) -> int:
    try:
        _refuse_undecodable(tokens)
        command, bound, given = app.parse_args(
            tokens, exit_on_error=False, print_error=False, end_of_options_delimiter="--"
        )
        extra = {"out": out} if "out" in given else {}
        return int(command(*bound.args, **bound.kwargs, **extra) or 0)
    except CycloptsError as err:
        refused = _misused(err)
    except Problem as err:
        refused = err
    except StorageError as err:
        refused = _unusable(err)
    except BrokenPipeError:
        raise
    except sqlite3.Error as err:
        refused = _damaged(err)
    except OSError as err:
        refused = _system(err)
    out.refuse(refused)
    return refused.exit_code


def _refuse_undecodable(tokens: Sequence[str]) -> None:
    for token in tokens:
        try:
            token.encode()
        except UnicodeEncodeError as err:
            shown = token.encode("utf-8", "backslashreplace").decode()
            raise usage("An argument is no text in this terminal's encoding", shown) from err


def _misused(err: CycloptsError) -> Problem:
    if isinstance(err, UnknownCommandError) and err.app and err.unused_tokens:
        return _unknown(err.unused_tokens[0], err.app)
    chain = " ".join(("beadflow", *(err.command_chain or ())))
    return usage(str(err), hint=f"`{chain} --help` shows what there is")


def _unusable(err: StorageError) -> Problem:
    """The store's own words: they are written for a person at a terminal."""
    if isinstance(err, StoreLocked):
        return Problem(str(err), code="store_locked", exit_code=ExitCode.CONFLICT, retryable=True)
    if isinstance(err, SchemaError):
        return Problem(
            str(err),
            code="schema",
            exit_code=ExitCode.FAILED,
            hint="`beadflow db status` shows what was applied to which database",
        )
    if isinstance(err, BackupExists):
        return Problem(str(err), code="backup_exists", exit_code=ExitCode.CONFLICT)
    if isinstance(err, BackupMissing):
        return Problem(str(err), code="no_backup", exit_code=ExitCode.NOT_FOUND)
    if isinstance(err, BackupOfAnother | RepositoryCopied | RepositoryMismatch):
        return Problem(str(err), code="another_repository", exit_code=ExitCode.CONFLICT)
    if isinstance(err, DiskFull):
        return Problem(str(err), code="storage_full", exit_code=ExitCode.FAILED, retryable=True)
    return Problem(str(err), code="storage", exit_code=ExitCode.FAILED)


def _damaged(err: sqlite3.Error) -> Problem:
    return Problem(
        "A database cannot be read",
        str(err),
        code="database_damaged",
        exit_code=ExitCode.FAILED,
        hint="put the data directory back from a backup, or move it away to begin anew",
    )


def _system(err: OSError) -> Problem:
    """What the operating system refused, in words, with what can be done about it."""
    title = plain(err)[:1].upper() + plain(err)[1:]
    detail = os.fsdecode(err.filename) if isinstance(err.filename, str | bytes) else ""
    hint = _WAYS_OUT.get(err.errno or 0, "")
    return Problem(title, detail, code="system", exit_code=ExitCode.FAILED, hint=hint)


def _unknown(word: str, within: App) -> Problem:
    # cyclopts words this, too, but imports every command for it, the whole server among them.
    names = [name for name in within if not name.startswith("-")]
    close = difflib.get_close_matches(word, names, n=1)
    guess = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(sorted(names))}"
    return usage(f"Unknown command {word!r}", guess)


def _discard_stdout() -> None:
    # Whoever read our output has gone; without this the interpreter complains once more at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
