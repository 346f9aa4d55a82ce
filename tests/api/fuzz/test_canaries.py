"""Secrets that somebody sends, in the right place or a wrong one, are kept and shown nowhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.fuzz.corpus import Valid
from tests.api.fuzz.raw import Reply, ask
from tests.api.fuzz.served import Served, served

MARK = "cAnArY"
FORMS = (
    f"bf_{MARK}0123456789_{'A' * 43}",
    f"{MARK}.eyJhbGciOiJub25lIn0.e30.",
    f"eyJhbGciOiJub25lIn0.{MARK}.{MARK}",
    f"{MARK} with spaces",
    f"{MARK}\u00e9",
)
SHAPED = FORMS[:3]
"""Those that look like a credential, wherever they stand."""

HEADERS = (
    *(
        "Authorization",
        "Proxy-Authorization",
        "X-Api-Key",
        "Api-Key",
        "X-Auth-Token",
        "X-CSRF-Token",
    ),
    *("Cookie", "Sec-WebSocket-Protocol"),
)
BEFORE = {
    "Authorization": ("Bearer ", "bearer  ", "Basic ", ""),
    "Cookie": ("session=", "__Host-session=", "__Host-beadflow=", ""),
    "Sec-WebSocket-Protocol": ("beadflow.bearer.",),
}
PARAMETERS = (
    "token",
    "access_token",
    "ticket",
    "api_key",
    "key",
    "refresh_token",
    "session",
    "csrf",
)
SECRETS = ("api_key", "key", "token", "refresh_token", "secret", "password", "ticket")
PLACES = ("token", "refresh", "session", "tickets", "revoke", "keys")


def attempts() -> Iterator[bytes]:
    for form in FORMS:
        text = quote(form, safe="._ -") if not form.isascii() else form
        for header in HEADERS:
            for prefix in BEFORE.get(header, ("",)):
                for method, path in (("GET", "/api/v1/workflows"), ("POST", "/api/v1/issues")):
                    headers = ((header, prefix + text), ("Content-Type", "application/json"))
                    yield Valid(method=method, path=path, headers=headers, body=b"{}").raw()
        for name in PARAMETERS:
            for path in ("/api/v1/events", "/api/v1/workflows", "/health/live", "/nowhere"):
                yield Valid(method="GET", path=path, query=f"{name}={quote(form)}").raw()
        for place in PLACES:
            for name in SECRETS:
                typed = (("Content-Type", "application/json"),)
                body = json.dumps({name: form}).encode()
                path = f"/api/v1/auth/{place}"
                yield Valid(method="POST", path=path, headers=typed, body=body).raw()
        yield Valid(method="DELETE", path=f"/api/v1/auth/keys/{quote(form)}").raw()


def shown(reply: Reply | None) -> str:
    return "" if reply is None else f"{reply.headers}{reply.body.decode('utf-8', 'replace')}"


def kept(root: Path) -> Iterator[tuple[str, bytes]]:
    """All files there are, of databases too."""
    for path in root.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(root)), path.read_bytes()


async def granted(here: Served) -> list[str]:
    """Secrets that open something: a key, and what comes of it."""
    body = json.dumps({"api_key": here.key}).encode()
    typed = (("Content-Type", "application/json"), ("Authorization", f"Bearer {here.key}"))
    found = [here.key.rpartition("_")[2]]
    for place in ("token", "session", "tickets"):
        for sent in (body, b"{}"):
            path = f"/api/v1/auth/{place}"
            raw = Valid(method="POST", path=path, headers=typed, body=sent).raw()
            reply = await ask(here.address, raw)
            if reply is not None and reply.status < 300:
                told = json.loads(reply.body)
                names = ("access_token", "refresh_token", "ticket", "csrf_token")
                found += [told[name] for name in names if name in told]
    return found


async def test_secrets_that_are_sent_are_kept_and_shown_nowhere(
    tmp_path: Path, repo: Path, logged: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with served(repo) as here:
        for raw in attempts():
            reply = await ask(here.address, raw)
            assert MARK not in shown(reply), (raw, reply)
        secrets = await granted(here)
        assert len(secrets) >= 4
        reading = Valid(
            method="GET", path="/api/v1/events", headers=(("Authorization", f"Bearer {here.key}"),)
        )
        events = shown(await ask(here.address, reading.raw()))
        files = list(kept(tmp_path))
    told = f"{events}{logged}{caplog.text}"
    assert [secret for secret in (MARK, *secrets) if secret in told] == []
    found = [
        (name, secret)
        for name, content in files
        for secret in (MARK, *secrets)
        if secret.encode() in content
    ]
    assert found == []
    in_the_end = [content for _, content in kept(tmp_path)]  # with what was counted until then
    assert not [form for form in SHAPED for content in in_the_end if form.encode() in content]
    key_id = here.key.split("_")[1]  # which is no secret, and shows that the search finds things
    assert any(key_id.encode() in content for _, content in files)
