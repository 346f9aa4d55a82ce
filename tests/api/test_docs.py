"""The page that shows the API in a browser: all of it comes from here, and runs as it is served."""

import re
from hashlib import sha256
from typing import Any

import pytest

from api import docs_page
from api.app import create_app
from tests.api.asgi import Answer, call
from tests.api.problems import refused

VENDORED = {
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}


async def get(target: str) -> Answer:
    nothing: Any = None
    return await call(create_app(nothing), "GET", target)


async def test_every_file_that_the_page_names_is_served_for_good() -> None:
    page = await get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.body.decode())
    assert len(named) == 3
    for name in named:
        found = await get(f"/{name}")
        assert found.status == 200
        assert found.headers["cache-control"].endswith("immutable")
        assert sha256(found.body).hexdigest()[:16] in name
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        assert found.headers["content-type"].partition(";")[0] == kind


async def test_the_page_has_no_script_or_style_of_its_own_and_nothing_from_elsewhere() -> None:
    page = await get("/docs")
    text = page.body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|https?:", text)
    assert page.headers["content-security-policy"] == docs_page.POLICY
    assert "unsafe" not in docs_page.POLICY


@pytest.mark.parametrize("name", ["start.js", "page.html", "..%2Fpage.html", "README.md", "%00"])
async def test_nothing_else_is_served(name: str) -> None:
    refused(await get(f"/docs/{name}"), 404, "not_found")


@pytest.mark.parametrize(("name", "digest"), VENDORED.items())
def test_what_is_of_others_is_unchanged(name: str, digest: str) -> None:
    content = (docs_page.HERE / "vendor" / name).read_bytes()
    assert sha256(content).hexdigest() == digest
