"""The API of a repository's packages: their public modules, classes, functions and attributes.

Read from the sources by griffe, never by importing them. What it finds becomes values of our own,
so that nothing else here knows griffe.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import trio

from actors.agents.documentation.sources import Package, Sources, sources
from actors.agents.documentation.tree import Tree
from actors.agents.kit.outcome import Place, Skipped
from actors.agents.kit.parsing import MAX_SOURCE_BYTES, parsing
from actors.agents.kit.untrusted import plain

TOOL: Final = "griffe"
MISSING: Final = Skipped(
    what=TOOL, why="it is not installed", install="install beadflow[documentation]"
)
NO_PACKAGE: Final = Skipped(
    what="API",
    why="no Python package was found",
    install='name them, e.g. packages=["lib/orchard"]',
)


class Kind(StrEnum):
    MODULE = "module"
    CLASS = "class"
    FUNCTION = "function"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A parameter, an exception or the like, of a docstring."""

    name: str
    annotation: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a docstring: text, or a table."""

    title: str
    text: str = ""
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something public.

    Args:
        path: its full name, e.g. "orchard.prices.basket".
        signature: as a call or as an annotation would be written; "" for a module.
        inherits: whether it stands for something of the same name in a base class.
        members: what is public in it; modules come in `Surface.modules` only.
    """

    path: str
    name: str
    kind: Kind
    place: Place
    signature: str
    labels: frozenset[str]
    docstring: str
    sections: tuple[Section, ...]
    inherits: bool = False
    members: tuple["Thing", ...] = ()

    def walk(self) -> Iterator["Thing"]:
        """This one and all in it, as they are written."""
        yield self
        for member in self.members:
            yield from member.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """All public things of some packages.

    Args:
        skipped: packages that could not be read.
    """

    modules: tuple[Thing, ...]
    skipped: tuple[Skipped, ...] = ()

    def walk(self) -> Iterator[Thing]:
        for module in self.modules:
            yield from module.walk()


async def read_surface(tree: Tree, named: tuple[str, ...]) -> tuple[Sources, Surface]:
    """What there is to describe in a tree, and the API of its packages.

    Raises:
        ActivityFailure: one of the named packages is none ("no_such_package").
    """
    found = await trio.to_thread.run_sync(sources, tree, named)
    return found, await trio.to_thread.run_sync(surface, tree.path, found.packages)


def surface(root: Path, packages: tuple[Package, ...]) -> Surface:
    """Read the public API of the packages below `root`. Blocks; takes about 1 ms per module."""
    loaded, skipped = load(root, packages)
    return Surface(modules=tuple(public_modules(root, loaded)), skipped=tuple(skipped))


def public_modules(root: Path, loaded: list[Any]) -> Iterator[Thing]:
    """Those of packages that griffe has read."""
    for package in loaded:
        for module in sorted(_modules(package), key=lambda module: str(module.path)):
            yield _module(module, root)


def load(root: Path, packages: tuple[Package, ...]) -> tuple[list[Any], list[Skipped]]:
    """What griffe makes of the packages; those that it cannot read are said."""
    if not packages:
        return [], [NO_PACKAGE]
    try:
        import griffe  # noqa: PLC0415 - an extra brings it along
    except ImportError:
        return [], [MISSING]
    logging.getLogger(TOOL).setLevel(logging.CRITICAL)  # it warns of every odd docstring
    found: list[Any] = []
    skipped: list[Skipped] = []
    for place in dict.fromkeys(package.root for package in packages):
        directory = root / place
        for path in directory.glob("*.pth"):
            path.unlink()  # they lead out of the tree
        skipped += _without_large(root, packages, place)
        loader = griffe.GriffeLoader(
            search_paths=[directory], allow_inspection=False, docstring_parser="auto"
        )
        for package in packages:
            if package.root != place:
                continue
            try:
                with parsing():
                    found.append(loader.load(package.name, try_relative_path=False))
            except (griffe.GriffeError, ImportError, SyntaxError, ValueError, OSError) as error:
                skipped.append(_unread(package, str(error)))
            except (RecursionError, MemoryError):
                skipped.append(_unread(package, "its code is nested too deeply"))
        loader.resolve_aliases(implicit=False, external=False)
    return found, skipped


def _without_large(root: Path, packages: tuple[Package, ...], place: str) -> Iterator[Skipped]:
    """Remove what is too large to parse from the tree, which is ours."""
    for package in packages:
        if package.root != place:
            continue
        for file in (root / package.path).rglob("*.py*"):
            if file.is_file() and file.stat().st_size > MAX_SOURCE_BYTES:
                file.unlink()
                why = f"it has more than {MAX_SOURCE_BYTES >> 10} KiB"
                yield Skipped(what=plain(file.relative_to(root).as_posix()), why=why)


def _unread(package: Package, why: str) -> Skipped:
    return Skipped(what=package.path, why=f"it cannot be read: {plain(why, 200)}")


def _modules(module: Any) -> Iterator[Any]:
    yield module
    for member in module.members.values():
        if not member.is_alias and member.is_module and member.is_public:
            yield from _modules(member)


def _module(module: Any, root: Path) -> Thing:
    return _thing(module, root, Kind.MODULE, tuple(_members(module, root)))


def _members(owner: Any, root: Path) -> Iterator[Thing]:
    for member in owner.members.values():
        if member.is_alias or member.is_module or not member.is_public or member.is_special:
            continue
        kind = _kind(member)
        if kind is not None and not _is_plumbing(member):
            inside = tuple(_members(member, root)) if kind is Kind.CLASS else ()
            yield _thing(member, root, kind, inside)


def _kind(member: Any) -> Kind | None:
    if member.is_class:
        return Kind.CLASS
    if member.is_function:
        return Kind.FUNCTION
    return Kind.ATTRIBUTE if member.is_attribute else None


def _is_plumbing(member: Any) -> bool:
    """What only exists for the interpreter: what a method puts on `self`, and no more is said."""
    only_on_instances = "instance-attribute" in member.labels
    in_class = "class-attribute" in member.labels or "property" in member.labels
    return bool(
        member.is_attribute and only_on_instances and not in_class and not member.has_docstring
    )


def _thing(found: Any, root: Path, kind: Kind, members: tuple[Thing, ...]) -> Thing:
    docstring = found.docstring.value if found.docstring else ""
    return Thing(
        path=found.path,
        name=found.name,
        kind=kind,
        place=place_of(found, root),
        signature=_signature(found, kind),
        labels=frozenset(map(str, found.labels)),
        docstring=docstring,
        sections=tuple(_sections(found.docstring)) if found.docstring else (),
        inherits=_inherits(found),
        members=members,
    )


def place_of(found: Any, root: Path) -> Place:
    """Where it is written, below `root`."""
    files = found.filepath if not found.is_alias else found.parent.filepath
    file = files[0] if isinstance(files, list) else files
    path = file.relative_to(root.resolve()).as_posix() if file.is_absolute() else str(file)
    line = (found.alias_lineno if found.is_alias else found.lineno) or None
    end = (found.alias_endlineno if found.is_alias else found.endlineno) or line
    return Place(path=path, line=line, end_line=end)


def _inherits(found: Any) -> bool:
    owner = found.parent
    if owner is None or not owner.is_class:
        return False
    try:
        return any(found.name in base.members for base in owner.mro())
    except ValueError:  # bases that no class can have
        return False


def _signature(found: Any, kind: Kind) -> str:
    match kind:
        case Kind.FUNCTION:
            return str(found.signature())
        case Kind.CLASS:
            bases = ", ".join(str(base) for base in found.bases)
            return f"{found.name}({bases})" if bases else str(found.name)
        case Kind.ATTRIBUTE:
            typed = f": {found.annotation}" if found.annotation is not None else ""
            return f"{found.name}{typed}{_value(found)}"
        case Kind.MODULE:
            return ""


def _value(found: Any) -> str:
    value = str(found.value) if found.value is not None else ""
    is_short = value and len(value) <= 80 and "\n" not in value  # noqa: PLR2004 - fits on a line
    return f" = {value}" if is_short and "property" not in found.labels else ""


def _sections(docstring: Any) -> Iterator[Section]:
    for section in docstring.parse("auto"):
        title = str(section.kind.value).capitalize()
        match section.value:
            case str() as text:
                yield Section(title="" if title == "Text" else title, text=text)
            case list() as items if title != "Examples":
                yield Section(title=section.title or title, rows=tuple(map(_row, items)))
            case list() as items:
                yield Section(title=title, text="\n\n".join(_example(*item) for item in items))
            case other:
                yield Section(title=title, text=str(getattr(other, "description", other)))


def _row(item: Any) -> Row:
    annotation = getattr(item, "annotation", None)
    return Row(
        name=str(getattr(item, "name", "") or ""),
        annotation="" if annotation is None else str(annotation),
        description=" ".join(str(getattr(item, "description", item)).split()),
    )


def _example(kind: Any, text: str) -> str:
    is_code = str(getattr(kind, "value", kind)) == "examples"
    return f"```python\n{text}\n```" if is_code else text
