"""Compares the public API of two commits: what is new, and what callers of the old would notice."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from actors.agents.documentation.changelog import Entries, worded
from actors.agents.documentation.messages import ApiChanges, ApiChangesRequest, Change
from actors.agents.documentation.sources import Sources, sources
from actors.agents.documentation.surface import (
    MISSING,
    Kind,
    Thing,
    load,
    place_of,
    public_modules,
)
from actors.agents.documentation.tree import Tree, tree_of
from actors.agents.kit.outcome import Finding, Level, Place, Skipped
from actors.agents.kit.repository import resolve
from actors.agents.kit.untrusted import plain
from actors.agents.protocol import Task

RULE: Final = "breaking-change"
MAX_CHANGES: Final = 500
_EXPLAINED: Final = re.compile(r"- `(?P<what>.*?)`: \*(?P<kind>.*?)\*(?P<values>.*)", re.DOTALL)
_NOT_BREAKING: Final = frozenset({"ATTRIBUTE_CHANGED_VALUE"})
_REMOVED: Final = "OBJECT_REMOVED"


@dataclass(frozen=True, slots=True)
class _Broken:
    change: Change
    is_removed: bool


async def api_changes(task: Task, request: ApiChangesRequest) -> ApiChanges:
    """Say what became of the public API from one commit to another."""
    base, head = await resolve(task.site, request.base), await resolve(task.site, request.ref)
    if base == head:
        return ApiChanges(summary="It is one and the same commit.", base=base, commit=head)
    async with tree_of(task, base) as (old, _), tree_of(task, head) as (new, _):
        task.progress("reading the code of both commits", 0.1)
        return await trio.to_thread.run_sync(_compare, old, new, request.packages)


def _compare(old: Tree, new: Tree, named: tuple[str, ...]) -> ApiChanges:
    before, after = _sources(old, named), sources(new, named)
    news, unread = load(new.path, after.packages)
    if MISSING in unread:
        return ApiChanges(
            summary="Nothing was compared.", base=old.commit, commit=new.commit, skipped=(MISSING,)
        )
    olds, skipped = load(old.path, before.packages) if before.packages else ([], [])
    known = {thing.path for module in public_modules(old.path, olds) for thing in module.walk()}
    added = list(_added(known, public_modules(new.path, news)))
    broken, uncompared = _broken(olds, news, new.path)
    breaking = [found.change for found in broken]
    return ApiChanges(
        summary=f"{len(added)} additions to the API, {len(breaking)} breaking changes.",
        base=old.commit,
        commit=new.commit,
        breaking=tuple(breaking[:MAX_CHANGES]),
        added=tuple(_change(thing) for thing in added[:MAX_CHANGES]),
        changelog=worded(_entries(added[:MAX_CHANGES], broken[:MAX_CHANGES])),
        findings=tuple(map(_finding, breaking[:MAX_CHANGES])),
        metrics={"added": len(added), "breaking": len(breaking)},
        skipped=tuple(dict.fromkeys((*unread, *skipped, *uncompared))),
    )


def _sources(tree: Tree, named: tuple[str, ...]) -> Sources:
    """Those of the older commit: a named package need not have been there."""
    there = tuple(path for path in named if (tree.path / path).exists())
    return sources(tree, there)


def _added(known: set[str], modules: Iterable[Thing]) -> Iterator[Thing]:
    """What is new, without what is in something new."""

    def fresh(thing: Thing) -> Iterator[Thing]:
        if thing.path not in known:
            yield thing
            return
        for member in thing.members:
            yield from fresh(member)

    for module in modules:
        yield from fresh(module)


def _change(thing: Thing) -> Change:
    described = thing.docstring.strip().partition("\n\n")[0]
    return Change(path=thing.path, what=plain(described), place=thing.place)


def _broken(olds: list[Any], news: list[Any], root: Path) -> tuple[list[_Broken], list[Skipped]]:
    import griffe  # noqa: PLC0415 - an extra brings it along

    by_name = {str(package.name): package for package in news}
    found: list[_Broken] = []
    skipped: list[Skipped] = []
    for package in olds:
        there = by_name.get(str(package.name))
        if there is None:
            what = f"`{package.name}`: Package was removed"
            found.append(_Broken(Change(path=str(package.path), what=what), is_removed=True))
            continue
        try:
            found += [
                _read(breakage, root)
                for breakage in griffe.find_breaking_changes(package, there)
                if breakage.kind.name not in _NOT_BREAKING
            ]
        except (griffe.GriffeError, KeyError, RecursionError) as error:
            what = f"the rest of {package.name}"
            skipped.append(Skipped(what=what, why=plain(f"it cannot be compared: {error}")))
    return found, skipped


def _read(breakage: Any, root: Path) -> _Broken:
    import griffe  # noqa: PLC0415 - an extra brings it along

    explained = _EXPLAINED.match(breakage.explain(griffe.ExplanationStyle.MARKDOWN))
    what, kind, values = explained.groups() if explained else ("", breakage.kind.value, "")
    is_removed = breakage.kind.name == _REMOVED
    change = Change(
        path=str(breakage.obj.path),
        what=plain(f"`{what}`: {kind}" + ("" if is_removed else values)),
        place=None if is_removed else _place(breakage.obj, root),
    )
    return _Broken(change, is_removed)


def _place(found: Any, root: Path) -> Place | None:
    try:
        return place_of(found, root)
    except ValueError:  # it lies in the older commit
        return None


def _finding(change: Change) -> Finding:
    return Finding(
        tool="griffe",
        rule=RULE,
        level=Level.WARNING,
        message=f"{change.path}: {change.what}",
        place=change.place,
    )


def _entries(added: list[Thing], broken: list[_Broken]) -> Entries:
    return {
        "Added": [_entry(thing) for thing in added],
        "Changed": [_noticed(found.change) for found in broken if not found.is_removed],
        "Removed": [f"`{found.change.path}`." for found in broken if found.is_removed],
    }


def _entry(thing: Thing) -> str:
    owner = thing.path.rpartition(".")[0]
    is_call = thing.kind is Kind.FUNCTION
    name = f"{owner}.{thing.signature}" if is_call and owner else thing.path
    said = plain(thing.docstring.strip().partition("\n\n")[0])
    return f"`{plain(name, 500)}`: {said}" if said else f"`{plain(name, 500)}`."


def _noticed(change: Change) -> str:
    module = change.path.rpartition(".")[0]
    return f"**Breaking**, in `{module}`: {change.what}." if module else f"{change.what}."
