"""The signing keys: a private file, one key that signs, and those before it until their date."""

import json
import stat
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from actors.auth import signing
from actors.auth.messages import ListSigningKeys, RotateSigningKey
from actors.auth.settings import ALGORITHMS, Algorithm, AuthSettings
from actors.auth.signing import BadSigningKeys
from actors.errors import Conflict
from supervision import StartError
from tests.actors.auth.bench import BEGIN, bench


async def test_the_first_start_makes_a_key_and_the_next_ones_keep_it(repo: Path) -> None:
    async with bench(repo) as site:
        pair = await site.pair()
        assert stat.S_IMODE(site.signing_keys.stat().st_mode) == 0o600
        before = site.signing_keys.read_bytes()
    async with bench(repo) as site:
        assert site.signing_keys.read_bytes() == before
        await site.who(pair.access_token)


async def test_after_a_rotation_two_keys_verify_one_signs_and_the_old_one_dies(repo: Path) -> None:
    async with bench(repo) as site:
        old = await site.pair()
        new = await site.ask(RotateSigningKey(by="ada"))
        following = await site.pair()
        assert jwt.get_unverified_header(following.access_token)["kid"] == new.kid
        await site.who(old.access_token)
        await site.who(following.access_token)
        first, second = await site.ask(ListSigningKeys())
        assert (first.signs, second.signs, second.kid) == (False, True, new.kid)
        assert first.retires_at == "2026-03-01T12:15:30.000000Z"
        site.calendar.on(930)
        assert await site.ask(ListSigningKeys()) == (second,)
        await site.ask(RotateSigningKey(by="ada"))
    kids = [row["kid"] for row in json.loads(site.signing_keys.read_text())["keys"]]
    assert first.kid not in kids
    assert len(kids) == 2


async def test_a_rotation_is_in_the_audit_log_before_a_key_signs(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(repo) as site:
        before = site.signing_keys.read_bytes()

        def fails(path: Path, keys: signing.Keys) -> None:
            raise OSError(28, "No space left on device", str(path))

        monkeypatch.setattr(signing, "save", fails)
        with pytest.raises(Conflict, match="No space left"):
            await site.ask(RotateSigningKey(by="ada"))
        told = [(line.action, line.outcome) for line in await site.audit()]
        assert told == [("signing_key.rotate", "done"), ("signing_key.rotate", "refused")]
        assert site.signing_keys.read_bytes() == before
        await site.who((await site.pair()).access_token)


async def test_a_disk_that_is_full_at_the_first_start_only_makes_tokens_end_with_the_process(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(path: Path, keys: signing.Keys) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(signing, "save", fails)
        async with bench(repo) as site:
            pair = await site.pair()
            await site.who(pair.access_token)
            assert "signing keys are not kept" in capfd.readouterr().out
    async with bench(repo) as site:
        await site.opens_nothing(pair.access_token)
        await site.who((await site.next(pair)).access_token)


async def test_there_is_a_limit_to_how_many_keys_verify(repo: Path) -> None:
    async with bench(repo) as site:
        pair = await site.pair()
        for _ in range(15):
            await site.ask(RotateSigningKey(by="ada"))
        await site.who(pair.access_token)
        with pytest.raises(Conflict):
            await site.ask(RotateSigningKey(by="ada"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_tokens_of_either_algorithm_are_given_and_taken(
    repo: Path, algorithm: Algorithm
) -> None:
    async with bench(repo, settings=AuthSettings(algorithm=algorithm)) as site:
        pair = await site.pair()
        assert jwt.get_unverified_header(pair.access_token)["alg"] == algorithm
        assert (await site.who(pair.access_token)).user_id == "ada"


async def test_another_algorithm_ends_the_tokens_of_the_one_before(repo: Path) -> None:
    async with bench(repo) as site:
        pair = await site.pair()
    async with bench(repo, settings=AuthSettings(algorithm="EdDSA")) as site:
        await site.opens_nothing(pair.access_token)
        await site.who((await site.next(pair)).access_token)


async def test_another_issuer_or_audience_ends_the_tokens_of_the_one_before(repo: Path) -> None:
    async with bench(repo) as site:
        pair = await site.pair()
    for settings in (AuthSettings(issuer="other"), AuthSettings(audience="other")):
        async with bench(repo, settings=settings) as site:
            await site.opens_nothing(pair.access_token)


async def test_what_a_writer_that_died_has_left_is_removed_at_the_start(repo: Path) -> None:
    async with bench(repo) as site:
        left = site.signing_keys.with_name(f".{signing.NAME}.abcdef")
        left.write_text("half")
    async with bench(repo):
        assert not left.exists()


def change(**given: Any) -> Callable[[dict[str, Any]], object]:
    return lambda file: file["keys"][-1].update(given)


def text(secret: bytes) -> str:
    return urlsafe_b64encode(secret).decode()


BAD: dict[str, Callable[[dict[str, Any]], object]] = {
    "31 bytes": change(secret=text(b"k" * 31)),
    "no secret": change(secret=""),
    "no text": change(secret=1),
    "not base64": change(secret="!"),
    "another algorithm": change(algorithm="none"),
    "a name that is none": change(kid=1),
    "an empty name": change(kid=""),
    "more than ours": change(more=1),
    "none signs": change(retires_at="2026-01-01T00:00:00.000000Z"),
    "one name twice": lambda file: file["keys"].insert(
        0, {**file["keys"][0], "retires_at": "2027-01-01T00:00:00.000000Z"}
    ),
    "two that sign": lambda file: file["keys"].insert(0, {**file["keys"][0], "kid": "other"}),
    "no list": lambda file: file.update(keys={}),
    "a later form": lambda file: file.update(form=2),
}


@pytest.mark.parametrize("what", BAD)
def test_a_file_that_is_not_as_it_was_written_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / signing.NAME
    key = signing.new_key("HS256", BEGIN, lambda size: b"s" * size)
    signing.save(path, (key,))
    file = json.loads(path.read_text())
    BAD[what](file)
    path.write_text(json.dumps(file))
    with pytest.raises(BadSigningKeys) as error:
        signing.load(path)
    assert text(b"s" * 32) not in str(error.value)
    assert "ssss" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b"\xff", b"[" * 60_000, b" " * 70_000]
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / signing.NAME
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(BadSigningKeys):
        signing.load(path)


def test_a_file_that_others_may_read_and_a_link_are_refused(tmp_path: Path) -> None:
    path, link = tmp_path / signing.NAME, tmp_path / "link"
    signing.save(path, (signing.new_key("HS256", BEGIN, lambda size: b"s" * size),))
    link.symlink_to(path)
    with pytest.raises(BadSigningKeys):
        signing.load(link)
    with pytest.raises(BadSigningKeys):
        signing.load(tmp_path)
    path.chmod(0o640)
    with pytest.raises(BadSigningKeys, match="0640"):
        signing.load(path)


def test_a_link_in_the_file_s_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / signing.NAME
    canary.write_text("as it was")
    path.symlink_to(canary)
    signing.save(path, (signing.new_key("HS256", BEGIN, lambda size: b"s" * size),))
    assert canary.read_text() == "as it was"
    assert not path.is_symlink()
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


async def test_a_short_secret_lets_nothing_start(repo: Path) -> None:
    async with bench(repo) as site:
        pass
    file = json.loads(site.signing_keys.read_text())
    file["keys"][0]["secret"] = text(b"k" * 31)
    site.signing_keys.write_text(json.dumps(file))
    with pytest.raises((StartError, ExceptionGroup)) as error:
        async with bench(repo):
            pass
    assert "31 bytes" in repr(error.value)
