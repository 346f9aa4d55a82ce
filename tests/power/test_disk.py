"""The model of a disk: what a power cut may take, and what it may not."""

import random
from pathlib import Path

from tests.power import trace
from tests.power.disk import SECTOR_BYTES, Disk
from tests.power.trace import MakeDirectory, Opened, Rename, Sync, Truncate, Unlink, Write

NEW = Opened("file", truncate=False, append=False)


def after(*events: trace.Event, there: tuple[str, ...] = ()) -> list[dict[str, bytes]]:
    """What is left in each of many cuts."""
    disk = Disk(there)
    for event in events:
        disk.happen(event)
    return [disk.cut(random.Random(seed))[1] for seed in range(300)]


def test_what_was_synced_with_its_name_is_always_left() -> None:
    left = after(NEW, Write("file", b"here", 0), Sync("file"), Sync(""), Write("file", b"t", 0))
    assert {cut["file"] for cut in left} == {b"here", b"tere"}


def test_a_name_that_was_not_synced_may_be_gone() -> None:
    left = after(NEW, Write("file", b"here", 0), Sync("file"))
    assert {} in left
    assert {"file": b"here"} in left


def test_any_part_of_what_was_not_synced_may_be_left() -> None:
    first, second = Write("file", b"a", 0), Write("file", b"b", 1)
    left = {cut["file"] for cut in after(NEW, Sync(""), first, second)}
    assert left == {b"", b"a", b"\0b", b"ab"}


def test_a_write_may_be_torn_between_sectors_and_nowhere_else() -> None:
    left = after(NEW, Sync(""), Write("file", b"x" * 2 * SECTOR_BYTES, 0))
    halves = {tuple(cut["file"].ljust(2 * SECTOR_BYTES, b"\0")[::SECTOR_BYTES]) for cut in left}
    assert halves == {(0, 0), (0, 120), (120, 0), (120, 120)}


def test_a_rename_leads_to_the_old_file_or_the_new_one() -> None:
    old = (NEW, Write("file", b"old", 0), Sync("file"), Sync(""))
    new = (Opened("next", truncate=True, append=False), Write("next", b"new", None), Sync("next"))
    left = after(*old, *new, Rename("next", "file"))
    assert {cut["file"] for cut in left} == {b"old", b"new"}
    assert all("next" not in cut or cut["file"] == b"old" for cut in left)


def test_a_file_that_was_removed_may_be_back() -> None:
    left = after(NEW, Sync(""), Unlink("file"))
    assert {tuple(cut) for cut in left} == {(), ("file",)}


def test_no_way_leads_to_what_lies_in_a_lost_directory() -> None:
    inside = (Opened("d/file", truncate=False, append=False), Sync("d/file"), Sync("d"))
    assert {tuple(cut) for cut in after(MakeDirectory("d"), *inside)} == {(), ("d/file",)}
    assert {tuple(cut) for cut in after(*inside, there=("d",))} == {("d/file",)}


def test_a_truncation_counts_once_it_is_synced() -> None:
    kept = (NEW, Write("file", b"long", 0), Sync("file"), Sync(""), Truncate("file", 1))
    assert {cut["file"] for cut in after(*kept)} == {b"long", b"l"}
    assert {cut["file"] for cut in after(*kept, Sync("file"))} == {b"l"}


def test_a_trace_is_read_in_the_order_of_its_ends_and_sentences_of_their_begins(
    tmp_path: Path,
) -> None:
    def hexed(text: str) -> str:
        return "".join(f"\\x{byte:02x}" for byte in text.encode())

    db, said = f"5<{hexed('/r/db')}>", f'1<{hexed("pipe:[1]")}>, "{hexed("{}")}", 2'
    lines = [
        f'7 openat(AT_FDCWD<{hexed("/")}>, "{hexed("/r/db")}", O_RDWR|O_CREAT, 0600) = {db}',
        f'7 pwrite64({db}, "{hexed("data")}", 4, 8 <unfinished ...>',
        f"8 write({said} <unfinished ...>",
        "7 <... pwrite64 resumed>) = 2",
        f"7 fdatasync({db}) = -1 EIO (Input/output error)",
        f"7 fdatasync({db}) = 0",
        "8 <... write resumed>) = 2",
        f'7 pwrite64(6<{hexed("/elsewhere")}>, "{hexed("x")}", 1, 0) = 1',
    ]
    (tmp_path / "trace").write_text("\n".join(lines) + "\n")
    assert trace.read(tmp_path / "trace", Path("/r")) == [
        Opened("db", truncate=False, append=False),
        trace.Said(b"{}"),
        Write("db", b"da", 8),
        Sync("db"),
    ]
