import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from actors.agents.kit.untrusted import code, escaped, plain, without_credentials

NASTY = st.text(alphabet=st.sampled_from("a1 _*`[]()<>#|!\\&~:/.\n\t\x00\x1b\u202e@-+"))


def test_plain_text_is_one_line_without_hidden_characters() -> None:
    assert plain("a\nb\x1b[31m\u202ec\u200bd  e") == "a b[31mcd e"


def test_plain_text_is_capped() -> None:
    assert plain("x" * 500, 10) == "x" * 9 + "…"


@given(NASTY)
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse("said: " + escaped(text))
    inline = tokens[1].children or []
    assert {token.type for token in inline} <= {"text", "text_special"}
    shown = "".join(token.content for token in inline)
    assert shown == ("said: " + plain(text)).rstrip()


@given(NASTY)
def test_a_cell_of_a_table_holds_any_text(text: str) -> None:
    table = f"| a | b |\n| --- | --- |\n| x{escaped(text)} | {code('y' + text)} |\n"
    cells = MarkdownIt("gfm-like", {"linkify": False}).parse(table)
    assert sum(token.type == "td_open" for token in cells) == 2


@pytest.mark.parametrize("text", ["https://evil.example", "www.evil.example", "HTTP://x.y"])
def test_a_bare_address_does_not_become_a_link(text: str) -> None:
    assert "://" not in escaped(text)
    assert "www." not in escaped(text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@host/simple/", "https://host/simple/"),
        ("https://host/x?token=1#f", "https://host/x"),
        ("https://[::1]:80/x", "https://[::1]:80/x"),
        ("https://[bad", "an unreadable URL"),
        ("file:///opt/x", "file:///opt/x"),
    ],
)
def test_a_url_is_shown_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
