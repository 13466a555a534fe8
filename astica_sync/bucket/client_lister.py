"""Lists a bucket by the client of ``open_bucket``: Google Cloud Storage, Azure, and S3 with credentials of a machine.

The client ends a list at the first key that is no path of a file, so nothing of that folder counts as absent.
"""

from collections.abc import Iterable, Iterator

from astica_sync.bucket.bucket_error import AWAY, DENIED, BucketError
from astica_sync.bucket.bucket_objects import bare_tag
from astica_sync.bucket.listed_page import ListedObject, ListedPage, is_usable
from astica_sync.bucket.open_bucket import Bucket, shown_error


class ClientLister:
    """As ``Lister``. A list is always of everything below the prefix, so that folders in folders are listed twice."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket, self._name = bucket, name

    def pages(self, prefix: str) -> Iterator[ListedPage]:
        bucket, cut, place = self._bucket, len(prefix), f"{self._name}/{prefix}"
        errors = bucket.errors
        seen: set[str] = set()
        try:
            for listed in bucket.obstore.list(bucket.store, prefix.rstrip("/") or None, chunk_size=1000):
                page = ListedPage([], [], [])
                for about in listed:
                    name = str(about["path"])[cut:]
                    if not name:
                        page = page._replace(has_mark=True)
                        continue
                    first, slash, _ = name.partition("/")
                    if slash:
                        if first not in seen:
                            seen.add(first)
                            (page.folders if is_usable(first) else page.odd).append(first)
                    elif not is_usable(name):
                        page.odd.append(name)
                    elif about["size"] or not self._is_folder_mark(f"{prefix}{name}", place):
                        modified = int(about["last_modified"].timestamp())
                        page.objects.append(ListedObject(name, int(about["size"]), modified, bare_tag(about)))
                yield page
        except errors.InvalidPathError as error:
            text = f"a key there is no path of a file: {shown_error(error)}"
            raise BucketError(text, "rename or remove that object", place) from error
        except (errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
            raise BucketError(f"the bucket cannot be listed: {shown_error(error)}", DENIED, place) from error
        except (errors.BaseError, OSError, ValueError) as error:
            if isinstance(error, BucketError):
                raise
            raise BucketError(f"the bucket cannot be listed: {shown_error(error)}", AWAY, place) from error

    def has_any(self, prefix: str) -> bool:
        return any(not page.is_empty or page.has_mark for page in self.pages(prefix))

    def expect(self, prefixes: Iterable[str]) -> None:
        """Nothing is asked for ahead."""

    def _is_folder_mark(self, path: str, place: str) -> bool:
        """Whether an empty object is one with a slash at the end of its key, which the client does not tell: consoles
        make it for an empty folder, and there is no object without the slash."""
        try:
            self._bucket.obstore.head(self._bucket.store, path)
        except (FileNotFoundError, self._bucket.errors.NotFoundError):
            return True
        except (self._bucket.errors.BaseError, OSError) as error:
            raise BucketError(f"{path} cannot be looked at: {shown_error(error)}", AWAY, place) from error
        return False
