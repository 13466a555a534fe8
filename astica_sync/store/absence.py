"""The second look, just before a removal: whether what the scan called absent still is."""

from astica_sync.errors import StoreError
from astica_sync.store.disk import Disk, Kind, kind_of
from astica_sync.store.ignore import Ignore
from astica_sync.store.index import Index
from astica_sync.store.layout import Layout, check_root
from astica_sync.store.reading import Ending, read_file


def still_absent(
    layout: Layout, index: Index, disk: Disk, class_title: str, content: str, paths: tuple[str, ...]
) -> bool:
    """Whether at this moment (promise 3) none of ``paths`` holds that content any more.

    Believes the disk alone: a file that stands there is read, whatever the index says. Anything that cannot be seen
    is an answer of no. A file that the ignore file has taken out of the store counts as absent.
    """
    try:
        check_root(layout, disk)
        ignore = Ignore.load(layout.root)
        if index.paths_of(class_title, content):
            return False
        return all(ignore.skips_below(path) or _has_left(layout, index, disk, path, content) for path in paths)
    except StoreError:
        return False


def _has_left(layout: Layout, index: Index, disk: Disk, path: str, content: str) -> bool:
    parts = path.split("/")
    try:
        device = disk.lstat(layout.root).st_dev
        for number in range(1, len(parts)):
            above = "/".join(parts[:number])
            status = disk.lstat(layout.root / above)
            kind = kind_of(status)
            if kind is not Kind.FOLDER:
                return kind is Kind.FILE
            if (status.st_dev != device) != index.is_mounted(above):
                return False
        kind = kind_of(disk.lstat(layout.root / path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    if kind is not Kind.FILE:
        return kind is Kind.FOLDER
    reading = read_file(disk, layout.root / path)
    return reading.ending is Ending.READ and reading.content != content
