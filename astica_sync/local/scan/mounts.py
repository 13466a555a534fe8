"""Which folders of a store are on another disk than the store itself, or bound there from elsewhere.

A folder on which nothing is mounted any more looks empty, so that files are missing from it that were not deleted.
"""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from astica_sync.local.db.index import Index
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import parse_json
from astica_sync.local.scan.changed_files import above_of

MOUNTS = "mounts"
"""The index's key for the mounts whose files it has."""
_MOST_BYTES = 1 << 20


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

    def is_place(self, path: str) -> bool:
        """Whether something is mounted at this very folder (relative to the store), by the kernel's list."""
        return path in self._places

    def identity(self, place: str) -> str:
        """What is mounted at a place, or contains it: ``FileSystem.mount_identity``; "" where nothing tells that."""
        try:
            return self._files.mount_identity(self._root / place)
        except OSError:
            return ""

    def changed_places(self) -> frozenset[str]:
        """Where something was mounted or unmounted since that moment."""
        return self._places ^ self._files.mounts_below(self._root)


def is_exchanged(mounts: Mounts, index: Index, path: str) -> bool:
    """Whether something else is mounted above a file than when its folder was last scanned, or nothing any more."""
    for place, identity in parse_mount_places(index.get_meta(MOUNTS) or "").items():
        if identity and path.startswith(f"{place}/") and mounts.identity(place) not in ("", identity):
            return True
    return False


class MountRecord:
    """The folders of a store at which something else was mounted than above them, each with its
    ``FileSystem.mount_identity``: those that ``mounts.json`` has, which outlives the index, and those of which the
    index has the files."""

    def __init__(self, files: FileSystem, file: Path, index: Index) -> None:
        self._files, self._file, self._index = files, file, index
        self.recorded = self._read()
        self._indexed = parse_mount_places(index.get_meta(MOUNTS) or "") if self.recorded else {}
        self.exchanged: set[bytes] = set()
        """The places at which something else is now than was recorded."""

    def compare(self, mounts: Mounts) -> None:
        """Finds the ``exchanged`` places."""
        for place, identity in self.recorded.items():
            now = mounts.identity(place) if identity else ""
            if now and now != identity:
                self.exchanged.add(os.fsencode(place))

    def exchanged_above(self, path: bytes) -> bytes | None:
        """The exchanged place that contains the folder, or is it."""
        if not self.exchanged:
            return None
        return next((each for each in (path, *above_of(path)) if each in self.exchanged), None)

    def find_lost(self, is_mounted: Callable[[bytes], bool]) -> dict[str, str]:
        """The places that are not there now, and of whose files the index knows nothing."""
        return {
            place: identity
            for place, identity in self.recorded.items()
            if self._indexed.get(place) != identity
            and (os.fsencode(place) in self.exchanged or not is_mounted(os.fsencode(place)))
        }

    def replace(self, places: dict[str, str], lost: dict[str, str]) -> None:
        """Records these places from now on; the index has the files of all but the ``lost`` ones. A store on a
        read-only disk keeps what it has."""
        if places != self.recorded:
            with contextlib.suppress(OSError):
                self._files.write_synced(self._file, [json.dumps(places, sort_keys=True).encode() + b"\n"])
        indexed = {place: identity for place, identity in places.items() if place not in lost}
        if indexed != self._indexed:
            self._index.set_meta(MOUNTS, json.dumps(indexed, sort_keys=True))

    def _read(self) -> dict[str, str]:
        try:
            with self._files.open_read(self._file) as opened:
                return parse_mount_places(opened.read(_MOST_BYTES))
        except OSError:
            return {}


def parse_mount_places(text: bytes | str) -> dict[str, str]:
    """The recorded places from their JSON; what is no place is left out."""
    with contextlib.suppress(ValueError):
        places = parse_json(text)
        if isinstance(places, dict):
            return {place: identity for place, identity in places.items() if _is_place(place, identity)}
    return {}


def _is_place(place: str, identity: object) -> bool:
    try:
        os.fsencode(place)
    except UnicodeEncodeError:
        return False
    parts = place.split("/")
    return isinstance(identity, str) and "\0" not in place and not {"", ".", ".."}.intersection(parts)
