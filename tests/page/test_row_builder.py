"""Rows that are put among a large number of others: the result, and the memory that this takes."""

import re
import tracemalloc

import numpy as np

from astica_sync.core.gallery.image_state import ImageState, Shown, WithoutFile
from astica_sync.page.gallery.columns.row_builder import Rows, RowsDraft, RowsUpdate
from astica_sync.page.gallery.index_reader import FolderFiles

ROWS = 50_000


def make_rows(count: int, mark: str) -> Rows:
    draft = RowsDraft()
    names = [f"{mark} {number:06}.png".encode() for number in range(count)]
    contents = [f"{number:032x}" for number in range(count)]
    draft.add_folder(0, 0, b"Can", FolderFiles(names, range(count), range(count), contents, [None] * count))
    return draft.finish()


def texts(rows: Rows) -> list[str]:
    return [rows.names[row].decode() for row in range(len(rows))]


def test_rows_are_put_among_others_without_a_second_copy_of_all() -> None:
    before, new = make_rows(ROWS, "image"), make_rows(3, "new")
    order = np.insert(np.delete(np.arange(ROWS, dtype=np.int32), [5, 6]), [0, 40, 40], [ROWS, ROWS + 1, ROWS + 2])
    update = RowsUpdate(before, ROWS, new, order.astype(np.int32))
    gone = WithoutFile("a" * 32, "Can", 0, "Can/gone.png", Shown(ImageState.BACKUP_ONLY, "it is gone"))
    update.add_row(gone, "b" * 32)
    tracemalloc.start()
    try:
        rows = update.finish()
        size, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of a row that there was before: its id, two numbers of one byte or more, and its position.
    assert size < 20 * ROWS
    assert peak < 40 * ROWS
    image = [f"image {number:06}.png" for number in range(ROWS)]
    image = image[:5] + image[7:]
    assert texts(rows) == ["new 000000.png", *image[:40], "new 000001.png", "new 000002.png", *image[40:], "gone.png"]
    assert rows.sizes[np.array([0, 1, 41, 42, 43])].tolist() == [0, 0, 1, 2, 42]
    assert rows.contents[-1].tobytes().hex() == "b" * 32


def test_many_changes_one_after_the_other_leave_no_more_than_the_rows() -> None:
    rows, kept = make_rows(40, "image"), [f"image {number:06}.png" for number in range(40)]
    seen = [(rows, kept)]
    for turn in range(60):
        new = make_rows(1, f"new {turn}")
        gone, at = turn * 7 % len(rows), turn * 5 % len(rows)
        order = np.insert(np.delete(np.arange(len(rows), dtype=np.int32), gone), at, len(rows))
        names = [name for number, name in enumerate(kept) if number != gone]
        kept = [*names[:at], f"new {turn} 000000.png", *names[at:]]
        rows = RowsUpdate(rows, len(rows), new, order.astype(np.int32)).finish()
        seen.append((rows, kept))
        base, small = rows.contents.sizes
        assert base + small < 40 * 1.5
    # Those before are what they were, though their parts were put together meanwhile.
    for each, names in seen:
        assert texts(each) == names
        assert [len(each.contents.whole()), len(each.sizes.whole()), len(each.mtimes.whole())] == [40] * 3
        assert each.names.whole()[0].decode() == "".join(names)


def test_rows_that_are_as_before_are_those_before() -> None:
    before, none = make_rows(9, "image"), RowsDraft().finish()
    assert RowsUpdate(before, 9, none, None).finish() is before
    shorter = RowsUpdate(before, 7, none, None).finish()
    assert (texts(shorter), shorter.ids.tolist()) == (texts(before)[:7], before.ids[:7].tolist())


def test_names_are_searched_and_shortened_wherever_they_are() -> None:
    rows = make_rows(20, "a red image")
    order = np.insert(np.delete(np.arange(20, dtype=np.int32), [0, 7]), [0, 5, 18], [20, 21, 22])
    rows = RowsUpdate(rows, 20, make_rows(3, "Red"), order.astype(np.int32)).finish()
    assert rows.contents.sizes == (20, 3), "the names are in two parts"
    names = texts(rows)
    for wanted in ("red", "d 00", "00002", "e", "image 000019.png", "pnga", "x"):
        found = rows.names.search(re.compile(re.escape(wanted.encode()), re.IGNORECASE))
        assert found.tolist() == [wanted in name.lower() for name in names], wanted
    some = np.array([0, 3, 20, 6, 5, 1], np.int32)
    for most in (1, 12, 48):
        found = [bytes(letters).rstrip(b"\0").decode() for letters in rows.names.prefixes(some, most)]
        assert found == [names[row][:most] for row in some.tolist()]
    assert rows.names.between(4, 9)[0].decode() == "".join(names[4:9])
    assert rows.names.between(4, 9)[1].tolist() == list(map(len, names[4:9]))
