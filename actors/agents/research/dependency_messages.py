"""What an analysis of dependencies is asked for, and what it answers."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from actors.agents.kit.outcome import Model, Outcome

Spdx = Annotated[str, Field(min_length=1, max_length=100)]


class LicencePolicy(Model):
    """Which licences what is shipped may have; names are SPDX identifiers.

    Without any, the project's own licence decides: what is shipped must leave at least as free.
    """

    allow: tuple[Spdx, ...] = Field(
        default=(), max_length=200, description="Only these; none given allows all"
    )
    deny: tuple[Spdx, ...] = Field(default=(), max_length=200, description="None of these")


class DependenciesRequest(Model):
    """Asks how the dependencies of the project stand."""

    policy: LicencePolicy = LicencePolicy()


class Verdict(StrEnum):
    """What the policy says about a licence."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNKNOWN = "unknown"
    NOT_SHIPPED = "not shipped"


class Package(Model):
    """A distribution that the project declares, or that one of those brings along.

    Attributes:
        version: of the lock file, else of what is installed; None where neither is there.
        scopes: where it is declared, e.g. "runtime"; empty for one that others bring along.
        shipped: whether an install of the project takes it, extras included.
        requires: names of what it requires itself, as far as that is known.
        seen_in: where its version comes from.
    """

    name: str
    version: str | None
    scopes: tuple[str, ...]
    shipped: bool
    requires: tuple[str, ...]
    licence: str | None
    verdict: Verdict
    reason: str
    seen_in: str


class Dependencies(Outcome):
    """The graph of dependencies, the verdict on each licence, and what is wrong as findings."""

    retrieved_at: AwareDatetime
    own_licence: str | None
    packages: tuple[Package, ...]
    locks: tuple[str, ...]
    places: tuple[str, ...]
