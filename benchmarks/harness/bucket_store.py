"""Creates a store of a bucket that is in sync, and lists a bucket.

    python -m benchmarks.harness.bucket_store make FOLDER KEYS
    python -m benchmarks.harness.bucket_store list FOLDER

The index is written as a scan would write it that has read every object; the server has no objects to read.
"""

import os
import sys
from pathlib import Path

import xxhash

from astica_sync.bucket.s3_lister import S3Lister, read_access
from astica_sync.bucket.source_binding import SOURCE_META, read_source, write_source
from astica_sync.bucket.store_files import RETRY_S, open_source
from astica_sync.clock import SystemClock
from astica_sync.local.db.index import File, Folder, Index
from astica_sync.local.db.journal import Journal
from astica_sync.local.filesystem import FileSystem, Kind, signature
from astica_sync.local.layout import Layout
from astica_sync.local.scan.ignore import Ignore
from astica_sync.open_session import trust_file
from astica_sync.store_trust import trust_address
from benchmarks.harness.store_trees import MODEL, bind, write_view

SOURCE = "s3://photos/data"


def make(folder: Path, keys: int) -> None:
    """A store in which nothing is to be done."""
    folder.mkdir(parents=True)
    layout = Layout(folder.resolve())
    write_source(layout, SOURCE)
    clock = SystemClock()
    trust_address(trust_file(), layout.root, SOURCE, clock.now())
    bind(layout.root)
    files = open_source(layout.root, SOURCE, os.environ)
    with Index(layout.index_db) as index, Journal(layout.journal_db, "made") as journal:
        journal.set_meta(SOURCE_META, SOURCE)
        fill(index, files, layout.root)
        index.set_meta("ignore_digest", Ignore.load(layout.root).digest)
        with journal.commit():
            journal.agree(
                ((s.uid, s.class_title, s.paths[0]) for s in index.local_samples(MODEL)), at=clock.now() - 86400
            )
            journal.set_meta("uids_proven", True)
        write_view(layout.last_view, ((s.uid, s.class_title) for s in index.local_samples(MODEL)), clock.now())
        assert sum(index.samples_by_class().values()) == keys, "not every object is in the index"


def fill(index: Index, files: FileSystem, root: Path) -> None:
    """Writes what a scan finds out by reading each object."""
    folders = [Folder(1, b"", None, False)]
    for number, (name, kind, _) in enumerate(files.name_folder(root), 2):
        assert kind is Kind.FOLDER
        folders.append(Folder(number, name.encode(), name, False))
    index.change(folders, [], [], [])
    for folder in folders[1:]:
        rows = [
            File(
                folder.folder_id,
                name.encode(),
                *signature(status),
                1 << 62,
                xxhash.xxh3_128_hexdigest(name.encode()),
                None,
            )
            for name, status in files.scan_folder(root / os.fsdecode(folder.path))
            if status is not None
        ]
        index.change([], rows, [], [])


def list_all(folder: Path) -> int:
    """Lists every class as a scan does, and does nothing with it."""
    root = folder.resolve()
    access = read_access(os.environ, "photos")
    assert access is not None
    lister = S3Lister(access, "data/", read_source(Layout(root)), RETRY_S)
    count = 0
    waiting = [""]
    while waiting:
        above = waiting.pop()
        for page in lister.pages(above):
            count += len(page.objects)
            waiting += [f"{above}{name}/" for name in page.folders]
    return count


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        print(list_all(Path(sys.argv[2])))
