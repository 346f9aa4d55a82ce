import pytest
from rich.text import Text

from cli import table

COLUMNS = (
    table.Column("id"),
    table.Column("status", toned=True),
    table.Column("title", elastic=True),
)


def plain(rows: list[tuple[str, ...]], width: int | None = None) -> list[str]:
    return [line.plain for line in table.lines(COLUMNS, rows, width)]


def test_columns_are_aligned_and_lines_have_no_trailing_blanks() -> None:
    assert plain([("wf-1", "active", "A"), ("wf-22", "failed", "Longer")]) == [
        "ID     STATUS  TITLE",
        "wf-1   active  A",
        "wf-22  failed  Longer",
    ]


def test_wide_characters_count_as_the_cells_they_take() -> None:
    shown = plain([("比較", "active", "A"), ("wf-1", "active", "B")])
    assert shown[1:] == ["比較  active  A", "wf-1  active  B"]


def test_without_a_width_nothing_is_cut() -> None:
    long = "x" * 500
    assert long in plain([("wf-1", "active", long)])[1]


def test_a_narrow_terminal_cuts_the_elastic_column_only() -> None:
    shown = plain([("wf-" + "1" * 30, "active", "a title that is too long")], 56)
    assert shown[1].startswith("wf-" + "1" * 30)
    assert shown[1].endswith("…")
    assert len(shown[1]) <= 56


def test_an_elastic_column_keeps_a_readable_rest() -> None:
    shown = plain([("wf-1", "active", "words " * 9)], 5)
    assert shown[1].endswith("words words…")


def test_numbers_are_aligned_at_the_right() -> None:
    columns = (table.Column("id"), table.Column("count", right=True), table.Column("title"))
    rows = [("a", "7", "x"), ("b", "1234567", "y")]
    assert [line.plain for line in table.lines(columns, rows)] == [
        "ID    COUNT  TITLE",
        "a         7  x",
        "b   1234567  y",
    ]


def test_a_cell_that_is_drawn_keeps_its_leading_blanks_and_its_style() -> None:
    cell = Text.assemble("    ", ("drawn", "dim"))
    _, line, _ = table.lines((table.Column("id"),), [(cell,), ("longer than that",)])
    assert line.plain == "    drawn"
    assert [span.style for span in line.spans] == ["dim"]
    assert cell.plain == "    drawn"  # the caller's own is as it was


def test_no_rows_print_no_heading() -> None:
    assert plain([]) == []


def test_a_cell_cannot_break_its_line() -> None:
    assert len(plain([("wf-1", "active", "one\ntwo\x1b[2J")])) == 2


def test_empty_fields_are_left_out() -> None:
    shown = [line.plain for line in table.fields({"id": "wf-1", "error": "", "issue": "bf-7"})]
    assert shown == ["id     wf-1", "issue  bf-7"]


@pytest.mark.parametrize(("state", "style"), [("failed", "red"), ("queued", "")])
def test_colour_marks_only_what_asks_for_attention(state: str, style: str) -> None:
    assert table.tone(state) == style
