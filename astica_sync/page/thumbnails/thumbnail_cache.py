"""Thumbnails on the disk, each named by the content hash of its image, in the store's hidden folder.

The folder may have come in a downloaded store, so each file ends with a keyed hash: what this user's program has not
written is not served. Losing a file costs the time to make it again.
"""

import contextlib
import hashlib
import hmac
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from astica_sync.local.filesystem import FileSystem, is_real_folder, temp_name

MOST_BYTES = 512_000_000
_MAC_BYTES = 16
_LARGEST = 1 << 20


class ThumbnailCache:
    """The files in one folder, for any number of threads. ``most_bytes`` bounds their sizes together; the oldest files
    go first."""

    def __init__(self, folder: Path, key: str, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._key, self._most = folder, hashlib.sha256(key.encode()).digest(), most_bytes
        self._files = FileSystem()
        self._lock = threading.Lock()
        self._bytes: int | None = None

    def read(self, content: str, side: int) -> bytes | None:
        """The thumbnail; None where there is none that this program has written."""
        try:
            _, data, _ = self._files.read_small(self._path(content, side), _LARGEST)
        except OSError:
            return None
        if data is None or not hmac.compare_digest(self._mac(content, side, data[:-_MAC_BYTES]), data[-_MAC_BYTES:]):
            return None
        return data[:-_MAC_BYTES]

    def write(self, content: str, side: int, image: bytes) -> None:
        """Keeps a thumbnail, where the disk lets it."""
        path = self._path(content, side)
        temp = temp_name(path)
        data = image + self._mac(content, side, image)
        try:
            for folder in (self._folder.parent, self._folder, path.parent):
                # Each by itself, since a link may stand in place of any of them.
                self._files.make_folder(folder)
            descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(data)
            temp.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temp.unlink()
            return
        self._count(len(data))

    def _count(self, size: int) -> None:
        with self._lock:
            if self._bytes is None:
                self._bytes = sum(size for _, size, _ in self._entries())
            else:
                self._bytes += size
            if self._bytes > self._most:
                self._remove_oldest()

    def _remove_oldest(self) -> None:
        """Removes a tenth more than needed, so that it is not done for each new file."""
        total = 0
        entries = sorted(self._entries(), reverse=True)
        for _, size, path in entries:
            if total + size > self._most * 0.9:
                with contextlib.suppress(OSError):
                    Path(path).unlink()
            else:
                total += size
        self._bytes = total

    def _entries(self) -> Iterator[tuple[float, int, str]]:
        """Time, size and path of each file."""
        with contextlib.suppress(OSError), os.scandir(self._folder) as folders:
            for folder in folders:
                if is_real_folder(folder.path):
                    with contextlib.suppress(OSError), os.scandir(folder.path) as files:
                        for file in files:
                            status = file.stat(follow_symlinks=False)
                            yield status.st_mtime, status.st_size, file.path

    def _path(self, content: str, side: int) -> Path:
        return self._folder / content[:2] / f"{content}-{side}.jpg"

    def _mac(self, content: str, side: int, image: bytes) -> bytes:
        hasher = hashlib.blake2b(f"{content} {side}\n".encode(), key=self._key, digest_size=_MAC_BYTES)
        hasher.update(image)
        return hasher.digest()
