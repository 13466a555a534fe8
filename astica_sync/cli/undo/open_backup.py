"""Opens the backup of a store for the commands that send nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.cli.open_store import find

if TYPE_CHECKING:
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.layout import Layout


def open_backup(store: Path | None) -> "tuple[Layout, Backup]":
    """The named store, or the one that contains the current folder, and its backup.

    Raises:
        NoStore: there is none.
        UntrustedOwner: it belongs to a user whom this user does not trust.
        StoreError: there are links in its hidden folder.
    """
    from astica_sync.local.backup.backup import Backup
    from astica_sync.local.filesystem import FileSystem

    layout = find(store)
    return layout, Backup(layout.backup, FileSystem(layout.root))
