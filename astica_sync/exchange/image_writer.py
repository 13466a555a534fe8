"""Writes images into class folders: each under a free name, durably, several at a time."""

import contextlib
import errno
import os
import threading
import unicodedata
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from astica_sync.core.gallery.safe_names import free_names
from astica_sync.errors import StorageFull, StoreError
from astica_sync.exchange.known_contents import list_titles
from astica_sync.exchange.sources.source import NotRead
from astica_sync.local.class_folders.folder_handles import HeldFolders, NotDone
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import STATE_DIR
from astica_sync.local.scan.ignore import Ignore
from astica_sync.page.changes.kept_files import write_new_file
from astica_sync.system.error_advice import remedy

THREADS = 8
_MOST_WAITING = 24_000_000
"""So many bytes wait to be written at most, one image aside."""
_MOST_JOBS = 64
_SPACE_LEFT = 100_000_000
"""So many bytes of the disk are left free, for the backup of a push and for other programs."""
_LOOK_EVERY = 20_000_000
"""After so many bytes, the space is looked at again."""


class ImageWriter:
    """For one root folder; a context manager. ``write`` is for one thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ignore = Ignore.load(root)
        self._folders = HeldFolders(root)
        self._places = list_titles(root)
        self._taken: dict[str, set[str]] = {}
        self._names: dict[tuple[str, str], Iterator[str]] = {}
        self._pool = ThreadPoolExecutor(THREADS, "import")
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._bytes = 0
        self._failed = threading.Event()
        self._files = FileSystem()
        self._written = _LOOK_EVERY

    def __enter__(self) -> Self:
        self._folders.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None:
                self._failed.set()
            self._pool.shutdown()
            if kind is None:
                self._wait(0)
            with contextlib.suppress(OSError):
                self._folders.sync()
        finally:
            self._folders.__exit__(kind, error, trace)

    def write(self, title: str, below: tuple[str, ...], wanted: str, data: bytes, content: str) -> str:
        """Has the image written into the folder of its class; the path at which it will be.

        Raises:
            NotRead: it would be no image there.
            StoreError: nothing can be written; so can what was to be written before.
        """
        self._require_space(len(data))
        folder = "/".join((self._places.get(title, title), *below))
        if self._ignore.skips_below(f"{folder}/{wanted}"):
            raise NotRead("the ignore file, or its name, leaves that place out, so it would not be an image there")
        try:
            self._folders.make(folder)
            if self._is_in_store_below(folder):
                raise NotRead("its folder is another store, so it would not be an image of this one there")
            descriptor = os.dup(self._folders.folder(folder))
        except OSError as error:
            raise self._refused(error, folder) from error
        self._folders.note_changed(folder)
        name = self._free_name(folder, wanted, descriptor)
        self._bytes += len(data)
        job = self._pool.submit(self._write, descriptor, folder, name, data, content)
        self._waiting.append((job, len(data)))
        self._wait(_MOST_WAITING)
        self._folders.trim()
        return f"{folder}/{name}"

    def _is_in_store_below(self, folder: str) -> bool:
        """Whether this folder, or one above it in the store, is a store of its own, which no scan enters."""
        while folder:
            with contextlib.suppress(FileNotFoundError):
                os.stat(STATE_DIR, dir_fd=self._folders.folder(folder), follow_symlinks=False)
                return True
            folder = folder.rpartition("/")[0]
        return False

    def _write(self, descriptor: int, folder: str, name: str, data: bytes, content: str) -> None:
        try:
            if self._failed.is_set():
                return
            tries = 0
            while True:
                try:
                    write_new_file(descriptor, name, iter([data]), content)
                except FileExistsError:
                    # Another program took the name just now.
                    tries += 1
                    name = f"{os.urandom(3).hex()}-{name}"
                    if tries > 3:
                        raise
                else:
                    return
        finally:
            os.close(descriptor)

    def _wait(self, most: int) -> None:
        """Waits until no more than so many bytes are still to be written.

        Raises:
            StoreError: one could not be written.
        """
        while self._waiting and (self._bytes > most or len(self._waiting) > _MOST_JOBS or self._waiting[0][0].done()):
            job, size = self._waiting.popleft()
            self._bytes -= size
            try:
                job.result()
            except OSError as error:
                self._failed.set()
                raise self._refused(error, "") from error
            except NotDone as reason:
                raise StoreError(
                    f"an image cannot be written to {self._root}: {reason}", "Check the memory of this machine."
                ) from reason

    def _require_space(self, size: int) -> None:
        """An archive may unpack to more than the disk has."""
        self._written += size
        if self._written < _LOOK_EVERY:
            return
        self._written = 0
        free = self._files.free_bytes(self._root)
        if free is not None and free < _SPACE_LEFT + _LOOK_EVERY + size:
            raise StorageFull(
                f"the disk is nearly full: {free / 1e6:.0f} MB free in {self._root}; the import has stopped",
                "Free space, then run the command again, which continues where it stopped.",
            )

    def _free_name(self, folder: str, wanted: str, descriptor: int) -> str:
        """A name that no file has, upper and lower case being the same, as on many disks."""
        if folder not in self._taken:
            with contextlib.suppress(OSError):
                self._taken[folder] = {_folded(name) for name in os.listdir(descriptor)}
        taken = self._taken.setdefault(folder, set())
        name = wanted
        if _folded(name) in taken:
            # Of many files of one name the search goes on where it ended.
            names = self._names.setdefault((folder, _folded(wanted)), free_names(wanted))
            name = next(name for name in names if _folded(name) not in taken)
        taken.add(_folded(name))
        return name

    def _refused(self, error: OSError, folder: str) -> StoreError:
        place = self._root / folder
        hint = f"{remedy(error, place)}; then run the command again, which continues where it stopped"
        kind = StorageFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
        return kind(f"{place} cannot be written: {error.strerror}", hint)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
