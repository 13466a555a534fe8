"""A mirror or an inbox in a bucket.

Nothing rests on conditional writes, which some servers ignore: names are content hashes. What a mirror has written is
read back, and what an inbox has is checked by the machine that takes it in.
"""

from collections.abc import Iterator

from astica_sync.bucket.open_bucket import ACCESS, RETRY_S, open_bucket, shown_error
from astica_sync.errors import MirrorFailed
from astica_sync.mirror.place import Added, PlaceEntry
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

    def entries(self, below: str = "") -> Iterator[PlaceEntry]:
        try:
            for page in self._obstore.list(self._store, below or None, chunk_size=1000):
                for about in page:
                    yield PlaceEntry(str(about["path"]), int(about["size"]), str(about.get("e_tag") or ""))
        except self._errors.InvalidPathError as error:
            # The client lists nothing from a page with such a key on.
            yield PlaceEntry(below, 0, fault=f"the list ends at a key that is no path: {shown_error(error)}")
        except (self._errors.BaseError, OSError) as error:
            raise MirrorFailed(f"{self.name} cannot be listed: {shown_error(error)}", ACCESS) from error

    def read_start(self, name: str, most: int) -> bytes | None:
        pieces, total = [], 0
        try:
            for piece in self._obstore.get(self._store, name).stream(min_chunk_size=1 << 20):
                pieces.append(bytes(piece))
                total += len(pieces[-1])
                if total >= most:
                    break
        except (FileNotFoundError, self._errors.NotFoundError):
            return None
        except (self._errors.BaseError, OSError, ValueError) as error:
            raise MirrorFailed(f"{name} of {self.name} cannot be read: {shown_error(error)}", ACCESS) from error
        return b"".join(pieces)[:most]

    def add(self, name: str, data: bytes) -> Added:
        """A key that may only write is enough, where the bucket knows conditional writes."""
        errors = self._errors
        try:
            try:
                there = self._obstore.head(self._store, name)
                return Added.THERE if there["size"] == len(data) else Added.OTHER
            except (FileNotFoundError, errors.NotFoundError):
                known_absent = True
            except (errors.PermissionDeniedError, errors.UnauthenticatedError):
                # Without the right to list, a bucket does not tell that a key is absent.
                known_absent = False
            try:
                self._obstore.put(self._store, name, data, mode="create", use_multipart=False)
            except errors.AlreadyExistsError:
                return Added.THERE
            except errors.BaseError as error:
                if not known_absent or not _is_unknown_to_server(error):
                    raise
                self._obstore.put(self._store, name, data, use_multipart=False)
        except (errors.BaseError, OSError, ValueError) as error:
            raise MirrorFailed(f"{name} cannot be written to {self.name}: {shown_error(error)}", ACCESS) from error
        return Added.WRITTEN


def _is_unknown_to_server(error: Exception) -> bool:
    """Whether a server does not know conditional writes."""
    text = str(error)
    return "501 Not Implemented" in text or "NotImplemented" in text or type(error).__name__ == "NotSupportedError"
