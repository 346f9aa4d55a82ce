"""The tree of actors as lines: branches drawn, numbers aligned.

Ids and reasons come from people, agents and exceptions, so no character of them steers a terminal.
Only the reason of the last exit is ever cut.
"""

import math
from collections.abc import Iterator

from rich.text import Text

from cli import printable, table, when
from cli.tree import Actor, DeadLetter, Tree

COLUMNS = (
    table.Column("actor"),
    table.Column("state", toned=True),
    table.Column("restarts", right=True),
    table.Column("mailbox", right=True),
    table.Column("handled", right=True),
    table.Column("up", right=True),
    table.Column("memory", right=True),
    table.Column("last exit", elastic=True),
)
_STEP = 1024
_UNITS = ("KiB", "MiB", "GiB")

Row = tuple[table.Cell, ...]


def rows(root: Actor) -> list[Row]:
    """A row for each actor, and one wherever children were left out."""
    return list(_rows(root, "", ""))


def summary(tree: Tree) -> dict[str, str]:
    """How many actors there are, and of dead letters something only when there are any."""
    states = ", ".join(f"{count:,} {state}" for state, count in tree.states.items())
    more = f"; {tree.more:,} more are not shown" if tree.more else ""
    return {
        "actors": f"{tree.shown:,}: {states}{more}",
        "dead letters": _letters(tree.dead_letters, tree.last_letter),
    }


def size(size_bytes: float) -> str:
    """A size in the largest unit in which it is at least one: `512 B`, `3.1 KiB`."""
    if size_bytes < _STEP:
        return f"{size_bytes:.0f} B"
    power = min(int(math.log(size_bytes, _STEP)), len(_UNITS))
    return f"{size_bytes / _STEP**power:.1f} {_UNITS[power - 1]}"


def _rows(actor: Actor, branch: str, inner: str) -> Iterator[Row]:
    """`branch` leads to the actor's own line, `inner` to those of its children."""
    yield _row(actor, branch)
    last = None if actor.more or not actor.children else actor.children[-1]
    for child in actor.children:
        if child is last:
            yield from _rows(child, f"{inner}└── ", f"{inner}    ")
        else:
            yield from _rows(child, f"{inner}├── ", f"{inner}│   ")
    if actor.more:
        left_out = Text(f"{inner}└── … {actor.more:,} more", "dim")
        yield (left_out, *[""] * (len(COLUMNS) - 1))


def _row(actor: Actor, branch: str) -> Row:
    is_up = actor.uptime_s > 0
    name = actor.id if branch else actor.path
    return (
        Text.assemble((branch, "dim"), printable.line(name)),
        actor.state,
        str(actor.restarts) if actor.restarts else "",
        _mailbox(actor) if actor.bound else "",
        str(actor.handled) if is_up else "",
        when.duration(actor.uptime_s) if is_up else "",
        size(actor.memory_bytes) if actor.memory_bytes else "",
        actor.last_exit,
    )


def _mailbox(actor: Actor) -> str:
    refused = f"{actor.refused} refused, " if actor.refused else ""
    return f"{refused}{actor.waiting}/{actor.bound}"


def _letters(count: int, last: DeadLetter | None) -> str:
    if last is None:
        return f"{count:,}" if count else ""
    at = when.moment(last.at)
    return f"{count:,}; the last: {last.message_type} to {last.path} at {at} ({last.reason})"
