"""Tokens that others have made, or have changed: none of more than two hundred opens anything."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.auth import signing
from actors.auth.errors import Unauthenticated
from actors.auth.roles import GRANTS, Permission, Role
from actors.auth.settings import ALGORITHMS, Algorithm, AuthSettings
from actors.auth.signing import SigningKey
from actors.auth.tokens import LONGEST, Tokens
from tests.actors.auth.bench import BEGIN

NOW = int(BEGIN.timestamp())
CHANCE = random.Random(1)
ABSENT = object()


class Forge:
    """Knows the deployment's own key, so that only what is wrong with a token is wrong with it."""

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm = algorithm
        self.key = signing.new_key(algorithm, BEGIN, CHANCE.randbytes)
        other: Algorithm = "HS256" if algorithm == "EdDSA" else "EdDSA"
        self.of_other = signing.new_key(other, BEGIN, CHANCE.randbytes)
        self.tokens = Tokens(AuthSettings(algorithm=algorithm), lambda: (self.of_other, self.key))

    def good(self) -> str:
        return self.tokens.make(
            user_id="ada",
            roles=[Role.ADMIN],
            permissions=list(Permission),
            jti="0123456789abcdef",
            at=BEGIN,
            expires_in=900,
        )

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": self.algorithm, "kid": self.key.kid, "typ": "at+jwt"}

    @property
    def claims(self) -> dict[str, Any]:
        said: dict[str, Any] = jwt.decode(self.good(), options={"verify_signature": False})
        return said

    def signed(self, header: object, claims: object, key: SigningKey | None = None) -> str:
        """A token with a signature of ours over whatever this is; texts are taken as they are."""
        head, body = map(part, (header, claims))
        return f"{head}.{body}.{self.signature(f'{head}.{body}', key or self.key)}"

    def signature(self, text: str, key: SigningKey) -> str:
        if key.algorithm == "HS256":
            return b64(hmac.digest(key.secret, text.encode(), hashlib.sha256))
        return b64(pair(key).sign(text.encode()))


def pair(key: SigningKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.secret)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return b64(text.encode())


def with_claim(forge: Forge, name: str, value: object) -> str:
    claims = {key: each for key, each in forge.claims.items() if key != name}
    return forge.signed(forge.header, claims if value is ABSENT else {**claims, name: value})


def with_header(forge: Forge, name: str, value: object) -> str:
    header = {key: each for key, each in forge.header.items() if key != name}
    return forge.signed(header if value is ABSENT else {**header, name: value}, forge.claims)


CLAIMS: dict[str, list[object]] = {
    "exp": [
        *(ABSENT, NOW, NOW - 1, NOW + 901, 10**30, -1, 0, 1e300, float(NOW + 60)),
        *(str(NOW + 60), True, None, [NOW + 60], {}),
    ],
    "iat": [ABSENT, NOW + 31, NOW + 10**9, 10**30, NOW - 901, str(NOW), True, None, float(NOW)],
    "nbf": [ABSENT, NOW + 31, NOW - 1, 10**30, str(NOW), None, [], -(10**30)],
    "iss": [ABSENT, "", "beadflo", "beadflow2", "BEADFLOW", "Beadflow", None, ["beadflow"], 1],
    "aud": [ABSENT, "", "beadflo", "beadflow/", ["beadflow"], ["x", "beadflow"], None, {}, "*"],
    "sub": [ABSENT, "", "bob", None, 1, ["ada"]],
    "user_id": [ABSENT, "", "bob", None, 1, {"$ne": ""}],
    "jti": [ABSENT, None, 1, [], {}],
    "roles": [ABSENT, "admin", None, ["root"], [1], {"admin": 1}, ["admin", "root"], [["admin"]]],
    "permissions": [ABSENT, "*", None, ["*"], [1], ["workflow:read", "all"], {}],
    "scope": ["admin"],
    "cnf": [{"jwk": {}}],
    "__proto__": [{}],
}

HEADERS: dict[str, list[object]] = {
    "alg": [
        *(ABSENT, None, "", "none", "None", "NONE", "nOnE", "HS384", "HS512", "RS256", "PS256"),
        *("ES256", "ES256K", "EdDSA ", "hs256", "HS256\x00", 1, ["HS256"], "Ed448", "dir"),
    ],
    "kid": [
        *(ABSENT, None, "", "0", "../../dev/null", "/dev/null", "' OR '1'='1", "\x00", 0, ["x"]),
        *({"kty": "oct"}, "a" * 1000, "é", "\uff10" * 16),
    ],
    "typ": [ABSENT, None, "", "JWT", "jwt", "at+JWT", "AT+JWT", "application/at+jwt", 1, "id+jwt"],
    "crit": [["exp"], [], ["b64"], ["http://openbanking.org.uk/iat"]],
    "b64": [False, True],
    "jku": ["https://evil.example/keys"],
    "x5u": ["https://evil.example/cert"],
    "x5c": [["MII"]],
    "jwk": [{"kty": "oct", "k": b64(b"k" * 32)}],
    "cty": ["JWT"],
    "zip": ["DEF"],
    "enc": ["A256GCM"],
    "p2c": [10**9],
    "extra": [1],
}


def forged(forge: Forge) -> Iterator[tuple[str, str]]:
    for name, values in CLAIMS.items():
        yield from ((f"{name}={value!r}", with_claim(forge, name, value)) for value in values)
    for name, values in HEADERS.items():
        yield from ((f"{name}:{value!r}", with_header(forge, name, value)) for value in values)
    yield from signed_by_others(forge)
    yield from spelled(forge)
    yield from odd_json(forge)


def signed_by_others(forge: Forge) -> Iterator[tuple[str, str]]:
    """Whatever others can sign with, and what of ours everybody may know."""
    claims, header = forge.claims, forge.header
    public = pair(forge.key).public_key() if forge.algorithm == "EdDSA" else None
    guesses = [b"", b"secret", b"\x00" * 32, forge.key.kid.encode(), b"beadflow", b"k" * 32]
    if public is not None:
        raw = public.public_bytes_raw()
        of = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = public.public_bytes(serialization.Encoding.PEM, of)
        guesses += [raw, b64(raw).encode(), pem, pem.strip()]
    for secret in guesses:
        guess = SigningKey(kid=forge.key.kid, algorithm="HS256", secret=secret, created_at="")
        for alg in ("HS256", forge.algorithm):
            yield f"{alg} by {secret!r}", forge.signed({**header, "alg": alg}, claims, guess)
    stranger = signing.new_key(forge.algorithm, BEGIN, CHANCE.randbytes)
    yield "a stranger's", forge.signed(header, claims, stranger)
    yield "a stranger's kid", forge.signed({**header, "kid": stranger.kid}, claims, stranger)
    other = {**header, "alg": forge.of_other.algorithm}
    yield "the other algorithm, our kid", forge.signed(other, claims, forge.of_other)
    kid = {"kid": forge.of_other.kid}
    yield "the other algorithm, its kid", forge.signed({**other, **kid}, claims, forge.of_other)
    yield "its kid, our algorithm", forge.signed({**header, **kid}, claims, forge.of_other)
    yield "its kid, our key", forge.signed({**header, **kid}, claims)
    for alg, key in {
        "RS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
    }.items():
        headers = {"kid": forge.key.kid, "typ": "at+jwt"}
        yield alg, jwt.encode(claims, key, algorithm=alg, headers=headers)
    own = PyJwk(forge)
    yield "a key of its own in the header", forge.signed({**header, "jwk": own.public}, claims, own)


class PyJwk(SigningKey):
    """A stranger's key that says of itself what it is."""

    def __init__(self, forge: Forge) -> None:
        super().__init__(
            kid=forge.key.kid, algorithm="EdDSA", secret=CHANCE.randbytes(32), created_at=""
        )

    @property
    def public(self) -> dict[str, str]:
        raw = pair(self).public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), "kid": self.kid}


def spelled(forge: Forge) -> Iterator[tuple[str, str]]:
    """A good token in other spellings, and with parts of it changed."""
    good = forge.good()
    head, body, signature = good.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    yield from ((f"last {c}", good[:-1] + c) for c in alphabet if c != good[-1])
    for place in range(0, len(good), len(good) // 24):
        yield (
            f"changed at {place}",
            f"{good[:place]}{'A' if good[place] != 'A' else 'B'}{good[place + 1 :]}",
        )
    none = part({**forge.header, "alg": "none"})
    yield from {
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "four parts": f"{good}.{signature}",
        "five parts": f"{head}..{body}.{signature}.x",
        "alg none": f"{none}.{body}.",
        "alg none, signed": f"{none}.{body}.{signature}",
        "nothing": "",
        "dots": "..",
        "one dot": ".",
        "padded": f"{good}=",
        "padded head": f"{head}=.{body}.{signature}",
        "a space before": f" {good}",
        "a space after": f"{good} ",
        "a line end": f"{good}\n",
        "a null": f"{good}\x00",
        "a null inside": good.replace(".", ".\x00", 1),
        "a soft hyphen": good.replace(".", "\u00ad.", 1),
        "a full stop of another kind": good.replace(".", "\uff0e"),
        "wide letters": "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in good),
        "a surrogate": f"{good}\ud800",
        "standard base64": good.replace("-", "+").replace("_", "/") + "+/",
        "a cut signature": good[:-2],
        "a longer signature": f"{good}AAAA",
        "twice": good + good,
        "in quotes": f'"{good}"',
        "bearer": f"Bearer {good}",
        "upper": good.upper(),
        "swapped": f"{body}.{head}.{signature}",
        "no head": f".{body}.{signature}",
        "no body": f"{head}..{signature}",
        "huge": f"{head}.{body}.{'A' * 1_000_000}",
        "huge head": f"{'A' * 1_000_000}.{body}.{signature}",
        "in JSON": json.dumps({"protected": head, "payload": body, "signature": signature}),
        "of random bytes": ".".join(b64(CHANCE.randbytes(60)) for _ in range(3)),
    }.items()


def odd_json(forge: Forge) -> Iterator[tuple[str, str]]:
    """Signed by us, but not as we write."""
    head, claims = json.dumps(forge.header), json.dumps(forge.claims)
    deep = "[" * 2000 + "]" * 2000
    for why, header, body in [
        ("alg twice", f'{{"alg":"none",{head[1:]}', claims),
        ("kid twice", f'{head[:-1]},"kid":"{forge.key.kid}"}}', claims),
        ("exp twice", head, f'{{"exp":1,{claims[1:]}'),
        ("roles twice", head, f'{claims[:-1]},"roles":["admin"]}}'),
        ("exp NaN", head, claims.replace(str(NOW + 900), "NaN")),
        ("exp Infinity", head, claims.replace(str(NOW + 900), "Infinity")),
        ("exp with an exponent", head, claims.replace(str(NOW + 900), f"{NOW + 900}e0")),
        ("exp of many digits", head, claims.replace(str(NOW + 900), "9" * 5000)),
        ("a list", head, f"[{claims}]"),
        ("a text", head, '"ada"'),
        ("null", head, "null"),
        ("no JSON", head, "{"),
        ("nothing", head, ""),
        ("deep", head, deep),
        ("deep head", deep, claims),
        ("head of a list", f"[{head}]", claims),
        ("head of nothing", "{}", claims),
        ("more after it", head, f"{claims}{{}}"),
        ("a mark before it", head, f"\ufeff{claims}"),
        ("a token inside", head, json.dumps(forge.good())),
    ]:
        yield why, forge.signed(header, body)
    latin = f"{part(head)}.{b64(claims.replace('ada', 'adé').encode('latin-1'))}"
    yield "no UTF-8", f"{latin}.{forge.signature(latin, forge.key)}"
    long = {**forge.claims, "permissions": [*Permission] * 100}
    assert len(forge.signed(forge.header, long)) > LONGEST
    yield "long", forge.signed(forge.header, long)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_of_more_than_two_hundred_forged_tokens_none_is_taken(algorithm: Algorithm) -> None:
    forge = Forge(algorithm)
    tried = dict(forged(forge))
    assert len(tried) > 200
    taken = []
    for why, token in tried.items():
        try:
            forge.tokens.read(token, BEGIN)
        except Unauthenticated:
            continue
        taken.append(why)
    assert taken == []


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_forge_makes_tokens_that_are_taken_when_nothing_is_wrong(algorithm: Algorithm) -> None:
    forge = Forge(algorithm)
    for token in (forge.good(), forge.signed(forge.header, forge.claims)):
        said = forge.tokens.read(token, BEGIN)
        assert (said.user_id, said.permissions) == ("ada", GRANTS[Role.ADMIN])


def test_a_token_gives_no_permission_that_its_roles_do_not_hold() -> None:
    forge = Forge("HS256")
    said = forge.tokens.read(with_claim(forge, "roles", ["viewer"]), BEGIN)
    assert said.permissions == GRANTS[Role.VIEWER]


def test_the_largest_token_that_is_made_is_taken() -> None:
    settings = AuthSettings(issuer="i" * 200, audience="a" * 200)
    key = signing.new_key("HS256", BEGIN, CHANCE.randbytes)
    tokens = Tokens(settings, lambda: (key,))
    token = tokens.make(
        user_id="u" * 100,
        roles=list(Role),
        permissions=list(Permission),
        jti="0123456789abcdef",
        at=BEGIN,
        expires_in=900,
    )
    assert tokens.read(token, BEGIN).user_id == "u" * 100
