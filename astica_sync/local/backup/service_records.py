"""Records in the backup that outlive the journal: the versions that were observed, and the adopted foreign samples.

Append-only files of JSON lines, readable without this program. A line without the expected fields is skipped. Values
out of bounds, which an earlier version of the program stored, are bounded.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astica_sync.core.model import ModelInfo
from astica_sync.core.observation.value_bounds import bounded_date, bounded_text
from astica_sync.core.versions.match_unmanaged import Adopted
from astica_sync.errors import BackupDamaged, StoreError
from astica_sync.local.backup.catalog import CONTENT
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import append_jsonl, read_jsonl
from astica_sync.system.error_advice import remedy

if TYPE_CHECKING:
    from astica_sync.core.versions.version import Version

VERSIONS = "versions.jsonl"
ADOPTED = "adopted.jsonl"


class Records:
    """The records of one backup about one model. Only the holder of the writer lock writes."""

    def __init__(self, backup_root: Path, files: FileSystem, model_id: int) -> None:
        self._root = backup_root
        self._files = files
        self._model_id = model_id

    def versions(self) -> "list[Version]":
        """Every version that was ever observed, the oldest first.

        Raises:
            BackupDamaged: the file exists and cannot be read.
        """
        # Imported here, since every status reads the adopted samples and few commands read versions.
        from astica_sync.core.versions.version import Version

        versions: list[Version] = []
        places: dict[tuple[str, float | None], int] = {}
        for fields in self._read(VERSIONS):
            read = _version_fields(fields)
            if read is None:
                continue
            name, trained_at, seen_at, snapshot, because = read
            if snapshot is not None and CONTENT.fullmatch(snapshot) is None:
                # It becomes part of a path.
                snapshot = None
            # Two processes may have recorded one version at the same time.
            place = places.setdefault((name, trained_at), len(versions))
            if place == len(versions):
                versions.append(Version(place + 1, name, trained_at, seen_at, snapshot, because))
            elif versions[place].snapshot is None and not versions[place].unknown_because:
                versions[place] = replace(versions[place], snapshot=snapshot)
        return versions

    def add_version(
        self, info: ModelInfo, snapshot: str | None, at: float, *, unknown_because: str = ""
    ) -> "Version | None":
        """Records the version that the model shows, durably; None when it has none.

        ``snapshot`` is the data that it was trained on, where that is known; else ``unknown_because`` may say why it is
        not. A version that is recorded already stays
        as it is.

        Raises:
            StoreError: the record cannot be written.
        """
        from astica_sync.core.versions.version import Version, is_recorded

        versions = self.versions()
        if is_recorded(info, versions):
            named = [version for version in versions if version.name == (info.version or "")]
            dated = [version for version in named if version.trained_at == info.trained_at]
            found = (dated or named)[-1] if named else None
            if found is not None and snapshot is not None:
                # The process that recorded it may have been killed before the record was durable, and the training is
                # forgotten after this.
                self._append(VERSIONS, [_line_of(found)])
            return found
        version = Version(len(versions) + 1, info.version or "", info.trained_at, at, snapshot, unknown_because)
        self._append(VERSIONS, [_line_of(version)])
        return version

    def adopted(self) -> list[Adopted]:
        """Every foreign sample that was adopted.

        Raises:
            BackupDamaged: the file exists and cannot be read; without it nothing may be concluded.
        """
        adopted = []
        for fields in self._read(ADOPTED):
            entry = _adopted_of(fields)
            if entry is not None:
                adopted.append(entry)
        return adopted

    def add_adopted(self, adopted: list[Adopted]) -> None:
        """Records adopted samples, durably.

        Raises:
            StoreError: the record cannot be written, or only in part.
        """
        self._append(
            ADOPTED,
            [
                {
                    "sample_id": entry.sample_id,
                    "foreign_uid": entry.foreign_uid,
                    "class": entry.class_title,
                    "uid": entry.uid,
                    **({} if entry.is_certain else {"likely": True}),
                }
                for entry in adopted
            ],
        )

    def _read(self, name: str) -> list[dict[str, Any]]:
        path = self._root / name
        try:
            lines = list(read_jsonl(self._files, path))
            return [fields for fields in _of_this_service(lines) if fields.get("model_id") == self._model_id]
        except OSError as error:
            raise BackupDamaged(
                f"{path} cannot be read: {error.strerror}",
                remedy(error, path, writing=False),
            ) from error

    def _append(self, name: str, entries: list[dict[str, Any]]) -> None:
        path = self._root / name
        try:
            # If the store's disk was unmounted meanwhile, no second backup is made in its mount point.
            self._files.lstat(self._root.parent)
            self._files.make_folder(self._root)
            append_jsonl(self._files, path, [{"model_id": self._model_id, **entry} for entry in entries])
            for folder in (self._root, self._root.parent):
                self._files.sync_folder(folder)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written: {error.strerror}",
                remedy(error, path),
            ) from error


def note_service(backup_root: Path, files: FileSystem, before: str, after: str) -> None:
    """Says in the records that they are of the service ``after`` from here on, and were of ``before`` until now: models
    of two services may have one number, and versions one name and date. Repeating it changes nothing.

    Raises:
        OSError: a file cannot be read or written.
    """
    for name in (VERSIONS, ADOPTED):
        lines = list(read_jsonl(files, backup_root / name))
        if lines and _service_at_end(lines, before) != after:
            append_jsonl(files, backup_root / name, [{"service": after, "before": before}])


def _service_at_end(lines: list[dict[str, Any]], otherwise: str = "") -> str:
    return next((fields["service"] for fields in reversed(lines) if is_service_line(fields)), otherwise)


def _of_this_service(lines: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The lines of the service that the last line about one names."""
    now = _service_at_end(lines)
    service = next((fields["before"] for fields in lines if is_service_line(fields)), now)
    for fields in lines:
        if is_service_line(fields):
            service = fields["service"]
        elif service == now:
            yield fields


def count_versions(backup_root: Path, files: FileSystem) -> int:
    """How many versions are recorded, of whatever model; 0 where the record cannot be read."""
    try:
        lines = list(read_jsonl(files, backup_root / VERSIONS))
    except OSError:
        return 0
    return sum(_version_fields(fields) is not None for fields in lines)


def is_service_line(fields: dict[str, Any]) -> bool:
    """Whether the line says of which service those before and after it are."""
    return isinstance(fields.get("service"), str) and isinstance(fields.get("before"), str)


def is_version_line(fields: dict[str, Any]) -> bool:
    """Whether this program writes such a line about a version, of whatever model, or about a service."""
    if is_service_line(fields):
        return True
    read = _version_fields(fields)
    return read is not None and (read[3] is None or CONTENT.fullmatch(read[3]) is not None) and _has_model(fields)


def is_adopted_line(fields: dict[str, Any]) -> bool:
    """Whether this program writes such a line about an adopted sample, of whatever model, or about a service."""
    return is_service_line(fields) or (_adopted_of(fields) is not None and _has_model(fields))


def _has_model(fields: dict[str, Any]) -> bool:
    return type(fields.get("model_id")) is int


def _version_fields(fields: dict[str, Any]) -> tuple[str, float | None, float, str | None, str] | None:
    """The name, the time of the training, the time it was seen, the snapshot and why that is unknown."""
    try:
        return (
            bounded_text(str(fields["version"])),
            None if fields["trained_at"] is None else bounded_date(float(fields["trained_at"])),
            bounded_date(float(fields["seen_at"])) or 0.0,
            None if fields["snapshot"] is None else str(fields["snapshot"]),
            bounded_text(str(fields.get("unknown_because", ""))),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _adopted_of(fields: dict[str, Any]) -> Adopted | None:
    try:
        return Adopted(
            int(fields["sample_id"]),
            bounded_text(str(fields["foreign_uid"])),
            bounded_text(str(fields["class"])),
            str(fields["uid"]),
            # Earlier releases did not record it.
            is_certain=fields.get("likely") is not True,
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _line_of(version: "Version") -> dict[str, Any]:
    return {
        "version": version.name,
        "trained_at": version.trained_at,
        "seen_at": version.seen_at,
        "snapshot": version.snapshot,
        **({"unknown_because": version.unknown_because} if version.unknown_because else {}),
    }
