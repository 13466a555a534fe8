"""Opens a mirror by its address."""

import re
from pathlib import Path

from astica_sync.bucket import ACCESS
from astica_sync.errors import ConfigError
from astica_sync.mirror.bucket_place import BucketPlace
from astica_sync.mirror.folder_place import FolderPlace
from astica_sync.mirror.place import Place

_BUCKET = re.compile(r"(s3|s3a|gs|az|azure|abfs|abfss|adl|memory)://", re.IGNORECASE)


def open_place(address: str) -> Place:
    """A bucket where the address has the scheme of one (``s3://``, ``gs://``, ``az://``), else a folder.

    Raises:
        ConfigError: it may have a password in it, or the library for buckets is not installed.
        MirrorFailed: it cannot be opened.
    """
    refuse_password(address)
    if is_bucket(address):
        return BucketPlace(address)
    return FolderPlace(Path(address.removeprefix("file://")).expanduser())


def is_bucket(address: str) -> bool:
    """Whether the address has the scheme of a bucket."""
    return _BUCKET.match(address) is not None


def refuse_password(address: str) -> None:
    """
    Raises:
        ConfigError: the address may have a password or a key in it, which the process list and a service file would
            show. The message does not repeat it.
    """
    _, found, rest = address.partition("://")
    if found and (":" in rest.partition("/")[0] or (is_bucket(address) and "?" in rest)):
        raise ConfigError("the address of the mirror has a password, a port or a query in it; nothing was done", ACCESS)
