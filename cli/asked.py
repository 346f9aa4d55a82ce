"""What several commands on issues take: ids, priorities, labels, and which issues are meant."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import quote

from cyclopts import Group, Parameter

from cli import problem
from cli.desk import ISSUES
from cli.output import Output

Given = Annotated[Output, Parameter(parse=False)]
Id = Annotated[str, Parameter(help="The issue's id, or a beginning that only it has.")]
Ids = Annotated[str, Parameter(help="Ids of issues, or beginnings that only one has.")]
Silent = Annotated[
    bool,
    Parameter(
        name=["--silent", "-q"],
        negative="",
        show_default=False,
        help="Print the id and nothing else.",
    ),
]
Priority = Annotated[
    str | None, Parameter(name=["--priority", "-p"], help="0 (most urgent) to 4, or P0 to P4.")
]

_PRIORITY: Final = re.compile(r"[Pp]?([0-4])")
_FILTER: Final = Group("Which issues", sort_key=50)


@Parameter(name="*", group=_FILTER)
@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which issues a command means; each that is given must hold."""

    status: Annotated[str | None, Parameter(name=["--status", "-s"])] = None
    "In one of these states, with commas between them."

    kind: Annotated[str | None, Parameter(name=["--type", "-t"])] = None
    "Of one of these types."

    priority: Annotated[str | None, Parameter(name=["--priority", "-p"])] = None
    "Of one of these priorities: 0 to 4, or P0 to P4."

    assignee: Annotated[str | None, Parameter(name=["--assignee", "-a"])] = None
    "Of this person or agent."

    unassigned: Annotated[
        bool, Parameter(name=["--unassigned", "-u"], negative="", show_default=False)
    ] = False
    "Nobody's."

    label: Annotated[
        tuple[str, ...], Parameter(name=["--label", "-l"], negative="", show_default=False)
    ] = ()
    "With all of these labels."

    label_any: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = ()
    "With at least one of these labels."

    exclude_label: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = ()
    "With none of these labels."

    parent: str | None = None
    "Below this issue."

    def params(self) -> dict[str, str]:
        """As a query; lists are words with commas between them."""
        if self.unassigned and self.assignee:
            raise problem.usage("An issue is somebody's or nobody's", "--assignee and --unassigned")
        asked = {
            "status": self.status,
            "type": self.kind,
            "priority": None if self.priority is None else ",".join(self._priorities()),
            "assignee": "" if self.unassigned else self.assignee,
            "labels": ",".join(words(self.label)) or None,
            "any_labels": ",".join(words(self.label_any)) or None,
            "without_labels": ",".join(words(self.exclude_label)) or None,
            "parent": self.parent,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def body(self) -> dict[str, Any]:
        """As fields of a body."""
        lists = ("status", "type", "priority", "labels", "any_labels", "without_labels")
        given = self.params()
        return {name: value.split(",") if name in lists else value for name, value in given.items()}

    def _priorities(self) -> list[str]:
        return [str(priority(word)) for word in words((self.priority or "",))]


ANY = Filter()


def address(issue_id: str) -> str:
    """An issue's address.

    Raises:
        Problem: (usage) that is no id; with a slash or `..` in it, it would ask for something else.
    """
    if is_odd(issue_id):
        raise problem.usage(
            "That is no id of an issue", issue_id, hint="`beadflow issue list` shows them"
        )
    return f"{ISSUES}/{quote(issue_id, safe='')}"


def is_odd(issue_id: str) -> bool:
    """Whether no issue can be called so, and an address with it would be another one."""
    return "/" in issue_id or issue_id.strip(". ") == "" or not issue_id.isprintable()


def priority(given: str) -> int:
    found = _PRIORITY.fullmatch(given)
    if found is None:
        raise problem.usage("A priority is 0 to 4, or P0 to P4", given)
    return int(found.group(1))


def words(given: Iterable[str]) -> list[str]:
    """Words that were given one by one, or with commas between them."""
    parts = (part.strip() for text in given for part in text.split(","))
    return [part for part in parts if part]
