"""What every answer tells browsers not to do with it.

The API shows no pages: nothing of it is to be run, framed, or taken for another type. A page that
does need something (`Content-Security-Policy`) has said so itself, and keeps what it said.
"""

from typing import Final

from werkzeug.datastructures import Headers

NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of answers that are no pages."""

HSTS: Final = "max-age=31536000; includeSubDomains"

_SECURE: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
)

PLAIN: Final = tuple(
    (name.lower().encode(), value.encode())
    for name, value in (*_SECURE, ("Content-Security-Policy", NOTHING))
)
"""The same for answers that no app makes."""


def secure(headers: Headers, *, behind_tls: bool) -> None:
    """Add them to an answer's headers."""
    headers._list.extend(_SECURE)  # noqa: SLF001 - these are fit, and looking again takes 15 us
    if "Content-Security-Policy" not in headers:
        headers["Content-Security-Policy"] = NOTHING
    if behind_tls:
        headers["Strict-Transport-Security"] = HSTS
