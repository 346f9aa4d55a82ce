"""Reading whole files, however broken."""

from actors.issues.merging.merge import merge_rows
from storage.issues.published import Loaded, load


def row(issue_id: str, extra: str = "", at: str = "2026-01-01T00:00:00Z") -> bytes:
    return (
        f'{{"id":"{issue_id}","title":"T","priority":1,"created_at":"2026-01-01T00:00:00Z",'
        f'"updated_at":"{at}"{extra}}}\n'
    ).encode()


def read(data: bytes) -> Loaded:
    return load(data, merge_rows)


def test_one_bad_line_costs_no_other_line_and_keeps_its_bytes() -> None:
    loaded = read(row("a-1") + b'{"id": "a-2", \xff\n' + row("a-3"))
    assert list(loaded.rows) == ["a-1", "a-3"]
    (bad,) = loaded.quarantined
    assert (bad.line, bad.raw) == (2, b'{"id": "a-2", \xff')
    assert "UTF-8" in bad.reason


def test_a_byte_order_mark_blank_lines_and_carriage_returns_are_no_trouble() -> None:
    loaded = read(b"\xef\xbb\xbf" + row("a-1").replace(b"\n", b"\r\n") + b"\n\n" + row("a-2")[:-1])
    assert list(loaded.rows) == ["a-1", "a-2"]
    assert loaded.quarantined == []


def test_rows_with_the_same_id_are_merged() -> None:
    loaded = read(row("a-1", ',"labels":["x"]') + row("a-2") + row("a-1", ',"labels":["y"]'))
    assert loaded.rows["a-1"]["labels"] == ["x", "y"]
    assert (len(loaded.rows), loaded.duplicates) == (2, 1)


def test_both_sides_of_a_committed_conflict_are_merged_with_the_base_between_them() -> None:
    loaded = read(
        row("a-0")
        + b"<<<<<<< HEAD\n"
        + row("a-1", ',"labels":["gone","mine"]')
        + b"||||||| 1234567\n"
        + row("a-1", ',"labels":["gone"]')
        + b"=======\n"
        + row("a-1", ',"labels":["theirs"]')
        + b">>>>>>> topic\n"
    )
    assert loaded.rows["a-1"]["labels"] == ["mine", "theirs"]
    assert loaded.conflict_markers == [2, 4, 6, 8]
    assert loaded.quarantined == []
