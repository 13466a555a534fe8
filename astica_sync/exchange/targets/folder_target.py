"""A folder that an export is written to: new or empty, or one in which nothing is overwritten."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import xxhash

from astica_sync.errors import AsticaSyncError, StoreError
from astica_sync.local.filesystem import CHUNK, FileSystem, temp_name
from astica_sync.local.target_folder import check_target_folder
from astica_sync.system.error_advice import remedy


class FolderTarget:
    """``into``: the folder may have files; those with the same bytes are left, others of a name are an error."""

    def __init__(self, root: Path, *, into: bool) -> None:
        check_target_folder(root)
        self._files = FileSystem()
        try:
            if root.exists() and not root.is_dir():
                raise AsticaSyncError(f"{root} is a file", "Name a folder that does not exist yet, or a .zip or .tar.")
            if root.is_dir() and any(root.iterdir()) and not into:
                raise AsticaSyncError(
                    f"{root} is not empty", "Name a folder that does not exist yet, or add to this one with --into."
                )
            self._files.make_folder(root)
            self._root = root.resolve(strict=True)
        except OSError as error:
            raise StoreError(f"{root} cannot be created: {error.strerror}", remedy(error, root)) from error
        self._mode = self._root.stat().st_mode & 0o777

    def add(self, path: str, data: bytes) -> None:
        with self._in_folder(path) as place:
            temp = temp_name(place)
            with open(temp, "xb") as file:
                file.write(data)
            self._publish(temp, place, path)

    def add_file(self, path: str, file: BinaryIO, size: int) -> None:
        with self._in_folder(path) as place:
            temp = temp_name(place)
            with open(temp, "xb") as copy:
                while piece := file.read(CHUNK):
                    copy.write(piece)
            self._publish(temp, place, path)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.sync()

    def abandon(self) -> None:
        """What was written stays, and the same command with --into completes it."""

    @contextlib.contextmanager
    def _in_folder(self, path: str) -> Iterator[Path]:
        *parts, name = path.split("/")
        try:
            with self._files.hold_folder(self._root, parts, self._mode) as folder:
                yield folder / name
        except OSError as error:
            place = self._root / path
            raise StoreError(f"{place} cannot be written: {error.strerror}", remedy(error, place)) from error

    def _publish(self, temp: Path, place: Path, path: str) -> None:
        try:
            os.link(temp, place, follow_symlinks=False)
        except FileExistsError:
            if not _have_same_bytes(temp, place):
                raise AsticaSyncError(
                    f"{self._root / path} exists with other bytes; it was not changed",
                    "Export into a folder of its own.",
                ) from None
        except OSError:
            # No hard links on this file system.
            self._files.publish_new(temp, place)
            return
        finally:
            self._files.remove(temp)


def _have_same_bytes(one: Path, other: Path) -> bool:
    hashes = []
    for path in (one, other):
        hasher = xxhash.xxh3_128()
        with FileSystem().open_read(path) as file:
            while piece := file.read(CHUNK):
                hasher.update(piece)
        hashes.append(hasher.digest())
    return hashes[0] == hashes[1]
