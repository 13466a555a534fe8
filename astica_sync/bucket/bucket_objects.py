"""Reads and writes the objects of a bucket, with errors as those of a file system."""

import errno
import io
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple, TypeVar

from astica_sync.bucket.bucket_error import AWAY, CHANGED, DENIED, BucketError
from astica_sync.bucket.open_bucket import Bucket, shown_error, tag_of

T = TypeVar("T")
_PIECE = 1 << 20
_FAILURES, _REST_S = 3, 30.0
"""After so many requests in a row without an answer, none is sent for so many seconds: each would wait for as long."""


class About(NamedTuple):
    """What is known of an object, as in ``ListedObject``."""

    size: int
    modified: int
    tag: str


class ObjectFile(io.RawIOBase):
    """An object that is read from its start, piece by piece, as it was when it was opened."""

    def __init__(
        self, pieces: Iterator[bytes], status: os.stat_result, on_error: Callable[[Exception], OSError]
    ) -> None:
        super().__init__()
        self.status = status
        self._pieces, self._on_error = pieces, on_error
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        target = memoryview(buffer).cast("B")
        while not self._rest:
            try:
                piece = next(self._pieces, None)
            except Exception as error:
                raise self._on_error(error) from error
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        # What is not read is not loaded either.
        self._pieces = iter(())
        super().close()


class BucketObjects:
    """The objects of one source, for any thread. Paths are below the source's prefix."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket, self.name = bucket, name
        self._lock = threading.Lock()
        self._failed: list[OSError] = []
        self._rests_until = 0.0

    def head(self, path: str) -> About:
        """
        Raises:
            FileNotFoundError: there is no such object, or no such bucket, which a list tells.
            BucketError: it is not known.
        """
        return _about(self._ask(path, lambda: self._bucket.obstore.head(self._bucket.store, path)))

    def read(self, path: str, most: int) -> tuple[About, bytes | None]:
        """An object and its bytes, None where it has more than ``most``.

        Raises:
            As ``head``.
        """

        def get() -> tuple[About, bytes | None]:
            result = self._bucket.obstore.get(self._bucket.store, path)
            about = _about(result.meta)
            return about, bytes(result.bytes()) if about.size <= most else None

        return self._ask(path, get)

    def open(self, path: str, status_of: Callable[[About], os.stat_result]) -> ObjectFile:
        """An object to be read in pieces.

        Raises:
            As ``head``; the file raises BucketError where it cannot be read to its end.
        """
        result = self._ask(path, lambda: self._bucket.obstore.get(self._bucket.store, path))
        status = status_of(_about(result.meta))

        def pieces() -> Iterator[bytes]:
            if status.st_size:
                for piece in result.stream(min_chunk_size=_PIECE):
                    yield bytes(piece)

        return ObjectFile(pieces(), status, lambda error: self._error(path, error))

    def write(self, path: str, file: BinaryIO | bytes, *, new: bool) -> None:
        """Writes an object; with ``new`` an existing one stays.

        Raises:
            FileExistsError: there is one.
            BucketError: it cannot be written; it may be there.
        """
        bucket = self._bucket
        mode = "create" if new else "overwrite"
        try:
            bucket.obstore.put(bucket.store, path, file, mode=mode, use_multipart=False if new else None)
        except bucket.errors.AlreadyExistsError as error:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self._place(path)) from error
        except (bucket.errors.BaseError, OSError, ValueError) as error:
            raise self._error(path, error) from error

    def _ask(self, path: str, request: Callable[[], T]) -> T:
        with self._lock:
            if len(self._failed) >= _FAILURES and time.monotonic() < self._rests_until:
                raise self._failed[-1]
        try:
            done = request()
        except Exception as error:
            known = self._error(path, error)
            with self._lock:
                if isinstance(known, BucketError) and known.advice == AWAY:
                    self._failed.append(known)
                    self._rests_until = time.monotonic() + _REST_S
                else:
                    self._failed.clear()
            raise known from error
        with self._lock:
            self._failed.clear()
        return done

    def _error(self, path: str, error: Exception) -> OSError:
        errors = self._bucket.errors
        place = self._place(path)
        if isinstance(error, FileNotFoundError | errors.NotFoundError):
            return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place)
        if isinstance(error, errors.PermissionDeniedError | errors.UnauthenticatedError):
            return BucketError(f"the bucket refuses it: {shown_error(error)}", DENIED, place)
        if isinstance(error, errors.PreconditionError):
            return BucketError("the object has changed meanwhile", CHANGED, place)
        if isinstance(error, errors.BaseError | OSError | ValueError):
            return BucketError(f"the bucket does not answer: {shown_error(error)}", AWAY, place)
        raise error

    def _place(self, path: str) -> str:
        return f"{self.name}/{path}"


def _about(meta: Any) -> About:
    return About(int(meta["size"]), int(meta["last_modified"].timestamp()), bare_tag(meta))


def bare_tag(meta: Mapping[str, Any]) -> str:
    """The ETag of an object without quotes, its version where it has none. A list of S3 has no versions, so they are
    not compared."""
    return (tag_of(meta) or str(meta.get("version") or "")).strip('"')
