"""The samples that only the backup has: what recovering offers."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from astica_sync.core.gallery.image_state import ImageState, Shown, WithoutFile
from astica_sync.core.model import make_scope, make_uid
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CATALOG
from astica_sync.page.gallery.image_columns import is_among, sample_key

LARGE_BYTES = 5_000_000
"""A catalog of more takes a part of a second to read: the first look at the store goes without it."""
_REMEDY = "put it back here, or: astica-sync backup restore"
_SHOWN = Shown(ImageState.BACKUP_ONLY, "its file is gone, the backup has it", _REMEDY)


class BackupOnly:
    """Reads the catalog of the backup when it has changed."""

    def __init__(self, backup: Backup, model_id: int) -> None:
        self._backup, self._model_id = backup, model_id
        self._entries: list[tuple[str, str, str]] = []
        self._keys: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._read: object = None
        self._looks = 0

    def find(self, in_store: NDArray[np.uint64]) -> Iterator[WithoutFile]:
        """Those that are not in the store, whose samples have these keys.

        Raises:
            StoreError: the catalog cannot be read.
        """
        self._update()
        for number in np.flatnonzero(~is_among(self._keys, in_store)).tolist():
            content, title, path = self._entries[number]
            uid = make_uid(content, make_scope(self._model_id, title))
            yield WithoutFile(uid, title, 0, path, _SHOWN)

    def seen(self) -> object:
        """The same as long as the catalog is, and what was read of it."""
        return self._status(), self._read

    def _status(self) -> tuple[int, int] | None:
        try:
            status = (self._backup.root / CATALOG).stat()
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    def _update(self) -> None:
        seen = self._status()
        self._looks += 1
        if seen == self._read or (self._looks == 1 and seen is not None and seen[0] > LARGE_BYTES):
            return
        found: dict[tuple[str, str], str] = {}
        for entry in self._backup.samples():
            found[entry.content, entry.class_title] = entry.path
        scopes = {title: make_scope(self._model_id, title) for _, title in found}
        self._keys = np.array([sample_key(content, scopes[title]) for content, title in found], np.uint64)
        self._entries = [(*place, path) for place, path in found.items()]
        self._read = seen
