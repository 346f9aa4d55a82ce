"""Names that lead elsewhere where somebody takes them for paths."""

from collections.abc import Iterator
from itertools import product

UPWARDS = (
    *("..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%00", "..;", "....", "%c0%ae%c0%ae"),
    *("%uff0e%uff0e", "\uff0e\uff0e", "\u2025", "..\u200b", ".. ", "..%20", "..%0a"),
)
SEPARATORS = ("/", "%2f", "%252f", "\\", "%5c", "%255c", "//", "/./", "%c0%af", "\u2215", "%00/")
TARGETS = ("canary.txt", "etc/passwd", "proc/self/environ", ".git/config")
WHOLE = (
    *("/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "file:///etc/passwd", "\\\\host\\share"),
    *("C:\\Windows\\win.ini", "~/.ssh/id_rsa", "~root", "$HOME", "${HOME}", "`id`", "$(id)", "|id"),
    *(".", "..", "...", "./", "/.", "%2e", "%00", "%0d%0aX: y", "-rf", "--", "--help", "-o/tmp/x"),
    *(
        "con",
        "nul",
        "aux.txt",
        "COM1",
        "a%00.txt",
        "a/../../b",
        "a%2f..%2f..%2fb",
        ".git",
        ".beads",
    ),
    *("refs/heads/main", "HEAD", "@{u}", "a:b", "*", "?", "[a]", "{a,b}", "a b", "%", "%zz", "%ff"),
    *("beadflow.sock", "signing-keys.json", "coordination.db", "../signing-keys.json"),
    *("..%2fsigning-keys.json", "..%2fcoordination.db", "x" * 5000, "\u202e", "\ud83d\ude00"),
)


def strings(canary: str) -> list[str]:
    """At least 500 of them; some lead to the file `canary`."""
    return list(dict.fromkeys(_all(canary)))


def _all(canary: str) -> Iterator[str]:
    yield from WHOLE
    yield from (canary, canary.replace("/", "%2f"), f"file://{canary}", f"/{canary}")
    for up, separator in product(UPWARDS, SEPARATORS):
        step = up + separator
        yield step * 3 + TARGETS[0]
        yield step * 12 + canary.lstrip("/").replace("/", separator)
        yield step * 12 + TARGETS[1].replace("/", separator)
    for separator, target in product(SEPARATORS, TARGETS):
        yield "a" + separator + (".." + separator) * 8 + target
