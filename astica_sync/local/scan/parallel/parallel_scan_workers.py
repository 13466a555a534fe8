"""The entry to this package: ``ParallelWorkers`` does for the scan what ``SerialWorkers`` does, in less time."""

import contextlib
import os
from collections.abc import Sequence

from astica_sync.local.filesystem import FileSystem
from astica_sync.local.scan.directory_digest import DirectoryListing
from astica_sync.local.scan.parallel.directory_prefetch import Prefetcher
from astica_sync.local.scan.parallel.hash_pool import HashPool
from astica_sync.local.scan.scan_workers import PendingHashes


class ParallelWorkers:
    """Hashes files in ``threads`` threads or processes. With ``prefetch``, another process lists folders ahead of the
    scan, where the machine has a second processor for it."""

    def __init__(self, files: FileSystem, threads: int, *, prefetch: bool) -> None:
        self._hash_pool = HashPool(files, threads)
        self._prefetcher: Prefetcher | None = None
        if prefetch and (os.cpu_count() or 1) > 1:
            with contextlib.suppress(OSError):
                self._prefetcher = Prefetcher(files.root)

    @property
    def prefetches(self) -> bool:
        return self._prefetcher is not None

    def prefetch(self, path: str, digests: bytes | None, seed: int) -> None:
        if self._prefetcher is not None:
            self._prefetcher.add(path, digests, seed)

    def take_listing(self, path: str) -> DirectoryListing | None:
        return self._prefetcher.take(path) if self._prefetcher is not None else None

    def hash(self, paths: Sequence[str]) -> PendingHashes:
        return self._hash_pool.hash(paths)

    def close(self) -> None:
        self._hash_pool.close()
        if self._prefetcher is not None:
            self._prefetcher.close()
