"""/docs: the page that shows people what this API offers."""

import trio
from quart import Blueprint, Response

from actors.errors import NotFound
from api import docs_page
from api.conventions.freshness import FOREVER


def routes() -> Blueprint:
    blueprint = Blueprint("docs", __name__, url_prefix="/docs")

    @blueprint.get("")
    async def page() -> Response:
        text = await trio.to_thread.run_sync(docs_page.page)
        headers = {"Content-Security-Policy": docs_page.POLICY}
        return Response(text, headers=headers, content_type="text/html; charset=utf-8")

    @blueprint.get("/<name>")
    async def asset(name: str) -> Response:
        found = (await trio.to_thread.run_sync(docs_page.assets)).get(name)
        if found is None:
            raise NotFound(f"the page has no file {name}")
        body = await trio.to_thread.run_sync(found.read_bytes)
        headers = {"Cache-Control": FOREVER}
        return Response(body, headers=headers, content_type=docs_page.TYPES[found.suffix])

    return blueprint
