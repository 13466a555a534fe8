"""Which folders of a store are on another disk than the store itself, or bound there from elsewhere.

A folder on which nothing is mounted any more looks empty, so that files are missing from it that were not deleted.
"""

from pathlib import Path

from astica_sync.local.filesystem import FileSystem


class Mounts:
    """What is mounted below the folder of a store, at one moment."""

    def __init__(self, files: FileSystem, root: Path) -> None:
        """
        Raises:
            OSError: the store's folder has no status.
        """
        self._files, self._root = files, root
        self._device = files.lstat(root).st_dev
        # What is bound from the same file system has the same device number.
        self._places = files.mounts_below(root)

    def contain(self, path: str, device: int) -> bool:
        """Whether a folder (relative to the store) with this device number is on another mount than the store."""
        return device != self._device or any(path == each or path.startswith(f"{each}/") for each in self._places)

    def contain_now(self, path: str) -> bool:
        """The same, for a folder whose device number is to be looked up.

        Raises:
            OSError: it has no status.
        """
        return self.contain(path, self._files.lstat(self._root / path).st_dev)

    def changed_places(self) -> frozenset[str]:
        """Where something was mounted or unmounted since that moment."""
        return self._places ^ self._files.mounts_below(self._root)
