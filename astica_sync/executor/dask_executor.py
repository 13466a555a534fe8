"""Work on files on a Dask cluster, in shards; what no worker has done is done here."""

from collections import deque
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from astica_sync.core.shards import LARGEST_SENT, files_in_shard, fits, most_in_flight
from astica_sync.executor.dask_cluster import DaskCluster
from astica_sync.executor.file_work import FileExecutor, FileWork, Shard

R = TypeVar("R")


class DaskExecutor:
    """A ``FileExecutor``. A file is sent to workers once by its path, once more with its bytes where a worker could not
    read it, and is then done here: so every run ends."""

    has_workers = True

    def __init__(self, cluster: DaskCluster, local: FileExecutor) -> None:
        self._cluster = cluster
        self._local = local
        self._sends_bytes = False

    def run(self, work: FileWork[R], files: Mapping[str, Path]) -> Generator[tuple[str, R], None, None]:
        """As ``FileExecutor.run``."""
        rounds = _Rounds(work, files, self._sends_bytes)
        flying: dict[Any, Shard] = {}
        try:
            while flying or rounds.waiting:
                slots = self._cluster.count_slots()
                while len(flying) < most_in_flight(slots) and (shard := rounds.next_shard(slots)):
                    flying[self._cluster.submit(work.on_worker, shard)] = shard
                if not flying and not rounds.waiting:
                    break
                for future, results in self._cluster.wait(flying):
                    yield from rounds.take(flying.pop(future), results)
        finally:
            self._cluster.cancel(flying)
            self._sends_bytes = rounds.sends_bytes
        yield from self._local.run(work, {content: files[content] for content in rounds.left})


class _Rounds:
    """Which files are sent next, and what is left to this machine."""

    def __init__(self, work: FileWork[Any], files: Mapping[str, Path], sends_bytes: bool) -> None:
        self._read = work.read
        self._files = files
        self._by_path = deque(files)
        self._by_bytes = deque[str]()
        self._opened: tuple[str, bytes] | None = None
        self.sends_bytes = sends_bytes
        """Whether all files are sent with their bytes: once a worker could not read what this machine can."""
        self.left: list[str] = []

    @property
    def waiting(self) -> bool:
        return bool(self._by_path or self._by_bytes or self._opened)

    def next_shard(self, slots: int) -> Shard:
        """The next one, where there is one; files that are not sent are ``left``."""
        most = files_in_shard(len(self._by_path) + len(self._by_bytes), slots)
        if self.sends_bytes:
            self._by_bytes.extend(self._by_path)
            self._by_path.clear()
        if self._by_bytes or self._opened:
            return self._next_with_bytes(most)
        names = [self._by_path.popleft() for _ in range(min(most, len(self._by_path)))]
        return [(content, str(self._files[content])) for content in names]

    def _next_with_bytes(self, most: int) -> Shard:
        shard: list[tuple[str, bytes]] = []
        size = 0
        while len(shard) < most and (opened := self._open_next()):
            if not fits(len(shard), size, len(opened[1])):
                self._opened = opened
                break
            shard.append(opened)
            size += len(opened[1])
        return shard

    def _open_next(self) -> tuple[str, bytes] | None:
        if self._opened:
            opened, self._opened = self._opened, None
            return opened
        while self._by_bytes:
            content = self._by_bytes.popleft()
            data = self._read(content, self._files[content])
            if data is not None and len(data) <= LARGEST_SENT:
                self.sends_bytes = True
                return content, data
            self.left.append(content)
        return None

    def take(self, shard: Shard, results: Mapping[str, R | None] | None) -> Iterator[tuple[str, R]]:
        """The results of a shard, None where no worker could end it."""
        for content, source in shard:
            if results is None or content not in results:
                self.left.append(content)
            elif (found := results[content]) is not None:
                yield content, found
            elif isinstance(source, bytes):
                self.left.append(content)
            else:
                self._by_bytes.append(content)
