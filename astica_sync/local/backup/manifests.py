"""Snapshots in the backup: one manifest each, readable without this program and named by its own hash.

A manifest has one line of JSON for each sample. It outlives the index and the journal: which images a version was
trained on is known as long as the backup exists.
"""

import itertools
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import xxhash

from astica_sync.core.model import LocalSample
from astica_sync.core.versions.snapshot import ManagedSample, SnapshotSample, UnmanagedSample, to_local_samples
from astica_sync.errors import BackupDamaged, StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CONTENT, CatalogEntry, entry_of
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.jsonl import format_line, parse_line, read_lines
from astica_sync.system.error_advice import remedy

SENT_AS_THEY_ARE = ("png", "jpg")
"""What the objects of the backup are called whose images the service takes."""

FOLDER = "snapshots"
SHORTEST = 6
"""The fewest hex digits that may name a snapshot."""
_COPY_HINT = "restore the file from a copy of the backup"


class Manifests:
    """The manifests of one backup. Only the holder of the writer lock writes."""

    def __init__(self, backup: Backup, files: FileSystem) -> None:
        self._backup = backup
        self._files = files
        self.folder: Path = backup.root / FOLDER

    def write(self, samples: Callable[[], Iterable[SnapshotSample]]) -> str:
        """Makes a manifest durable and returns its id, the XXH3-128 of its bytes; the same data has the same id.

        ``samples`` is called twice and must return the same both times.

        Raises:
            BackupDamaged: the bytes of a managed sample are not in the backup.
            StoreError: the manifest cannot be written.
        """
        hasher = xxhash.xxh3_128()
        for line in self._lines(samples()):
            hasher.update(line)
        snapshot = hasher.hexdigest()
        path = self._path(snapshot)
        try:
            # If the store's disk was unmounted meanwhile, no second backup is made in its mount point.
            self._files.lstat(self._backup.root.parent)
            self._files.make_folder(self.folder)
            self._files.write_synced(path, self._lines(samples()))
            # A process that created these folders may have failed before their names were durable.
            for folder in (self._backup.root, self._backup.root.parent):
                self._files.sync_folder(folder)
        except OSError as error:
            raise StoreError(f"the snapshot {path} cannot be written: {error.strerror}", remedy(error, path)) from error
        self.check(snapshot)
        return snapshot

    def read(self, snapshot: str) -> Iterator[SnapshotSample]:
        """Every sample of a snapshot, in the order of the manifest.

        Raises:
            BackupDamaged: the manifest is missing, or its bytes do not match its name.
        """
        self.check(snapshot)
        for fields in self._fields(snapshot):
            sample = _sample(fields)
            if sample is None:
                raise _invalid(snapshot)
            yield (
                ManagedSample(sample.class_title, sample.content, sample.path)
                if isinstance(sample, CatalogEntry)
                else sample
            )

    def entries(self, snapshot: str) -> Iterator[CatalogEntry]:
        """The managed samples of a snapshot as entries of the catalog, for restoring.

        Raises:
            BackupDamaged: as ``read``.
        """
        self.check(snapshot)
        for fields in self._fields(snapshot):
            sample = _sample(fields)
            if sample is None:
                raise _invalid(snapshot)
            if isinstance(sample, CatalogEntry):
                yield sample

    def local_samples(
        self, snapshot: str, model_id: int, recipe: str = "", converted: Container[str] = ()
    ) -> list[LocalSample]:
        """The managed samples of a snapshot as the local side of a push, sorted by uid.

        ``recipe`` is that by which images are converted now, ``converted`` the content hashes of such images; what is
        neither PNG nor JPEG is one as well.

        Raises:
            BackupDamaged: as ``read``.
        """
        entries = list(self.entries(snapshot))
        pinned = (ManagedSample(entry.class_title, entry.content, entry.path) for entry in entries)
        sizes = {entry.content: entry.size for entry in entries}
        if not recipe:
            return to_local_samples(pinned, model_id, sizes)
        other = {entry.content for entry in entries if entry.extension not in SENT_AS_THEY_ARE}
        return to_local_samples(
            pinned, model_id, sizes, lambda content: recipe if content in other or content in converted else ""
        )

    def check(self, snapshot: str) -> None:
        """
        Raises:
            BackupDamaged: the manifest is missing, unreadable or changed.
        """
        hasher = xxhash.xxh3_128()
        try:
            with self._files.open_read(self._path(snapshot)) as file:
                for chunk in self._files.chunks(file):
                    hasher.update(chunk)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise BackupDamaged(f"snapshot {snapshot[:8]} is missing in the backup", _COPY_HINT) from error
            raise self._unreadable(snapshot, error) from error
        if hasher.hexdigest() != snapshot:
            raise BackupDamaged(
                f"snapshot {snapshot[:8]} is damaged: its bytes do not match its name",
                f"restore {self._path(snapshot)} from a copy of the backup",
            )

    def ids(self) -> list[str]:
        """The ids of all snapshots, the oldest file first.

        Raises:
            StoreError: the folder cannot be read.
        """
        try:
            manifests = [
                (status.st_mtime_ns, name.removesuffix(".jsonl"))
                for name, status in self._files.scan_folder(self.folder)
                if status is not None and name.endswith(".jsonl") and CONTENT.fullmatch(name.removesuffix(".jsonl"))
            ]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(
                f"the snapshots cannot be listed: {error.strerror}",
                remedy(error, self.folder, writing=False),
            ) from error
        return [name for _, name in sorted(manifests)]

    def frozen_at(self, snapshot: str) -> float:
        """When the manifest was last written, in seconds since the epoch."""
        return self._files.lstat(self._path(snapshot)).st_mtime

    def _path(self, snapshot: str) -> Path:
        if CONTENT.fullmatch(snapshot) is None:
            raise ValueError(f"not the id of a snapshot: {snapshot!r}")
        return self.folder / f"{snapshot}.jsonl"

    def _lines(self, samples: Iterable[SnapshotSample]) -> Iterator[bytes]:
        for batch in _batches(samples):
            yield b"".join(self._line(sample) for sample in batch)

    def _line(self, sample: SnapshotSample) -> bytes:
        if isinstance(sample, UnmanagedSample):
            return format_line({"class": sample.class_title, "uid": sample.uid, "sample_id": sample.sample_id})
        file = self._backup.find(sample.content)
        if file is None:
            raise BackupDamaged(
                f"{sample.path} is on the service and not in the backup",
                "run astica-sync backup verify, which repairs what the store still has",
            )
        return format_line(
            {
                "class": sample.class_title,
                "path": sample.path,
                "content": sample.content,
                "extension": file.suffix[1:],
                "size": self._backup.size_of(sample.content),
            }
        )

    def _fields(self, snapshot: str) -> Iterator[dict[str, Any]]:
        try:
            for line in read_lines(self._files, self._path(snapshot)):
                fields = parse_line(line)
                if fields is None:
                    # It is written whole, so it has no torn lines; one line less would be another data set.
                    raise _invalid(snapshot)
                yield fields
        except OSError as error:
            raise self._unreadable(snapshot, error) from error

    def _unreadable(self, snapshot: str, error: OSError) -> BackupDamaged:
        advice = remedy(error, self._path(snapshot), writing=False)
        return BackupDamaged(f"snapshot {snapshot[:8]} cannot be read: {error.strerror}", f"{advice}; or {_COPY_HINT}")


def _sample(fields: dict[str, Any]) -> CatalogEntry | UnmanagedSample | None:
    """What one line says; None where this program never writes such a line. The name of a manifest is the hash of its
    bytes, which anyone can compute."""
    try:
        if "content" not in fields:
            return UnmanagedSample(str(fields["class"]), str(fields["uid"]), int(fields["sample_id"]))
        return entry_of({**fields, "added_at": "1970-01-01T00:00:00Z"})
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _invalid(snapshot: str) -> BackupDamaged:
    return BackupDamaged(f"snapshot {snapshot[:8]} is damaged: one of its lines is invalid", _COPY_HINT)


def _batches(samples: Iterable[SnapshotSample]) -> Iterator[list[SnapshotSample]]:
    ahead = iter(samples)
    while batch := list(itertools.islice(ahead, 1000)):
        yield batch
