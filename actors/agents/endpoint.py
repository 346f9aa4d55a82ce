"""Where a language model is asked: an address that only the operator names, and what it costs.

The key itself is never here: only the name of the variable that holds it.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from actors.errors import ValidationError

PATH: Final = "/chat/completions"
TIMEOUT_S: Final = 300.0

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEndpoint:
    """A language model behind an OpenAI-compatible address.

    Args:
        url: its root, `https://host/v1`.
        model: its name there.
        key_variable: name of the environment variable that holds the key; "" for no key.
        input_price: US dollars for a million tokens that are sent.
        output_price: US dollars for a million tokens that are answered; without prices it is not
            known what an answer costs.
        timeout_s: how long one answer may take in all.

    Raises:
        ValidationError: the address is none, or a key would be sent over an open network.
    """

    url: str
    model: str
    key_variable: str = ""
    input_price: float = 0.0
    output_price: float = 0.0
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        parts = check_url(self.url, "llm_url")
        if not self.model.strip() or not self.model.isprintable():
            raise ValidationError("llm_model is the name of a model", field="llm_model")
        if not self.key_variable:
            return
        check_variable(self.key_variable, "llm_key_variable")
        if parts.scheme != "https" and not self.is_local:
            raise ValidationError(
                "llm_url begins with https:// where a key is sent to another machine",
                field="llm_url",
            )

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def service(self) -> str:
        """What its circuit is called."""
        return f"llm:{urlsplit(self.url).netloc.lower()}"

    @property
    def is_local(self) -> bool:
        return self.host in _LOOPBACK

    @property
    def completions_url(self) -> str:
        """Where completions are asked for; a root without a path is taken to mean `/v1`."""
        root = self.url.rstrip("/")
        if urlsplit(root).path.endswith(PATH):
            return root
        return f"{root}{PATH}" if urlsplit(root).path else f"{root}/v1{PATH}"


def check_url(url: str, field: str) -> SplitResult:
    """The parts of an address that a model can be asked at.

    Raises:
        ValidationError: it is none; it is not shown, since it may hold a password.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()
        bare = "@" not in parts.netloc and not parts.query and not parts.fragment
        _ = parts.port
    except ValueError:
        usable, bare = False, True
    if not usable:
        raise ValidationError(
            f"{field} begins with http:// or https:// and names a server", field=field
        )
    if not bare:
        raise ValidationError(
            f"{field} has no user, password, query or fragment; a key is named by key_variable",
            field=field,
        )
    return parts


def check_variable(name: str, field: str) -> str:
    """The name of an environment variable.

    Raises:
        ValidationError: it is none; it is not shown, since it may be the key itself.
    """
    if not _VARIABLE.fullmatch(name):
        raise ValidationError(
            f"{field} is the name of an environment variable, not the key", field=field
        )
    return name
