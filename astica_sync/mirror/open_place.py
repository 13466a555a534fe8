"""Opens a mirror or an inbox by its address."""

import re
from pathlib import Path

from astica_sync.bucket.open_bucket import ACCESS
from astica_sync.errors import ConfigError
from astica_sync.mirror.bucket_place import BucketPlace
from astica_sync.mirror.folder_place import FolderPlace
from astica_sync.mirror.place import Place

_BUCKET = re.compile(r"(s3|s3a|gs|az|azure|abfs|abfss|adl|memory)://", re.IGNORECASE)


def open_place(address: str, what: str = "mirror", retry_s: float | None = None, *, shared: bool = False) -> Place:
    """A bucket where the address has the scheme of one (``s3://``, ``gs://``, ``az://``), else a folder. ``what`` is
    what messages call it; a request that a bucket refuses for its rate is repeated for ``retry_s`` seconds.
    ``shared``: others write to it.

    Raises:
        ConfigError: it may have a password in it, or the library for buckets is not installed.
        MirrorFailed: it cannot be opened.
    """
    refuse_password(address, what)
    if is_bucket(address):
        return BucketPlace(address) if retry_s is None else BucketPlace(address, retry_s)
    return FolderPlace(folder_of(address), what, shared=shared)


def folder_of(address: str) -> Path:
    """The folder that an address names which is none of a bucket."""
    return Path(address.removeprefix("file://")).expanduser()


def is_bucket(address: str) -> bool:
    """Whether the address has the scheme of a bucket."""
    return _BUCKET.match(address) is not None


def refuse_password(address: str, what: str = "mirror") -> None:
    """
    Raises:
        ConfigError: the address may have a password or a key in it, which the process list and a service file would
            show. The message does not repeat it.
    """
    _, found, rest = address.partition("://")
    if found and (":" in rest.partition("/")[0] or (is_bucket(address) and "?" in rest)):
        raise ConfigError(
            f"the address of the {what} has a password, a port or a query in it; nothing was done", ACCESS
        )
