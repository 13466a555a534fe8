"""What must outlive the journal: the versions that were seen, and the samples of others that were taken over.

Append-only files of JSON lines in the backup, readable without this program. A line that a crash has torn is skipped,
and one that cannot be understood is passed over.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astica_sync.core.model import ModelInfo
from astica_sync.core.versions.matching import Adopted
from astica_sync.errors import BackupDamaged, StoreError
from astica_sync.local.filesystem import FileSystem

if TYPE_CHECKING:
    from astica_sync.core.versions.version import Version

VERSIONS = "versions.jsonl"
ADOPTED = "adopted.jsonl"


class Records:
    """The lines of one backup that are about one model. Writing belongs to the holder of the writer lock."""

    def __init__(self, backup_root: Path, fs: FileSystem, model_id: int) -> None:
        self._root = backup_root
        self._fs = fs
        self._model_id = model_id

    def versions(self) -> "list[Version]":
        """Every version that was ever seen, the first one first.

        Raises:
            StoreError: the file is there and cannot be read.
        """
        # Every status reads what was taken over; what knows of versions is loaded for those who ask.
        from astica_sync.core.versions.version import Version

        found: list[Version] = []
        places: dict[tuple[str, float | None], int] = {}
        for fields in self._lines(VERSIONS):
            try:
                trained_at = None if fields["trained_at"] is None else float(fields["trained_at"])
                name, seen_at = str(fields["version"]), float(fields["seen_at"])
                snapshot = None if fields["snapshot"] is None else str(fields["snapshot"])
            except (KeyError, TypeError, ValueError):
                continue
            # Two processes may have noted one version at the same moment.
            place = places.setdefault((name, trained_at), len(found))
            if place == len(found):
                found.append(Version(place + 1, name, trained_at, seen_at, snapshot))
            elif found[place].snapshot is None:
                found[place] = replace(found[place], snapshot=snapshot)
        return found

    def add_version(self, info: ModelInfo, snapshot: str | None, at: float) -> "Version | None":
        """Notes the version that the model shows, durably; None when it has none.

        ``snapshot`` is the data that it was made of, where that is known. A version that is noted already stays as it
        is.

        Raises:
            StoreError: the note cannot be written.
        """
        from astica_sync.core.versions.version import Version, is_recorded

        versions = self.versions()
        if is_recorded(info, versions):
            named = [version for version in versions if version.name == (info.version or "")]
            dated = [version for version in named if version.trained_at == info.trained_at]
            found = (dated or named)[-1] if named else None
            if found is not None and snapshot is not None:
                # Whoever noted it may have died before the note was durable, and the training is forgotten after this.
                self._append(VERSIONS, [_line_of(found)])
            return found
        version = Version(len(versions) + 1, info.version or "", info.trained_at, at, snapshot)
        self._append(VERSIONS, [_line_of(version)])
        return version

    def adopted(self) -> list[Adopted]:
        """Every sample of others that was taken over.

        Raises:
            StoreError: the file is there and cannot be read; nothing may be concluded without it.
        """
        found = []
        for fields in self._lines(ADOPTED):
            try:
                found.append(
                    Adopted(
                        int(fields["sample_id"]), str(fields["foreign_uid"]), str(fields["class"]), str(fields["uid"])
                    )
                )
            except (KeyError, TypeError, ValueError):
                continue
        return found

    def add_adopted(self, adopted: list[Adopted]) -> None:
        """Notes samples that are taken over, durably.

        Raises:
            StoreError: the note cannot be written; what was written holds.
        """
        self._append(
            ADOPTED,
            [
                {
                    "sample_id": entry.sample_id,
                    "foreign_uid": entry.foreign_uid,
                    "class": entry.class_title,
                    "uid": entry.uid,
                }
                for entry in adopted
            ],
        )

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        try:
            with self._fs.open_read(f"{self._root}/{name}") as file:
                data = b"".join(self._fs.chunks(file))
        except FileNotFoundError:
            return
        except OSError as error:
            raise BackupDamaged(f"{self._root / name} cannot be read: {error.strerror}", "mend its rights") from error
        for line in data.split(b"\n"):
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(fields, dict) and fields.get("model_id") == self._model_id:
                yield fields

    def _append(self, name: str, entries: list[dict[str, Any]]) -> None:
        from astica_sync.local.backup.manifests import to_line

        # Each batch begins on a line of its own, whatever a crash has left at the end.
        data = b"".join([b"\n", *(to_line({"model_id": self._model_id, **entry}) for entry in entries)])
        try:
            # A store whose disk has gone meanwhile must not get a second backup where it was mounted.
            self._fs.lstat(self._root.parent)
            self._fs.make_folder(self._root)
            self._fs.append_synced(self._root / name, data)
            for made in (self._root, self._root.parent):
                self._fs.sync_folder(made)
        except OSError as error:
            raise StoreError(
                f"{self._root / name} cannot be written: {error.strerror}", "free space or mend its rights"
            ) from error


def _line_of(version: "Version") -> dict[str, Any]:
    return {
        "version": version.name,
        "trained_at": version.trained_at,
        "seen_at": version.seen_at,
        "snapshot": version.snapshot,
    }
