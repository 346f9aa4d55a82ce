"""How a client says who asks, as OpenAPI and AsyncAPI describe it."""

from typing import Any, Final

from api.sessions import COOKIE, CSRF_HEADER

SECURITY: Final[dict[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or an access token that one was exchanged for.",
    },
    "session": {
        "type": "httpApiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A browser that has signed in. Whatever may change something shows the "
        f"`csrf_token` of the session in `{CSRF_HEADER}`, too.",
    },
    "ticket": {
        "type": "httpApiKey",
        "in": "query",
        "name": "ticket",
        "description": "Of `POST /api/v1/auth/tickets`: opens one WebSocket, once.",
    },
}
"""Of streams."""

REQUESTS: Final[dict[str, Any]] = {
    "bearer": SECURITY["bearer"],
    "session": {**SECURITY["session"], "type": "apiKey"},
}
"""Of requests; a ticket opens WebSockets only."""
