"""The keys that tokens are signed with: one signs, those before it verify until their date.

They lie in a file of their own beside the databases, never in one: backups carry those. Whoever has
this file can make a token for any name it finds in the databases, so it is private, and a file that
others may read or write is refused.
"""

import json
import os
import stat
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from actors.auth.credentials import Entropy, new_id
from actors.auth.messages import SigningKeyRecord
from actors.auth.settings import ALGORITHMS, Algorithm
from actors.clock import rfc3339
from actors.errors import Conflict, WorkflowError
from storage import durable

NAME: Final = "signing-keys.json"
FORM: Final = 1
SECRET_BYTES: Final = 32
LONGEST_BYTES: Final = 64 * 1024
MOST: Final = 16
"""Keys that verify at once."""


class BadSigningKeys(WorkflowError):  # noqa: N818 - what is wrong, as the other errors are called
    """The file of the signing keys cannot be used: nothing starts with it."""

    code = "bad_signing_keys"
    status = 500
    hint = (
        "restore the file with mode 0600, or move it away: a new key is made, and whoever has a"
        " token then gets the next one with an API key"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One key.

    Args:
        secret: 32 random bytes or more; of EdDSA exactly 32, from which the pair is made.
        retires_at: when it stops verifying; None for the one that signs.
    """

    kid: str
    algorithm: Algorithm
    secret: bytes = field(repr=False)
    created_at: str
    retires_at: str | None = None

    @property
    def is_odd(self) -> bool:
        """Whether the secret is none of its algorithm's."""
        return self.algorithm == "EdDSA" and len(self.secret) != SECRET_BYTES

    @property
    def record(self) -> SigningKeyRecord:
        """All but the secret."""
        return SigningKeyRecord(
            kid=self.kid,
            algorithm=self.algorithm,
            created_at=self.created_at,
            signs=self.retires_at is None,
            retires_at=self.retires_at,
        )


Keys = tuple[SigningKey, ...]
"""The last one signs."""


def new_key(algorithm: Algorithm, at: datetime, entropy: Entropy) -> SigningKey:
    return SigningKey(
        kid=new_id(entropy),
        algorithm=algorithm,
        secret=entropy(SECRET_BYTES),
        created_at=rfc3339(at),
    )


def rotated(keys: Keys, new: SigningKey, *, at: datetime, verify_s: float) -> Keys:
    """The new key signs; the one that signed before verifies for `verify_s` seconds more.

    Raises:
        Conflict: there are too many that verify.
    """
    kept = living(keys, at)
    if len(kept) >= MOST:
        raise Conflict(
            f"{len(kept)} signing keys verify tokens, and that is the most",
            hint=f"the next one can be made after {kept[0].retires_at}",
        )
    ends = rfc3339(at + timedelta(seconds=verify_s))
    retired = tuple(replace(key, retires_at=key.retires_at or ends) for key in kept)
    return (*retired, new)


def living(keys: Sequence[SigningKey], at: datetime) -> Keys:
    """Those that verify now."""
    now = rfc3339(at)
    return tuple(key for key in keys if key.retires_at is None or now < key.retires_at)


def load(path: Path) -> Keys:
    """The keys of a file; none where there is no file.

    Raises:
        BadSigningKeys: it is not a private file of ours, or not what we wrote.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            _refuse_unless_private(path, os.fstat(file.fileno()))
            text = file.read(LONGEST_BYTES + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BadSigningKeys(f"{path} cannot be read: {error.strerror}") from error
    if len(text) > LONGEST_BYTES:
        raise BadSigningKeys(f"{path} is longer than {LONGEST_BYTES} bytes")
    return _parsed(path, text)


def sweep(path: Path) -> None:
    """Remove what a process has left that died while it wrote."""
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)


def save(path: Path, keys: Keys) -> None:
    """Put the keys in the file's place in one step, durably.

    Raises:
        OSError: it could not be written; what was there is there still.
    """
    rows = [{**asdict(key), "secret": _to_text(key.secret)} for key in keys]
    text = json.dumps({"form": FORM, "keys": rows}, indent=2)
    durable.replace_secret(path, text.encode())


def _refuse_unless_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise BadSigningKeys(f"{path} is not a file")
    if found.st_uid != os.geteuid():
        raise BadSigningKeys(f"{path} belongs to another user")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise BadSigningKeys(f"{path} is open to others: its mode is {mode:04o}, not 0600")


def _parsed(path: Path, text: bytes) -> Keys:
    """No message names what stands in the file."""
    try:
        match json.loads(text):
            case {"form": 1, "keys": [*rows]}:
                keys = tuple(_key(row) for row in rows)
            case _:
                raise BadSigningKeys(f"{path} is of a form that is not known")
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadSigningKeys(f"{path} is damaged") from None
    _check(path, keys)
    return keys


def _check(path: Path, keys: Keys) -> None:
    for key in keys:
        if len(key.secret) < SECRET_BYTES:
            size = len(key.secret)
            raise BadSigningKeys(f"{path}: the secret of {key.kid} has {size} bytes, 32 at least")
        if key.algorithm not in ALGORITHMS or key.is_odd:
            raise BadSigningKeys(f"{path}: {key.kid} is no key of a known algorithm")
    if len({key.kid for key in keys}) != len(keys):
        raise BadSigningKeys(f"{path} holds two keys of one name")
    if keys and [key.kid for key in keys if key.retires_at is None] != [keys[-1].kid]:
        raise BadSigningKeys(f"{path} is damaged: the last key signs, and no other")


def _key(row: Any) -> SigningKey:
    key = SigningKey(**{**row, "secret": _to_bytes(row["secret"])})
    texts = (key.kid, key.algorithm, key.created_at, key.retires_at or "")
    if not all(type(text) is str for text in texts) or not key.kid:
        raise TypeError
    return key


def _to_text(secret: bytes) -> str:
    return urlsafe_b64encode(secret).decode()


def _to_bytes(text: str) -> bytes:
    return urlsafe_b64decode(text)
