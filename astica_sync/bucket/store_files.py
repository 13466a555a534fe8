"""Opens the files of a store: those of its folder, or those of its bucket."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from astica_sync.bucket.source_binding import read_source, refuse_own_files, refuse_untrusted_source, source_of
from astica_sync.core.model import LocalSample
from astica_sync.errors import ConfigError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout

if TYPE_CHECKING:
    from astica_sync.local.backup.backup import Backup

RETRY_S = 60.0
"""So long a request to the source is repeated that the bucket does not answer."""


def store_files(layout: Layout, trust_file: Path) -> FileSystem:
    """The file system of a store. Sends nothing.

    Raises:
        StoreChanged: it cannot be read which one it is.
        UntrustedAddress: the user has not allowed the bucket.
        ConfigError: the library for buckets is not installed.
    """
    source = read_source(layout)
    if not source:
        return FileSystem(layout.root)
    refuse_untrusted_source(trust_file, layout, source)
    refuse_own_files(layout, source)
    return open_source(layout.root, source, os.environ)


def open_source(root: Path, source: str, environ: Mapping[str, str]) -> FileSystem:
    """The file system of a store at ``root`` whose images are in a bucket. Sends nothing.

    Raises:
        ConfigError: the library for buckets is not installed, or it is no address.
    """
    # Loaded here: a store in a folder needs none of it.
    from astica_sync.bucket.bucket_file_system import BucketFileSystem
    from astica_sync.bucket.bucket_objects import BucketObjects
    from astica_sync.bucket.client_lister import ClientLister
    from astica_sync.bucket.open_bucket import ACCESS, open_bucket
    from astica_sync.bucket.s3_lister import S3Lister, read_access

    try:
        bucket = open_bucket(source, RETRY_S)
    except ValueError as error:
        raise ConfigError(f"{source} cannot be opened: {error}", ACCESS) from error
    parts = urlsplit(source)
    prefix = str(getattr(bucket.store, "prefix", None) or "").strip("/")
    access = read_access(environ, parts.netloc) if parts.scheme in ("s3", "s3a") else None
    if access is None:
        return BucketFileSystem(root, ClientLister(bucket, source), BucketObjects(bucket, source))
    lister = S3Lister(access, f"{prefix}/" if prefix else "", source, RETRY_S)
    return BucketFileSystem(root, lister, BucketObjects(bucket, source))


def file_of_image(files: FileSystem, backup: "Backup", sample: LocalSample) -> Path:
    """A file with the image of a sample, for what reads files of the disk alone: that of the store, or where the images
    are in a bucket its copy in the backup, which is missing before the image was first sent."""
    first = Path(files.root or "") / sample.paths[0]
    return (backup.find(sample.content) or first) if source_of(files) else first


def hash_threads(files: FileSystem) -> int:
    """How many threads of a scan read files; 0 for a bucket, which is read ahead by the file system itself: the
    processes of a scan would look for the files on the disk."""
    return 0 if source_of(files) else 2
