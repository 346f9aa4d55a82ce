"""The `fields` parameter: only what a client wants to have of each thing."""

from collections.abc import Collection, Sequence
from typing import Any

from actors.errors import ValidationError


def select(
    things: Sequence[dict[str, Any]], names: Sequence[str], known: Collection[str] | None
) -> list[dict[str, Any]]:
    """Each thing with the named fields alone; with all of them where none is named.

    `known` are the names that there are, None where a record may hold any.

    Raises:
        ValidationError: a name is not known.
    """
    if not names:
        return list(things)
    unknown = () if known is None else [name for name in names if name not in known]
    if unknown and known is not None:
        raise ValidationError(
            f"there is no field {unknown[0][:100]!r}; there are {', '.join(known)}",
            field="fields",
            value=None,
        )
    return [{name: each[name] for name in dict.fromkeys(names) if name in each} for each in things]
