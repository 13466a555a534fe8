"""A mirror in a bucket.

Nothing rests on conditional writes, which some servers ignore: names are content hashes, and what was written is read
back.
"""

from collections.abc import Iterator

from astica_sync.bucket import ACCESS, RETRY_S, open_bucket, shown_error
from astica_sync.errors import MirrorFailed
from astica_sync.service_address import shown_address


class BucketPlace:
    """The files below one prefix of a bucket."""

    def __init__(self, url: str, retry_s: float = RETRY_S) -> None:
        """
        Raises:
            ConfigError: the library is not installed.
            MirrorFailed: it is no address of a bucket.
        """
        self.name: str = shown_address(url)
        try:
            bucket = open_bucket(url, retry_s)
        except ValueError as error:
            raise MirrorFailed(f"{self.name} cannot be opened: {error}", ACCESS) from error
        self._store, self._obstore, self._errors = bucket.store, bucket.obstore, bucket.errors

    def sizes(self) -> Iterator[tuple[str, int]]:
        try:
            for page in self._obstore.list(self._store, chunk_size=1000):
                for about in page:
                    yield str(about["path"]), int(about["size"])
        except self._errors.BaseError as error:
            raise MirrorFailed(f"{self.name} cannot be listed: {shown_error(error)}", ACCESS) from error

    def read(self, name: str) -> bytes | None:
        try:
            return bytes(self._obstore.get(self._store, name).bytes())
        except (FileNotFoundError, self._errors.NotFoundError):
            return None
        except (self._errors.BaseError, OSError) as error:
            raise MirrorFailed(f"{name} of {self.name} cannot be read: {shown_error(error)}", ACCESS) from error

    def write(self, name: str, data: bytes) -> None:
        try:
            self._obstore.put(self._store, name, data)
        except (self._errors.BaseError, OSError) as error:
            raise MirrorFailed(f"{name} cannot be written to {self.name}: {shown_error(error)}", ACCESS) from error
