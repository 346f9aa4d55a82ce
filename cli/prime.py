"""`beadflow prime`: what an agent has to know to work with the issues, in one page."""

from typing import Final

from cli.asked import Given
from cli.exits import ExitCode

PROTOCOL: Final = """\
# Work is tracked in issues

Every piece of work is an issue of this repository. Take one before you begin, and write down what
you find as new ones: no to-do lists in files, nothing kept in your head.

## The loop

1. `beadflow ready --claim -o json` takes the most urgent issue that can be worked on, for you
   alone. Its `token` proves that. Exit code 8: nothing is ready. `beadflow ready` only looks.
2. `beadflow issue show ID` has its texts, comments and what it depends on.
3. Work. If it takes longer than half an hour: `beadflow issue heartbeat ID --token N`.
4. `beadflow done ID -r "Completed"`, or `beadflow issue release ID` if you do not finish it. Both
   are refused to anybody else than who claimed it, by name or by `--token N`.

Exit code 7 means that you lost: somebody else has the issue, it is blocked, or your claim ran out.
Take another one; do not go on with that.

## What else comes up

- Found something to do: `beadflow issue create "TITLE" -t bug -p 2 --deps discovered-from:ID`.
- It must wait for another: `beadflow issue dep add ID OTHER`.
- It is a part of a larger one: `beadflow issue create "TITLE" --parent ID`.
- Why does it wait: `beadflow issue why ID`. What waits at all: `beadflow issue blocked`.
- Something to remember: `beadflow issue comment ID "TEXT"`.
- Later: `beadflow issue defer ID --until 3d`.
- An issue of type gate asks a person: leave it to them, and never close it yourself.

Priorities are 0 (now) to 4 (some day). Types are bug, feature, task, epic, chore. Ids may be
shortened to a beginning that only one has. `-o json` is for programs, `-q` prints ids only.

## Before you stop

Every issue that you claimed is closed or released, and what is left to do is an issue.
"""


def prime(*, out: Given) -> int:
    """Print how agents work with the issues: the loop, and the commands that belong to it."""
    if out.json:
        out.envelope("prime", {"markdown": PROTOCOL})
    else:
        out.markdown(PROTOCOL.rstrip())
    return ExitCode.OK
