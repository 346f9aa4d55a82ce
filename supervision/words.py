"""What an exception says of itself, whatever it is.

Exceptions come from anybody's code, and their `__str__` may fail. The kernel has to speak of them
at the very moment when it must not fail itself.
"""

__all__ = ["words"]


def words(error: BaseException) -> str:
    """Returns `Type: text`; of one that cannot put itself into words, only what it is."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}"
    except Exception as failure:  # noqa: BLE001  anything may come out of anybody's __str__
        return f"{kind}: (its text cannot be shown: {type(failure).__name__})"
