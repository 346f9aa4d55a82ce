"""What may be the name of an artifact."""

import unicodedata

import pytest

from actors.coordination.results import names
from actors.errors import ValidationError

GOOD = [
    "report.md",
    "a",
    "Bericht März 2026.pdf",
    "out/logs/build-1.log",
    "日本語.txt",
    "données/été.csv",
    "x" * 200,
    "a+b=c,d@e~f(1)[2]{3}#4%5&6'7!8$9^0.tar.gz",
    "1/2/3/4/5/6/7/8/9/10",
    "README",
    "console.log",
    "a_b-c.d",
    "50% off.txt",
]

HOSTILE = [
    "",
    ".",
    "..",
    "/",
    "//",
    "/etc/passwd",
    "../secret",
    "a/../b",
    "a/..",
    "a/./b",
    "./a",
    "a//b",
    "a/",
    "/a",
    "a\\b",
    "..\\a",
    "C:\\a",
    "C:a",
    "a:b",
    "file:stream",
    "~/x",
    "~root",
    ".git/config",
    ".hidden",
    "a/.hidden",
    "-rf",
    "--to",
    "a/-x",
    " a",
    "a ",
    "a/ b",
    "a /b",
    "a.",
    "a./b",
    "a..",
    "...",
    "a/...",
    "a\x00b",
    "\x00",
    "a\nb",
    "a\rb",
    "a\tb",
    "\x1b[31mred",
    "a\x7f",
    "a\x85b",
    "a\xa0b",
    "a\xadb",
    "a\u200bb",
    "a\u200db",
    "a\u202eb",
    "a\u2066b",
    "a\u2028b",
    "a\u2029b",
    "a\u3000b",
    "a\ufeffb",
    "\ufeffa",
    "a\ufff9b",
    "a\U000e0041b",
    "\ue000",
    "\U0010ffff",
    "\ud800",
    "a\udcffb",
    "a*b",
    "a?b",
    'a"b',
    "a<b",
    "a>b",
    "a|b",
    "|sh",
    "con",
    "CON",
    "Con.txt",
    "prn",
    "aux",
    "aux.h",
    "nul",
    "nul.tar.gz",
    "com1",
    "COM9.log",
    "com0",
    "com¹",
    "lpt1",
    "lpt9.txt",
    "a/con/b",
    "x" * 201,
    "é" * 101,
    "/".join(["x" * 100] * 6),
    "1/2/3/4/5/6/7/8/9/10/11",
    unicodedata.normalize("NFD", "é"),
    "\u212b",
    "e\u0301\u0323",
    "a/\x01/b",
    "..%00/",
    "a/%2e%2e/..",
    "....//....//etc",
    "a/b/../../..",
    "a\\..\\..\\b",
    "\\\\server\\share",
    "//server/share",
    "a\v",
    "a\f",
    "~",
    "-",
    " ",
    "\u200e",
    "a\u061cb",
    "a\ufffdb",
]


def test_there_are_a_hundred_hostile_names() -> None:
    assert len(set(HOSTILE)) >= 100


@pytest.mark.parametrize("name", GOOD)
def test_what_people_call_files_is_a_name(name: str) -> None:
    assert names.parse_name(name) == name


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_what_somebody_may_read_otherwise_is_none(name: str) -> None:
    with pytest.raises(ValidationError, match="the name of an artifact") as refused:
        names.parse_name(name)
    assert refused.value.field == "name"
    assert refused.value.message.isprintable()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a/report.md", "text/markdown"),
        ("x.json", "application/json"),
        ("x.tar.gz", "application/octet-stream"),
        ("x", "application/octet-stream"),
        ("x.unheard", "application/octet-stream"),
    ],
)
def test_a_media_type_is_guessed_from_the_name(name: str, kind: str) -> None:
    assert names.parse_media_type(None, name) == kind


@pytest.mark.parametrize("given", ["text/plain", "text/html; charset=utf-8", "image/svg+xml"])
def test_a_media_type_is_kept_as_it_was_given(given: str) -> None:
    assert names.parse_media_type(given, "x") == given


@pytest.mark.parametrize(
    "given",
    ["", "text", "text/", "/plain", "a/b\r\nX: y", "a/b;", "a/b; c", "a/" + "b" * 300, "ä/b"],
)
def test_what_is_no_media_type_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="media type"):
        names.parse_media_type(given, "x")
