"""The page at /docs: the description of the API for people, with all that it needs beside it.

It is Swagger UI, whose files are in `vendor/`. They are served under names that hold their hash, so
that a browser keeps them for good and never has an old one; nothing comes from elsewhere.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts and styles of this server alone, and none that stand in the page itself."""

HERE: Final = Path(__file__).parent
TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
_HASH: Final = 16


@cache
def assets() -> Mapping[str, Path]:
    """The files of the page, by the names that they are served under. It reads all of them."""
    found = (HERE / "start.js", *sorted((HERE / "vendor").glob("swagger-ui*")))
    return {_name(path): path for path in found if path.suffix in TYPES}


@cache
def page() -> str:
    """The page in HTML. It reads the files of the page."""
    text = (HERE / "page.html").read_text("utf-8")
    for name, path in assets().items():
        text = text.replace(f"{{{path.name}}}", f"docs/{name}")
    return text


def _name(path: Path) -> str:
    digest = sha256(path.read_bytes()).hexdigest()[:_HASH]
    return f"{path.stem}.{digest}{path.suffix}"
