"""Writes the pages of the API reference, and says how they differ from those that are there.

The same code makes the same pages, byte for byte: an update that has nothing new changes nothing.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2

from actors.agents.documentation import templates
from actors.agents.documentation.importgraph import grouped, imports, mermaid
from actors.agents.documentation.messages import PageNote, PageStatus
from actors.agents.documentation.programs import Option, OptionKind, is_program, options, settings
from actors.agents.documentation.sources import Sources
from actors.agents.documentation.surface import Kind, Row, Surface, Thing
from actors.agents.documentation.tree import Tree
from actors.workflows.definition import ActivityFailure

MAX_PAGE_BYTES: Final = 1 << 20
_TAKEN: Final = frozenset({"commands", "index", "settings"})
_EMPTY_LINES: Final = re.compile(r"\n{3,}")


def reference(tree: Tree, found: Sources, api: Surface, directory: str) -> dict[str, str]:
    """Make the pages for a directory, by their paths. Blocks."""
    takes = options(tree.path, installed(found, tree))
    pages = {
        file_name(module): _render("module", module=module)
        for module in api.modules
        if _has_content(module)
    }
    others = _others(found, api, takes)
    pages.update({name: text for name, (_, text) in others.items()})
    pages["index.md"] = _render(
        "index",
        title=f"{found.project} API" if found.project else "API",
        modules=[module for module in api.modules if _has_content(module)],
        others=[(name, title) for name, (title, _) in others.items()],
        graph=mermaid(grouped(imports(tree.path, api))),
    )
    return {f"{directory}/{name}": text for name, text in sorted(pages.items())}


def file_name(module: Thing) -> str:
    """Of a module's page."""
    return f"{module.path}-module.md" if module.path in _TAKEN else f"{module.path}.md"


def compare(root: Path, directory: str, pages: Mapping[str, str]) -> list[PageNote]:
    """How the pages differ from those that are in a tree, and those that have no module any more.

    Raises:
        ActivityFailure: the directory is a file ("not_a_directory").
    """
    place = root / directory
    if place.exists() and not place.is_dir():
        raise ActivityFailure(
            "not_a_directory", f"{directory} is a file: name another for pages", retryable=False
        )
    notes = [PageNote(path=path, status=_status(root / path, text)) for path, text in pages.items()]
    for file in sorted(place.glob("*.md")):
        path = f"{directory}/{file.name}"
        if path not in pages and is_ours(file):
            notes.append(PageNote(path=path, status=PageStatus.GONE))
    return notes


def is_ours(file: Path) -> bool:
    """Whether it is a page that was made from code."""
    mark = templates.MARK.encode()
    try:
        with file.open("rb") as stream:
            return stream.read(len(mark)) == mark
    except OSError:
        return False


def _status(file: Path, text: str) -> PageStatus:
    if not file.exists():
        return PageStatus.NEW
    if not is_ours(file):
        return PageStatus.KEPT
    is_same = file.stat().st_size <= MAX_PAGE_BYTES and file.read_bytes() == text.encode()
    return PageStatus.SAME if is_same else PageStatus.CHANGED


def _others(found: Sources, api: Surface, takes: list[Option]) -> dict[str, tuple[str, str]]:
    """The pages that are not about a module: their titles and texts by their names."""
    flags = [option for option in takes if option.kind is OptionKind.OPTION]
    variables = [option for option in takes if option.kind is OptionKind.VARIABLE]
    classes = [thing for thing in settings(api) if _fields(thing.members)]
    others = {}
    if flags or found.scripts:
        scripts = sorted(found.scripts.items())
        text = _render("commands", scripts=scripts, options=flags)
        others["commands.md"] = ("Commands", text)
    if variables or classes:
        text = _render("settings", variables=variables, classes=classes)
        others["settings.md"] = ("Settings", text)
    return others


def installed(found: Sources, tree: Tree) -> list[str]:
    """The Python files of the packages."""
    inside = tuple(f"{package.path}/" for package in found.packages)
    alone = {f"{package.path}.py" for package in found.packages}
    return [
        path
        for path in tree.paths
        if is_program(path) and (path.startswith(inside) or path in alone)
    ]


def _has_content(module: Thing) -> bool:
    return bool(module.docstring or module.members)


def _render(template: str, **given: Any) -> str:
    text = _templates().get_template(template).render(**given)
    lines = [line.rstrip() for line in text.splitlines()]
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip() + "\n"


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(
            {
                "thing": templates.THING,
                "module": templates.MODULE,
                "index": templates.INDEX,
                "commands": templates.COMMANDS,
                "settings": templates.SETTINGS,
            }
        ),
        autoescape=False,  # noqa: S701 - it writes Markdown for a repository, from its own code
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        mark=templates.MARK,
        cell=_cell,
        code=_code,
        declaration=_declaration,
        described=_described,
        file_name=file_name,
        fields=_fields,
        first_line=_first_line,
        label=_label,
    )
    return environment


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _label(row: Row) -> str:
    named = f"`{row.name}`" if row.name else ""
    typed = f"`{row.annotation}`" if row.annotation else ""
    return ": ".join(part for part in (named, typed) if part)


def _first_line(docstring: str) -> str:
    return docstring.strip().partition("\n\n")[0]


def _described(things: Iterable[Thing]) -> list[Thing]:
    """Those that have a heading of their own."""
    return [thing for thing in things if not _is_field(thing)]


def _fields(things: Iterable[Thing]) -> list[Thing]:
    return [thing for thing in things if _is_field(thing)]


def _is_field(thing: Thing) -> bool:
    return thing.kind is Kind.ATTRIBUTE and "property" not in thing.labels


def _declaration(thing: Thing) -> str:
    match thing.kind:
        case Kind.CLASS:
            return f"class {thing.signature}"
        case Kind.FUNCTION:
            return f"{'async ' if 'async' in thing.labels else ''}def {thing.signature}"
        case _:
            return thing.signature
