"""Secrets are found nowhere but where they were given: not in stores, backups, logs or errors."""

import hashlib
import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from actors.auth import signing
from actors.auth.errors import Unauthenticated
from actors.auth.messages import (
    Authenticate,
    ExchangeKey,
    ListKeys,
    MakeTicket,
    Note,
    RefreshToken,
    RevokeKey,
    RevokeTokens,
    RotateSigningKey,
    UseTicket,
    VerifyAudit,
)
from actors.errors import ValidationError
from storage.backup import take
from storage.restore import restore, verify
from supervision import Refused
from tests.actors.auth.bench import Bench, bench


async def use_all(site: Bench) -> list[str]:
    """Use every kind of secret, well and wrongly; answers them, with some that nobody gave out."""
    new, bobs = await site.make(name="laptop"), await site.make(user_id="bob")
    first = await site.pair(key=new.secret)
    second = await site.next(first)
    ticket = (await site.ask(MakeTicket(principal=second.principal))).ticket
    await site.ask(UseTicket(ticket=ticket))
    await site.ask(RotateSigningKey(by="ada"))
    wrong = [f"{secret[:-4]}zzzz" for secret in (new.secret, first.refresh_token, ticket)]
    tampered = f"{second.access_token[:-6]}AAAAAA"
    for text in (*wrong, tampered, first.refresh_token, "canary" * 10):
        for message in (
            Authenticate(credential=text),
            ExchangeKey(key=text),
            RefreshToken(refresh_token=text),
            UseTicket(ticket=text),
        ):
            await is_refused(site, message, text)
    await site.ask(RevokeKey(key_id=new.record.id, by="ada"))
    pairs = (first, second)
    tokens = [text for pair in pairs for text in (pair.access_token, pair.refresh_token)]
    return [new.secret, bobs.secret, ticket, *tokens, *wrong, tampered, "canary" * 10]


async def is_refused(site: Bench, message: object, shown: str) -> None:
    """What is refused says nothing of what was shown."""
    with pytest.raises(Refused) as error:
        await site.ask(message)
    for text in (repr(error.value), str(error.value), repr(message)):
        assert shown not in text


def parts(secrets: list[str]) -> Iterator[bytes]:
    """What gives a secret away: all of it, or the part that nobody can guess."""
    for secret in secrets:
        yield secret.encode()
        if secret.startswith("ey"):
            yield secret.rpartition(".")[2].encode()
        elif secret.startswith("bf"):
            yield secret[-43:].encode()
            with suppress(ValueError):
                yield urlsafe_b64decode(f"{secret[-43:]}=")


def signing_secrets(site: Bench) -> list[bytes]:
    rows = json.loads(site.signing_keys.read_text())["keys"]
    texts = [row["secret"] for row in rows]
    return [text.encode() for text in texts] + [urlsafe_b64decode(text) for text in texts]


def files_with(root: Path, needles: list[bytes]) -> set[str]:
    files = [path for path in root.rglob("*") if path.is_file()]
    assert files
    contents = {path.name: path.read_bytes() for path in files}
    return {name for name, data in contents.items() if any(needle in data for needle in needles)}


async def test_no_secret_is_found_in_files_logs_or_backups_but_its_hash(
    repo: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    backup = tmp_path / "backup"
    async with bench(repo) as site:
        secrets = await use_all(site)
        needles = list(parts(secrets))
        keys = signing_secrets(site)
        home = site.world.data.path
        assert files_with(home, needles) == set()
        assert files_with(home, keys) == {signing.NAME}
        take(home, repo / "none", backup, program="1")
        told = repr(site.events).encode() + repr(await site.audit()).encode()
        assert not any(needle in told for needle in needles + keys)
    assert files_with(home, needles) == set()
    assert files_with(backup, needles + keys) == set()
    assert not (backup / signing.NAME).exists()
    out, err = capfd.readouterr()
    logged = (out + err + caplog.text).encode()
    assert b"used twice" in logged  # something is logged, and is captured
    assert not any(needle in logged for needle in needles + keys)
    digest = hashlib.sha256(secrets[0].encode()).hexdigest().encode()
    assert "coordination.db" in files_with(backup, [digest])


async def test_a_secret_where_a_name_should_be_is_not_in_the_audit_log(repo: Path) -> None:
    async with bench(repo) as site:
        secrets = [secret for secret in await use_all(site) if secret[:2] in ("bf", "ey")]
        shown = [f"DELETE /api/v1/auth/keys/{secret}" for secret in secrets]
        refused = Note(actor="eve", action="system:admin", target="", outcome="refused")
        done = Note(actor="eve", action="workflow:delete", target="", outcome="done")
        for secret in secrets:
            with suppress(ValidationError):  # one that is longer than any name
                assert await site.ask(RevokeTokens(by="ada", jti=secret)) == 0
        for target in shown:
            for note in (done, refused, replace(refused, action=target[-9:])):
                await site.ask(replace(note, target=target))
        plain = "DELETE /api/v1/workflows/wf-0123456789abcdef0123456789abcdef"
        await site.ask(replace(done, target=plain))
        home = site.world.data.path
    assert files_with(home, list(parts(secrets))) == set()
    assert files_with(home, [b"/api/v1/auth/keys/***", plain.encode()]) >= {"coordination.db"}


async def test_after_a_restore_keys_open_but_not_those_revoked_since_nor_tokens_made_elsewhere(
    repo: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    async with bench(repo) as site:
        new, lost = [await site.make() for _ in range(2)]
        pair, stolen, used = [await site.pair(key=new.secret) for _ in range(3)]
        lines = await site.audit()
        home = site.world.data.path
        take(home, repo / "none", backup, program="1")
        late = await site.make(user_id="late")
        await site.ask(RevokeKey(key_id=lost.record.id, by="ada"))
        await site.ask(RevokeTokens(by="ada", jti=stolen.principal.credential))
        await site.next(used)
    (home / signing.NAME).unlink()
    taken = verify(backup)
    with site.world.data as data:
        restore(data, backup, taken, repo / "none")
    async with bench(repo) as site:
        await site.who(new.secret)
        await site.opens_nothing(late.secret, pair.access_token)
        await site.who((await site.next(pair)).access_token)
        await site.opens_nothing(lost.secret)
        for gone in (stolen, used):
            with pytest.raises(Unauthenticated):
                await site.next(gone)
        assert (await site.audit())[: len(lines)] == lines
        assert (await site.ask(VerifyAudit())).broken_at is None
        listed = {key.id for key in await site.ask(ListKeys())}
        assert listed == {lost.record.id, new.record.id}
