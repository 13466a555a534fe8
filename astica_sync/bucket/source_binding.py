"""Which bucket the images of a store lie in: ``.astica-sync/source.json``, written by ``init --from``.

The file may have come in an archive, so a bucket is read with this user's credentials only after the user has named it
(``init --from``) or allowed it (``astica-sync trust``), which is recorded outside of the store.
"""

import json
import re
from pathlib import Path
from typing import Protocol

from astica_sync.bucket.open_bucket import ACCESS
from astica_sync.errors import ConfigError, StoreChanged, StoreError
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import IGNORE_FILE, SETTINGS_FILE, STATE_DIR, Layout
from astica_sync.shell_quote import quote, quote_path
from astica_sync.store_trust import UntrustedAddress, untrusted
from astica_sync.system.error_advice import reason_of, remedy

OWN_FILES = (STATE_DIR, IGNORE_FILE, SETTINGS_FILE)
"""What is in the folder of a store whose images are in a bucket."""

_SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl")
_ADDRESS = re.compile(rf"({'|'.join(_SCHEMES)})://([^/?#:\s]+)(/[^?#]*)?", re.IGNORECASE)
_MOST_BYTES = 1 << 16
SOURCE_FILE = "source.json"
SOURCE_META = "source"
"""The journal's key for the same, which outlives that file."""


class JournalMeta(Protocol):
    """What is used of the journal."""

    def get_meta(self, key: str, default: object = None) -> object: ...
    def set_meta(self, key: str, value: object) -> None: ...


def is_source(address: str) -> bool:
    """Whether it is the address of a bucket, and not that of a service."""
    return _ADDRESS.fullmatch(address) is not None


def checked_source(address: str) -> str:
    """The address of a bucket and a prefix, spelled in one way.

    Raises:
        ConfigError: it is none. It is not repeated where there may be a password in it.
    """
    found = _ADDRESS.fullmatch(address.strip())
    if found is None or any(part in (".", "..") for part in address.split("/")) or not address.isprintable():
        raise ConfigError("--from needs the address of a bucket, as s3://BUCKET/PREFIX; nothing was done", ACCESS)
    if any(not part for part in (found[3] or "").strip("/").split("/")[1:]):
        raise ConfigError("the prefix of the address has an empty part ('//'); nothing was done", ACCESS)
    prefix = (found[3] or "").strip("/")
    return f"{found[1].lower()}://{found[2]}" + (f"/{prefix}" if prefix else "")


def read_source(layout: Layout) -> str:
    """The bucket that the store's images lie in, "" for a store in a folder.

    Raises:
        StoreChanged: it cannot be read.
    """
    file = layout.state / SOURCE_FILE
    try:
        _, data, _ = FileSystem().read_small(file, _MOST_BYTES)
        return checked_source(json.loads(data or b"")["source"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ConfigError) as error:
        raise StoreChanged(
            f"{file} cannot be read, which says in which bucket the images are; nothing was removed",
            f"Write it again: astica-sync init --from s3://BUCKET/PREFIX {quote_path(str(layout.root))}",
        ) from error


def write_source(layout: Layout, source: str) -> None:
    """Binds the store to the bucket.

    Raises:
        OSError: it cannot be written.
    """
    files = FileSystem()
    files.make_folder(layout.state)
    files.write_synced(layout.state / SOURCE_FILE, [json.dumps({"format": 1, "source": source}).encode() + b"\n"])


def refuse_untrusted_source(trust_file: Path, layout: Layout, source: str) -> None:
    """
    Raises:
        UntrustedAddress: the user has not allowed the store to read this bucket.
    """
    if untrusted(trust_file, layout.root, [source]):
        raise UntrustedAddress(
            f"the files of the store {layout.root} ask to read {source} with your credentials",
            f"Nothing was read. If you want that, allow it once: "
            f"astica-sync trust --store {quote_path(str(layout.root))}",
        )


def refuse_own_files(layout: Layout, source: str) -> None:
    """Images beside those of the bucket would be in no scan.

    Raises:
        StoreError: the folder of the store has files of its own, or cannot be read.
    """
    try:
        names = sorted(path.name for path in layout.root.iterdir())
        others = [name for name in names if name not in OWN_FILES and not name.startswith(".")]
    except OSError as error:
        raise StoreError(
            f"{layout.root} cannot be read: {reason_of(error)}", remedy(error, layout.root, writing=False)
        ) from error
    if others:
        raise StoreError(
            f"{layout.root / others[0]} is beside the records of a store whose images are in {source}",
            "Move it elsewhere, or put its images into the bucket. For a store of this folder, use another one.",
        )


def source_of(files: FileSystem) -> str:
    """The bucket that a file system reads, "" where it is that of a disk."""
    return str(getattr(files, "source", ""))


def check_journal(layout: Layout, journal: JournalMeta, files: FileSystem) -> None:
    """Compares the binding with the one that the journal has, and records the first one: where the file is lost, the
    store would look like an empty folder (promise 3).

    Raises:
        StoreChanged: it is another one.
    """
    recorded, source = journal.get_meta(SOURCE_META), source_of(files)
    if recorded is None and source:
        journal.set_meta(SOURCE_META, source)
    elif isinstance(recorded, str) and recorded != source:
        raise StoreChanged(
            f"the images of this store are in {recorded}, and {layout.state / SOURCE_FILE} "
            f"{f'says {source}' if source else 'is missing'}; nothing was removed",
            f"Write it again: astica-sync init --from {quote(recorded)} {quote_path(str(layout.root))}",
        )


def refuse_in_bucket(layout: Layout, what: str, instead: str) -> None:
    """For what needs the images in a folder.

    Args:
        what: as in "astica-sync split moves files".
        instead: what helps.

    Raises:
        StoreError: the store's images are in a bucket.
    """
    if source := read_source(layout):
        raise StoreError(
            f"{what}, and the images of this store are in {source}; nothing was done", f"What helps instead: {instead}"
        )
