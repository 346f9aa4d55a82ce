"""How tokens are made: the same for all of a deployment."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

Algorithm = Literal["HS256", "EdDSA"]

ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)

LONGEST_TOKEN_S: Final = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Of access tokens and of what gets the next one.

    Args:
        algorithm: that tokens are signed with; one with another is refused, whoever signed it.
        issuer: who says so, in the claim "iss".
        audience: for whom it is said, in the claim "aud".
        token_s: seconds that an access token is good for, at most 900.
        refresh_s: seconds within which the next one has to be fetched, not less than `token_s`.
    """

    algorithm: Algorithm = "HS256"
    issuer: str = "beadflow"
    audience: str = "beadflow"
    token_s: int = LONGEST_TOKEN_S
    refresh_s: int = 14 * 86400
