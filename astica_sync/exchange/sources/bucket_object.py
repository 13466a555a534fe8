"""One object of a bucket, read by ranges as a file that is open: an archive, a shard."""

import errno
import io
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, cast

from astica_sync.bucket.open_bucket import ACCESS, RETRY_S, Bucket, open_bucket, shown_error, tag_of
from astica_sync.errors import AsticaSyncError
from astica_sync.exchange.sources.source import SourceLost

_BLOCK = 4 << 20
_AHEAD = 3
_MOST_BLOCKS = 5
"""So many blocks are held in memory, those that are read ahead among them."""
_BUFFER = 1 << 16
CHANGED = "it changed while the bucket was read; run the command again"


class BucketObject:
    """An object as it was found: nothing is read of it once it has another size or ETag."""

    def __init__(self, bucket: Bucket, key: str, size: int, tag: str | None) -> None:
        self._bucket, self._key = bucket, key
        self.size: int = size
        self.tag: str | None = tag

    def open(self) -> BinaryIO:
        """Reading it raises ``SourceLost`` where the bucket does not give the bytes."""
        return cast(BinaryIO, io.BufferedReader(_ObjectFile(self), _BUFFER))

    def read(self, start: int, end: int) -> memoryview:
        """
        Raises:
            SourceLost: the bucket does not give these bytes.
        """
        if start >= end:
            return memoryview(b"")
        options: Any = {"range": (start, end)}
        if self.tag is not None and not self.tag.startswith("W/"):
            # A weak tag never matches.
            options["if_match"] = self.tag
        try:
            found = self._bucket.obstore.get(self._bucket.store, self._key, options=options)
            # Not every server knows If-Match.
            if found.meta["size"] != self.size or (self.tag is not None and tag_of(found.meta) != self.tag):
                raise SourceLost(CHANGED)
            data = memoryview(found.bytes())
        except (self._bucket.errors.BaseError, OSError, ValueError) as error:
            raise SourceLost(refusal(self._bucket, error)) from error
        if len(data) != end - start:
            raise SourceLost(f"it cannot be read: {len(data):,} bytes came in place of {end - start:,}")
        return data


def find_object(url: str, retry_s: float = RETRY_S) -> BucketObject | None:
    """The object of this address, None where there is none.

    Raises:
        AsticaSyncError: the bucket does not tell.
    """
    try:
        bucket = open_bucket(url, retry_s)
    except ValueError as error:
        raise AsticaSyncError(f"{url} cannot be opened: {error}", ACCESS) from error
    try:
        # The store begins at the address, so that the library alone reads what is escaped in it.
        about = bucket.obstore.head(bucket.store, "")
    except (FileNotFoundError, bucket.errors.NotFoundError):
        return None
    except (bucket.errors.BaseError, OSError, ValueError) as error:
        raise AsticaSyncError(f"{url} cannot be read: {shown_error(error)}", ACCESS) from error
    return BucketObject(bucket, "", int(about["size"]), tag_of(about))


def refusal(bucket: Bucket, error: Exception) -> str:
    """Why an object is not read that was found before."""
    errors = bucket.errors
    if isinstance(error, errors.PreconditionError):
        return CHANGED
    if isinstance(error, (FileNotFoundError, errors.NotFoundError)):
        return "it is gone from the bucket"
    if isinstance(error, (PermissionError, errors.PermissionDeniedError, errors.UnauthenticatedError)):
        return "the bucket denies reading it: check its permissions"
    return f"it cannot be read: {shown_error(error)}"


class _ObjectFile(io.RawIOBase):
    """Reads whole blocks; where one follows the other, the next ones are on their way. After the first that is lost no
    more requests are sent: each of them would wait until the bucket is given up."""

    def __init__(self, source: BucketObject) -> None:
        self._source, self._at = source, 0
        self._blocks: dict[int, Future[memoryview]] = {}
        self._latest = -1
        self._lost: str | None = None
        self._pool = ThreadPoolExecutor(_AHEAD + 1, "bucket")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        if self._at >= self._source.size:
            return 0
        number, offset = divmod(self._at, _BLOCK)
        piece = self._block(number)[offset : offset + len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        if at < 0:
            raise OSError(errno.EINVAL, "it would begin before the object")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        if not self.closed:
            self._pool.shutdown(cancel_futures=True)
            self._blocks.clear()
        super().close()

    def _block(self, number: int) -> memoryview:
        if self._lost is not None:
            raise SourceLost(self._lost)
        wanted = [number]
        if number == self._latest + 1:
            wanted += range(number + 1, min(number + 1 + _AHEAD, -(-self._source.size // _BLOCK)))
        self._latest = number
        for one in wanted:
            # The latest ones are last.
            self._blocks[one] = self._blocks.pop(one) if one in self._blocks else self._fetch(one)
        block = self._blocks[number]
        while len(self._blocks) > _MOST_BLOCKS:
            self._blocks.pop(next(iter(self._blocks))).cancel()
        try:
            return block.result()
        except SourceLost as lost:
            self._lost = str(lost)
            raise

    def _fetch(self, number: int) -> Future[memoryview]:
        start = number * _BLOCK
        return self._pool.submit(self._source.read, start, min(start + _BLOCK, self._source.size))
