"""The second check, just before a removal: whether what the scan found absent still is."""

from collections.abc import Iterable

from astica_sync.errors import StoreError
from astica_sync.local.db.index import Index
from astica_sync.local.filesystem import FileSystem, Kind, kind_of
from astica_sync.local.layout import Layout
from astica_sync.local.scan.file_hash import HashOutcome, hash_file
from astica_sync.local.scan.ignore import Ignore
from astica_sync.local.scan.mounts import Mounts, is_exchanged
from astica_sync.local.scan.placeholder import find_placeholder
from astica_sync.local.store_sentinel import check_root


def is_still_absent(
    layout: Layout,
    index: Index,
    files: FileSystem,
    sample: tuple[str, str],
    paths: Iterable[str],
    replaced_by: str = "",
) -> bool:
    """Whether none of ``paths`` has the image of ``sample`` (class title, content hash) now (promise 3).

    Only the disk counts: a file that exists is read, whatever the index has. Whatever cannot be read counts as not
    absent. So does a file without a good image, a placeholder, or an image other than ``replaced_by``, the content hash
    that the plan found there ("" for none). A file that the ignore file excludes counts as absent. (The six parameters
    are the store's files and index, the sample, and what the plan knows of it.)
    """
    try:
        check_root(layout, files)
        ignore = Ignore.load(layout.root)
        if index.paths_of(*sample):
            return False
        return all(ignore.skips_below(path) or _is_gone(layout, index, files, path, replaced_by) for path in paths)
    except StoreError:
        return False


def _is_gone(layout: Layout, index: Index, files: FileSystem, path: str, replaced_by: str) -> bool:
    parts = path.split("/")
    above = ""
    try:
        mounts = Mounts(files, layout.root)
        if is_exchanged(mounts, index, path):
            return False
        for number in range(1, len(parts)):
            above = "/".join(parts[:number])
            status = files.lstat(layout.root / above)
            kind = kind_of(status)
            if kind is not Kind.FOLDER:
                return kind is Kind.FILE
            if mounts.contain(above, status.st_dev) != index.is_mounted(above):
                return False
        above = ""
        kind = kind_of(files.lstat(layout.root / path))
    except (FileNotFoundError, NotADirectoryError):
        if _is_mount_place(index, above):
            # A mount point cannot be deleted: it was unmounted first.
            return False
        return _has_no_placeholder(layout, files, path)
    except OSError:
        return False
    if kind is not Kind.FILE:
        return kind is Kind.FOLDER
    current = hash_file(files, layout.root / path)
    return current.outcome is HashOutcome.READ and bool(replaced_by) and current.content == replaced_by


def _is_mount_place(index: Index, folder: str) -> bool:
    """Whether something was mounted at this very folder, and not above it."""
    return bool(folder) and index.is_mounted(folder) and not index.is_mounted(folder.rpartition("/")[0])


def _has_no_placeholder(layout: Layout, files: FileSystem, path: str) -> bool:
    try:
        return find_placeholder(files, layout.root, path) is None
    except OSError:
        return False
