"""A data set in a bucket."""

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

from astica_sync.bucket.open_bucket import ACCESS, RETRY_S, open_bucket, shown_error, tag_of
from astica_sync.core.exchange.source_path import path_fault, plain_path
from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.sources.bucket_object import CHANGED, BucketObject, refusal
from astica_sync.exchange.sources.source import MOST_BYTES, MOST_FILES, MOST_TABLE, NotRead, SourceFile, too_large

_THREADS = 8
_MOST_AHEAD = 32
_MOST_AHEAD_BYTES = 48_000_000


class BucketSource:
    """Lists the bucket once. Each object is read as it was listed: one that changes meanwhile is not."""

    def __init__(self, url: str, retry_s: float = RETRY_S) -> None:
        self.name: str = url
        self.ended_early: str = ""
        try:
            bucket = open_bucket(url, retry_s)
        except ValueError as error:
            raise AsticaSyncError(f"{url} cannot be opened: {error}", ACCESS) from error
        self._bucket = bucket
        self._store, self._obstore, self._errors = bucket.store, bucket.obstore, bucket.errors
        self._entries: list[SourceFile] | None = None
        self._tags: list[str | None] = []
        self._places: list[str] = []

    def entries(self) -> Sequence[SourceFile]:
        if self._entries is None:
            self._entries = []
            try:
                for page in self._obstore.list(self._store, chunk_size=1000):
                    for about in page:
                        self._take(str(about["path"]), int(about["size"]), tag_of(about))
            except self._errors.InvalidPathError as error:
                raise AsticaSyncError(
                    f"{self.name} cannot be listed: {shown_error(error)}",
                    "Rename that object, or name a folder of the bucket without it.",
                ) from error
            except (self._errors.BaseError, OSError) as error:
                raise AsticaSyncError(f"{self.name} cannot be listed: {shown_error(error)}", ACCESS) from error
            # Consoles of providers make an empty object for a folder.
            folders = {entry.path.rpartition("/")[0] for entry in self._entries}
            self._entries = [entry for entry in self._entries if entry.size or entry.path not in folders]
        return self._entries

    def open(self, entry: SourceFile) -> BinaryIO:
        if entry.path.endswith((".tar", ".parquet")):
            place = int(entry.place)
            return BucketObject(self._bucket, self._places[place], entry.size, self._tags[place]).open()
        if entry.size > MOST_TABLE:
            raise too_large(entry.size)
        data = self._get(entry)
        if isinstance(data, NotRead):
            raise data
        return io.BytesIO(data)

    def stream(self, wanted: Callable[[SourceFile], bool]) -> Iterator[tuple[SourceFile, bytes | NotRead]]:
        waiting: deque[tuple[SourceFile, Future[bytes | NotRead]]] = deque()
        ahead = 0
        with ThreadPoolExecutor(_THREADS, "bucket") as pool:
            try:
                for entry in self.entries():
                    if not wanted(entry):
                        continue
                    waiting.append((entry, pool.submit(self._get, entry)))
                    ahead += entry.size
                    while waiting and (len(waiting) > _MOST_AHEAD or ahead > _MOST_AHEAD_BYTES):
                        first, job = waiting.popleft()
                        ahead -= first.size
                        yield first, job.result()
                while waiting:
                    first, job = waiting.popleft()
                    yield first, job.result()
            finally:
                for _, job in waiting:
                    job.cancel()

    def close(self) -> None:
        pass

    def _take(self, key: str, size: int, tag: str | None) -> None:
        assert self._entries is not None
        if len(self._entries) >= MOST_FILES:
            raise AsticaSyncError(f"{self.name} has more than {MOST_FILES:,} files", "Name a folder in it.")
        path = plain_path(key)
        is_large = size > MOST_BYTES and not path.endswith((".tar", ".parquet"))
        fault = path_fault(path) or (str(too_large(size)) if is_large else "")
        self._entries.append(SourceFile(path, size, len(self._places), fault))
        self._places.append(key)
        self._tags.append(tag)

    def _get(self, entry: SourceFile) -> bytes | NotRead:
        place = int(entry.place)
        tag = self._tags[place]
        errors = self._errors
        try:
            options: Any = {"if_match": tag} if tag and not tag.startswith("W/") else None
            found = self._obstore.get(self._store, self._places[place], options=options)
            if found.meta["size"] > MOST_BYTES:
                return too_large(found.meta["size"])
            data = bytes(found.bytes())
        except (errors.BaseError, OSError, ValueError) as error:
            return NotRead(refusal(self._bucket, error))
        if len(data) != entry.size:
            return NotRead(CHANGED)
        return data


class ObjectSource(BucketSource):
    """One object, as a folder that has nothing else."""

    def __init__(self, url: str, name: str, found: BucketObject) -> None:
        super().__init__(url)
        self._object = found
        self._entries = [SourceFile(plain_path(name), found.size)]
        self._places, self._tags = [""], [found.tag]

    def open(self, entry: SourceFile) -> BinaryIO:
        return self._object.open()
