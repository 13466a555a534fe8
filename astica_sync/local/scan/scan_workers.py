"""What lists folders ahead of a scan and hashes its files: the interface, and the plain way without parallelism.

``parallel/`` has the other way, for stores of very many files.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from astica_sync.local.filesystem import FileSystem
from astica_sync.local.scan.directory_digest import DirectoryListing
from astica_sync.local.scan.file_hash import FileHash, hash_file


class PendingHashes(Protocol):
    """Files that are being hashed."""

    def result(self) -> list[FileHash]:
        """Waits for the hashes."""
        ...


class Workers(Protocol):
    """The workers of one scan, for the thread that scans."""

    @property
    def prefetches(self) -> bool:
        """Whether ``prefetch`` has any effect."""
        ...

    def prefetch(self, path: str, digests: bytes | None, seed: int) -> None:
        """Announces a folder that will be listed before those announced earlier; as for ``list_directory``."""
        ...

    def take_listing(self, path: str) -> DirectoryListing | None:
        """The listing of an announced folder; None where the caller has to list it."""
        ...

    def hash(self, paths: Sequence[str]) -> PendingHashes:
        """Hashes files, in the order of their paths."""
        ...

    def close(self) -> None:
        """Cancels what has not begun, and ends threads and processes."""
        ...


class SerialWorkers:
    """The plain way: files are hashed when asked for, in an order that only the store decides."""

    prefetches = False

    def __init__(self, files: FileSystem) -> None:
        self._files = files

    def prefetch(self, path: str, digests: bytes | None, seed: int) -> None:
        pass

    def take_listing(self, path: str) -> DirectoryListing | None:
        return None

    def hash(self, paths: Sequence[str]) -> PendingHashes:
        future: Future[list[FileHash]] = Future()
        future.set_result(hash_files(self._files, paths))
        return future

    def close(self) -> None:
        pass


def hash_files(files: FileSystem, paths: Sequence[str]) -> list[FileHash]:
    """The hashes of these files, in their order."""
    return [hash_file(files, path) for path in paths]
