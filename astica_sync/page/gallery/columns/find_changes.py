"""Compares the index with columns of an earlier run of the page, so that a large store is not read into others."""

from bisect import bisect_left, bisect_right

import numpy as np

from astica_sync.local.db.index import Folder
from astica_sync.page.gallery.image_columns import NO_CONTENT, Columns
from astica_sync.page.gallery.index_reader import FolderFiles, IndexReader


def find_changes(before: Columns, index: IndexReader, most: int) -> set[tuple[bytes, bytes]] | None:
    """The files, each a folder and a name, that have another row in the index than in the columns, or that only one of
    the two has; None where it is more than ``most``. What may be said of files besides is not compared."""
    changed, at = set[tuple[bytes, bytes]](), 0
    with index.reading_all():
        for folder in sorted(index.folders().values(), key=lambda folder: (folder.class_title or "", folder.path)):
            start, end = _rows_in(before, folder)
            changed.update(before.file(row) for row in range(at, start))
            for files in index.files_in(folder.folder_id):
                upto = bisect_right(range(end), files.names[-1], start, key=lambda row: before.file(row)[1])
                if not _are_equal(before, start, upto, folder, files):
                    changed.update((folder.path, name) for name in _differences(before, start, upto, files))
                start = upto
                if len(changed) > most:
                    return None
            at = max(at, start)
    changed.update(before.file(row) for row in range(at, before.files))
    return changed if len(changed) <= most else None


def _rows_in(before: Columns, folder: Folder) -> tuple[int, int]:
    """The rows that are in a folder, which follow each other."""
    place, rows = (folder.class_title or "", folder.path), range(before.files)

    def place_of(row: int) -> tuple[str, bytes]:
        return before.title(row), before.file(row)[0]

    start = bisect_left(rows, place, key=place_of)
    return start, bisect_right(rows, place, start, key=place_of)


def _are_equal(before: Columns, start: int, end: int, folder: Folder, files: FolderFiles) -> bool:
    """Whether these rows are exactly the files."""
    if end - start != len(files.names):
        return False
    below = folder.path.partition(b"/")[2]
    below += b"/" if below else b""
    names, lengths = before.names.between(start, end)
    return (
        names == b"".join([below + name for name in files.names])
        and np.array_equal(lengths, [len(below) + len(name) for name in files.names])
        and np.array_equal(before.sizes[start:end], files.sizes)
        and np.array_equal(before.mtimes[start:end], files.mtimes)
        and before.contents[start:end].tobytes()
        == bytes.fromhex("".join(content or NO_CONTENT for content in files.contents))
    )


def _differences(before: Columns, start: int, end: int, files: FolderFiles) -> set[bytes]:
    """The names of the files that are not what these rows say, and of those that are gone."""
    was = {
        before.file(row)[1]: (int(before.sizes[row]), int(before.mtimes[row]), before.content(row))
        for row in range(start, end)
    }
    found = zip(files.sizes, files.mtimes, (content or "" for content in files.contents), strict=True)
    now = dict(zip(files.names, found, strict=True))
    return {name for name in was.keys() | now.keys() if was.get(name) != now.get(name)}
