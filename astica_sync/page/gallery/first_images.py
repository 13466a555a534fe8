"""A few images of each class, found without the index: what a large store shows during the first look at it."""

import contextlib
import heapq
import os
import unicodedata
from collections.abc import Iterator

import xxhash

from astica_sync.core.gallery.image_state import ImageState, ImageStates, Shown
from astica_sync.errors import AsticaSyncError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.image.format import MAX_BYTES, is_image
from astica_sync.local.layout import Layout
from astica_sync.local.scan.ignore import Ignore, is_hidden
from astica_sync.page.gallery.columns.build_columns import ColumnOverlay, columns_of_files
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.page.gallery.index_reader import FolderFiles

FIRST = "these are the first images of each class; the store is being looked at"
MOST = 240
"""Images altogether: some screens of them."""
_EACH = 40
_MOST_CLASSES = 60
USUAL = ImageStates(usual=Shown(ImageState.WAITING, FIRST))


def first_images(layout: Layout, model_id: int) -> Columns | None:
    """The columns of the first images of the first classes; None where there are none. What cannot be read is left out,
    as the look at the whole store tells why."""
    files, folders = FileSystem(layout.root), list[tuple[str, bytes, FolderFiles]]()
    with contextlib.suppress(AsticaSyncError, OSError):
        ignore = Ignore.load(layout.root)
        titles = heapq.nsmallest(_MOST_CLASSES, _names(layout.root, ignore, "", folders=True))
        each = max(4, min(_EACH, MOST // max(len(titles), 1)))
        for title in titles:
            found = []
            for name in heapq.nsmallest(each, _names(layout.root / title, ignore, f"{title}/", folders=False)):
                with contextlib.suppress(OSError):
                    status, data, _ = files.read_small(layout.root / title / name, MAX_BYTES)
                    if data is not None and is_image(data):
                        content = xxhash.xxh3_128_hexdigest(data)
                        found.append((os.fsencode(name), status.st_size, status.st_mtime_ns, content, None))
            if found:
                column = FolderFiles._make(zip(*found, strict=True))
                folders.append((unicodedata.normalize("NFC", title), os.fsencode(title), column))
    return columns_of_files(folders, ColumnOverlay(USUAL, model_id)) if folders else None


def _names(folder: "os.PathLike[str]", ignore: Ignore, below: str, *, folders: bool) -> Iterator[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            right = entry.is_dir(follow_symlinks=False) if folders else entry.is_file(follow_symlinks=False)
            if right and not is_hidden(entry.name) and not ignore.skips(below + entry.name, folder=folders):
                yield entry.name
