"""Where in a request a refused field stands, when the message calls it by another name."""

from collections.abc import Iterator
from contextlib import contextmanager

from actors.errors import ValidationError


@contextmanager
def sent_as(**names: str) -> Iterator[None]:
    """Name the field that was sent for each of the message's fields that has another name."""
    try:
        yield
    except ValidationError as err:
        err.field = names.get(err.field, err.field)
        raise
