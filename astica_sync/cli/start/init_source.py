"""``astica-sync init --from``: a store whose images lie in a bucket."""

import contextlib
import os
from pathlib import Path

from astica_sync.bucket.open_bucket import ACCESS
from astica_sync.bucket.source_binding import SOURCE_META, checked_source, read_source, refuse_own_files, write_source
from astica_sync.bucket.store_files import open_source
from astica_sync.errors import StoreChanged, StoreError
from astica_sync.local.filesystem import Kind
from astica_sync.local.layout import Layout
from astica_sync.open_session import trust_file
from astica_sync.store_trust import trust_address
from astica_sync.system.error_advice import reason_of, remedy


def make_folder_of(store: Path) -> None:
    """Makes the folder of a store that has no images in it, unless it is there.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{store} cannot be created: {reason_of(error)}", remedy(error, store)) from error


def check_source(layout: Layout, address: str, *, rebind: bool) -> str:
    """The source as it is recorded, after a look at what is in it and in the folder. ``rebind``: the user says that the
    images are in another place now.

    Raises:
        ConfigError: it is no address of a bucket.
        StoreError: the folder has images of its own or another source; nothing is below the address, or it cannot be
            read.
        DatabaseError: the journal cannot be read.
    """
    source = checked_source(address)
    before = _recorded(layout)
    if before == "":
        raise StoreError(
            f"{layout.root} is already a store whose images are in its folders", "Use another folder for the bucket."
        )
    if before not in (None, source) and not rebind:
        raise StoreError(
            f"{layout.root} is already the store of the images in {before}",
            "Use another folder for another bucket. If the same images were moved there, add --rebind: what is missing "
            "there is then removed from the service by the next push, within the limits of max_remove.",
        )
    refuse_own_files(layout, source)
    try:
        files = open_source(layout.root, source, os.environ)
        is_empty = not any(kind is Kind.FOLDER for _, kind, _ in files.name_folder(layout.root))
    except OSError as error:
        raise StoreError(f"{source}: {reason_of(error)}", f"{remedy(error, source)}. {ACCESS}") from error
    if is_empty:
        raise StoreError(
            f"nothing is in a folder below {source}",
            "Each class is a prefix there, as in s3://BUCKET/PREFIX/CLASS/IMAGE.jpg. No store was made.",
        )
    return source


def bind_source(layout: Layout, source: str, now: float) -> None:
    """Records the source in the store, and that this user has named it.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        write_source(layout, source)
        trust_address(trust_file(), layout.root, source, now)
    except OSError as error:
        raise StoreError(f"cannot write {layout.state}: {reason_of(error)}", remedy(error, layout.state)) from error


def note_source(layout: Layout, source: str) -> None:
    """Records the source in the journal as well, which outlives ``source.json``.

    Raises:
        DatabaseError: the journal cannot be written.
    """
    from astica_sync.local.db.journal import Journal

    with Journal(layout.journal_db, "init") as journal:
        journal.set_meta(SOURCE_META, source)


def _recorded(layout: Layout) -> str | None:
    """The source that the folder has as a store, "" where its images are in its folders; None where it is no store."""
    # Loaded here, since the help needs no database.
    from astica_sync.local.db.journal import Journal

    recorded = None
    if layout.journal_db.exists():
        with Journal(layout.journal_db, "init") as journal:
            recorded = str(journal.get_meta(SOURCE_META) or "")
    with contextlib.suppress(StoreChanged):
        return read_source(layout) or recorded
    return recorded or None
