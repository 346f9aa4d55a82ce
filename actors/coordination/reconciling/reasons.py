"""Close reasons: a plain word after the colon, never prose, since bd reads failure words there."""

from typing import Final

TOKEN_CHARACTERS: Final = 60


def failed(code: str) -> str:
    """The close reason of an issue whose workflow has failed with a code."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in code)
    return f"Failed: {kept[:TOKEN_CHARACTERS] or 'unknown'}"
