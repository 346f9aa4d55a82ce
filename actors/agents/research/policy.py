"""The verdict on a licence: by the operator's list, else by the project's own licence.

SPDX expressions are read by `license_expression`: of an OR the user may choose, an AND binds to
both. What is stated in other words is matched against the names in common use (`licences.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from actors.agents.research.dependency_messages import LicencePolicy, Verdict
from actors.agents.research.licences import (
    KIND,
    STRONG_COPYLEFT,
    WEAK_COPYLEFT,
    permissiveness,
)

Judged = tuple[Verdict, str]

_NAMES: Final = {
    "apache software license": "Apache-2.0",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mit": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}
"""SPDX identifiers of classifiers that name one licence and no more."""


def judge_licence(licence: str | None, policy: LicencePolicy, own: str | None) -> Judged:
    """What the policy says about a licence, and why.

    Raises:
        ImportError: there is a list, and `license_expression` is not installed.
    """
    if licence is None:
        return Verdict.UNKNOWN, "it states no licence"
    if policy.allow or policy.deny:
        return _by_list(licence, policy)
    return _by_own(licence, own)


@dataclass(frozen=True, slots=True)
class Spdx:
    """Reads SPDX expressions; `parser` is the library's."""

    parser: Any
    error: type[Exception]

    def tree(self, text: str) -> Any | None:
        """The expression; None where it is none, or names a licence that there is not."""
        try:
            return self.parser.parse(text, validate=True)
        except self.error:
            return None

    def canonical(self, name: str) -> str:
        """As expressions have it: "GPL-3.0" is an older name of "GPL-3.0-only"."""
        tree = self.tree(name)
        return name.lower() if tree is None else str(tree).lower()


@cache
def spdx() -> Spdx:
    """The one reader: making it takes 30 ms.

    Raises:
        ImportError: `license_expression` is not installed.
    """
    from license_expression import (  # type: ignore[import-untyped] # noqa: PLC0415 - an extra
        ExpressionError,
        get_spdx_licensing,
    )

    return Spdx(get_spdx_licensing(), ExpressionError)


def unknown_names(policy: LicencePolicy) -> tuple[str, ...]:
    """Names of the policy that are no SPDX identifiers: a typo would deny nothing.

    Raises:
        ImportError: there is a list, and `license_expression` is not installed.
    """
    named = dict.fromkeys((*policy.allow, *policy.deny))
    return tuple(name for name in named if spdx().tree(name) is None)


def _by_own(licence: str, own: str | None) -> Judged:
    grade = permissiveness(licence)
    if grade is None:
        return Verdict.UNKNOWN, f"{licence} is no licence that is known here"
    if own is None:
        if grade == STRONG_COPYLEFT:
            return (
                Verdict.DENIED,
                f"{licence} is strong copyleft, and the project states no licence",
            )
        return Verdict.ALLOWED, f"{licence} is {KIND[grade].partition(':')[0]}"
    mine = permissiveness(own)
    if mine is None:
        return Verdict.UNKNOWN, f"the project's own {own} is no licence that is known here"
    if grade == STRONG_COPYLEFT and mine > grade:
        return Verdict.DENIED, f"{licence} is strong copyleft, the project itself is {own}"
    if grade == WEAK_COPYLEFT and mine > grade:
        return Verdict.ALLOWED, f"{licence} is weak copyleft: only changes to it stay open"
    return Verdict.ALLOWED, f"{licence} leaves as much freedom as {own}"


def _by_list(licence: str, policy: LicencePolicy) -> Judged:
    named = _NAMES.get(licence.lower(), licence)
    tree = spdx().tree(named)
    if tree is None:
        return Verdict.UNKNOWN, f"{licence} is no SPDX expression"
    denied = {spdx().canonical(name) for name in policy.deny}
    allowed = {spdx().canonical(name) for name in policy.allow}

    def is_denied(names: set[str]) -> bool:
        return bool(names & denied)

    def is_listed(names: set[str]) -> bool:
        return not allowed or bool(names & allowed)

    if not _holds(tree, lambda names: not is_denied(names)):
        return Verdict.DENIED, f"{named} is denied"
    if not _holds(tree, lambda names: not is_denied(names) and is_listed(names)):
        return Verdict.DENIED, f"{named} is not among those allowed"
    return Verdict.ALLOWED, f"{named} is {'allowed' if allowed else 'not denied'}"


def _holds(tree: Any, permits: Callable[[set[str]], bool]) -> bool:
    """Whether the expression can be met with licences that are permitted.

    `permits` is given a licence's name; with an exception, the name with it and without.
    """
    match type(tree).__name__:
        case "OR":
            return any(_holds(part, permits) for part in tree.args)
        case "AND":
            return all(_holds(part, permits) for part in tree.args)
        case "LicenseWithExceptionSymbol":
            return permits({str(tree).lower(), str(tree.license_symbol.key).lower()})
        case _:
            return permits({str(tree.key).lower()})
