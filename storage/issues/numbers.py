"""Numbers of JSON, spelled as Go's encoder spells them or exactly as they were read."""

import math
from typing import Self


class Literal(float):
    """A number whose spelling differs from the one Go would choose: written as it was read.

    bd keeps `metadata` as raw text, so `1.0` and `1e5` survive there.
    """

    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number


def spell(number: float) -> str:
    """Write a fraction as Go does: shortest digits, an exponent below 1e-6 and from 1e21."""
    if isinstance(number, Literal):
        return number.text
    if number == 0:
        return "-0" if math.copysign(1, number) < 0 else "0"
    digits, exponent = _digits(abs(number))
    sign = "-" if number < 0 else ""
    if not -6 <= exponent < 21:  # noqa: PLR2004 - the bounds of Go's encoder
        tail = f".{digits[1:]}" if digits[1:] else ""
        return f"{sign}{digits[0]}{tail}e{exponent:+d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole, tail = digits[: exponent + 1].ljust(exponent + 1, "0"), digits[exponent + 1 :]
    return f"{sign}{whole}.{tail}" if tail else sign + whole


def _digits(number: float) -> tuple[str, int]:
    """Return the shortest digits of a positive number, as of d.ddd, and the exponent."""
    mantissa, _, exponent = f"{number!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    return digits.rstrip("0"), len(whole) - 1 - leading + int(exponent or 0)


def read(text: str) -> float:
    """Read a fraction so that writing it again gives the same text.

    Raises:
        ValueError: it is too large for a float.
    """
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is larger than any number kept")
    return number if spell(number) == text else Literal(text)


def read_whole(text: str) -> int | Literal:
    """Read a number without fraction; the one that Python's integers cannot tell from 0 is kept."""
    return Literal(text) if text == "-0" else int(text)
