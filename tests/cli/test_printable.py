from hypothesis import given
from hypothesis import strategies as st

from cli import printable


def test_an_escape_sequence_is_shown_and_not_obeyed() -> None:
    assert printable.line("\x1b[31mred\x1b[0m \x9b2J") == r"\x1b[31mred\x1b[0m \x9b2J"


def test_a_carriage_return_cannot_overwrite_what_was_printed() -> None:
    assert printable.line("safe\rfake") == r"safe\rfake"


def test_a_line_stays_one_line() -> None:
    assert printable.line("a\nb\tc\r\nd\u2028e") == r"a b c d\u2028e"


def test_a_block_keeps_its_lines() -> None:
    assert printable.block("# T\r\n\n\tcode\x07") == "# T\n\n\tcode\\x07"


def test_bidirectional_marks_and_lone_surrogates_become_visible() -> None:
    assert printable.line("a\u202eb\udc80") == r"a\u202eb\udc80"


def test_letters_of_any_script_stay() -> None:
    assert printable.line("größer 比較 ✓") == "größer 比較 ✓"


@given(st.text())
def test_no_text_leaves_a_control_character_behind(text: str) -> None:
    shown = printable.block(text).replace("\n", "").replace("\t", "")
    assert not any(ch < " " or "\x7f" <= ch <= "\x9f" for ch in shown)
    shown.encode("utf-8")
