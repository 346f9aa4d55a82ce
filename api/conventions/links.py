"""Lists: one page of many, and the address of the next one in `Link` (RFC 8288).

The address is the one that was asked for, with its cursor replaced. It names no host, so that it
holds behind any proxy.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from quart import Request, Response, jsonify


def page(request: Request, data: Sequence[Any], next_cursor: str | None, **more: Any) -> Response:
    """A list by cursor: `{"data": […], "next_cursor": …}`, and whatever else the list says."""
    response = jsonify({"data": data, "next_cursor": next_cursor, **more})
    if next_cursor is not None:
        response.headers["Link"] = next_link(request, cursor=next_cursor)
    return response


def numbered(request: Request, data: Sequence[Any], *, after: int | None, **more: Any) -> Response:
    """A list by rising numbers; it goes on after `after`, which is None on the last page."""
    response = jsonify({"data": data, **more})
    if after is not None:
        response.headers["Link"] = next_link(request, after=str(after))
    return response


def next_link(request: Request, **replaced: str) -> str:
    """The value of `Link`: this very request, with a parameter replaced."""
    asked = [
        (name, value) for name, value in request.args.items(multi=True) if name not in replaced
    ]
    query = urlencode([*asked, *replaced.items()])
    return f'<{quote(request.path)}?{query}>; rel="next"'
