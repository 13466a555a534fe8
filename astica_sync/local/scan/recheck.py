"""The second look, just before a removal: whether what the scan called absent still is."""

from astica_sync.errors import StoreError
from astica_sync.local.db.index import Index
from astica_sync.local.filesystem import FileSystem, Kind, kind_of
from astica_sync.local.identity import check_root
from astica_sync.local.layout import Layout
from astica_sync.local.scan.file_hash import HashOutcome, hash_file
from astica_sync.local.scan.ignore import Ignore


def is_still_absent(
    layout: Layout, index: Index, fs: FileSystem, class_title: str, content: str, paths: tuple[str, ...]
) -> bool:
    """Whether at this moment (promise 3) none of ``paths`` holds that content any more.

    Believes the disk alone: a file that stands there is read, whatever the index says. Anything that cannot be seen
    is an answer of no. A file that the ignore file has taken out of the store counts as absent.
    """
    try:
        check_root(layout, fs)
        ignore = Ignore.load(layout.root)
        if index.paths_of(class_title, content):
            return False
        return all(ignore.skips_below(path) or _has_left(layout, index, fs, path, content) for path in paths)
    except StoreError:
        return False


def _has_left(layout: Layout, index: Index, fs: FileSystem, path: str, content: str) -> bool:
    parts = path.split("/")
    try:
        device = fs.lstat(layout.root).st_dev
        for number in range(1, len(parts)):
            above = "/".join(parts[:number])
            status = fs.lstat(layout.root / above)
            kind = kind_of(status)
            if kind is not Kind.FOLDER:
                return kind is Kind.FILE
            if (status.st_dev != device) != index.is_mounted(above):
                return False
        kind = kind_of(fs.lstat(layout.root / path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    if kind is not Kind.FILE:
        return kind is Kind.FOLDER
    reading = hash_file(fs, layout.root / path)
    return reading.ending is HashOutcome.READ and reading.content != content
