"""Rows that are put among a large number of others: the result, and the memory that this takes."""

import itertools
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


def size_of(rows: Rows) -> int:
    columns = (rows.ids, rows.class_of, rows.place_of, rows.name_starts, rows.contents, rows.sizes, rows.mtimes)
    return len(rows.names) + sum(column.nbytes for column in columns)


def test_rows_are_put_among_others_without_a_second_copy_of_all() -> None:
    before, new = make_rows(ROWS, "image"), make_rows(3, "new")
    order = np.insert(np.delete(np.arange(ROWS, dtype=np.int32), [5, 6]), [0, 40, 40], [ROWS, ROWS + 1, ROWS + 2])
    update = RowsUpdate(before, ROWS, new, order.astype(np.int32))
    gone = WithoutFile("a" * 32, "Can", 0, "Can/gone.png", Shown(ImageState.BACKUP_ONLY, "it is gone"))
    update.add_row(gone, "b" * 32)
    tracemalloc.start()
    try:
        rows = update.finish()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The largest column, of 16 bytes a row, is there twice while it is made.
    assert peak < size_of(rows) + 20 * ROWS
    starts = rows.name_starts
    found = [rows.names[start:end].decode() for start, end in itertools.pairwise(starts)]
    image = [f"image {number:06}.png" for number in range(ROWS)]
    image = image[:5] + image[7:]
    assert found == ["new 000000.png", *image[:40], "new 000001.png", "new 000002.png", *image[40:], "gone.png"]
    assert rows.sizes[[0, 1, 41, 42, 43]].tolist() == [0, 0, 1, 2, 42]
    assert rows.contents[-1].tobytes().hex() == "b" * 32


def test_rows_that_are_as_before_are_those_before() -> None:
    before, none = make_rows(9, "image"), RowsDraft().finish()
    assert RowsUpdate(before, 9, none, None).finish() is before
    shorter = RowsUpdate(before, 7, none, None).finish()
    assert (len(shorter), len(shorter.names), shorter.ids.tolist()) == (7, 7 * 16, before.ids[:7].tolist())
