"""Snapshots in the backup: one manifest for each, readable without this program and named by its own hash.

A manifest has one line of JSON for each sample. It outlives the index and the journal: which images a version was made
of is known as long as the backup is there.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import xxhash

from astica_sync.core.model import LocalSample
from astica_sync.core.versions.snapshot import Elsewhere, Pinned, SnapshotSample, as_local
from astica_sync.errors import BackupDamaged, StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CONTENT, Entry
from astica_sync.local.filesystem import FileSystem

FOLDER = "snapshots"
SHORTEST = 6
"""Digits by which a snapshot may be named."""


class Manifests:
    """The manifests of one backup. Writing belongs to the holder of the writer lock."""

    def __init__(self, backup: Backup, fs: FileSystem) -> None:
        self._backup = backup
        self._fs = fs
        self.folder = backup.root / FOLDER

    def write(self, samples: Callable[[], Iterable[SnapshotSample]]) -> str:
        """Makes a manifest durable and returns its id, the XXH3-128 of its bytes; the same data has the same id.

        ``samples`` is asked twice and must give the same both times.

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
            # A store whose disk has gone meanwhile must not get a second backup where it was mounted.
            self._fs.lstat(self._backup.root.parent)
            self._fs.make_folder(self.folder)
            self._fs.write_synced(path, self._lines(samples()))
            # Whoever made these folders may have failed before their names were durable.
            for made in (self._backup.root, self._backup.root.parent):
                self._fs.sync_folder(made)
        except OSError as error:
            raise StoreError(
                f"the snapshot cannot be written: {error.strerror}", "free space, then try again"
            ) from error
        self.check(snapshot)
        return snapshot

    def read(self, snapshot: str) -> Iterator[SnapshotSample]:
        """Every sample of a snapshot, in the order of the manifest.

        Raises:
            BackupDamaged: the manifest is missing, or not what its name says.
        """
        self.check(snapshot)
        for fields in self._fields(snapshot):
            if "content" in fields:
                yield Pinned(str(fields["class"]), str(fields["content"]), str(fields["path"]))
            else:
                yield Elsewhere(str(fields["class"]), str(fields["uid"]), int(fields["sample_id"]))

    def entries(self, snapshot: str) -> Iterator[Entry]:
        """The managed samples of a snapshot as the catalog would name them, for restoring.

        Raises:
            BackupDamaged: as ``read``.
        """
        self.check(snapshot)
        for fields in self._fields(snapshot):
            if "content" in fields:
                yield Entry(
                    str(fields["class"]),
                    str(fields["path"]),
                    str(fields["content"]),
                    str(fields["extension"]),
                    int(fields["size"]),
                    0.0,
                )

    def local_samples(self, snapshot: str, model_id: int) -> list[LocalSample]:
        """The managed samples of a snapshot as the side that a push makes the service equal to, sorted by uid.

        Raises:
            BackupDamaged: as ``read``.
        """
        entries = list(self.entries(snapshot))
        pinned = (Pinned(entry.class_title, entry.content, entry.path) for entry in entries)
        return as_local(pinned, model_id, {entry.content: entry.size for entry in entries})

    def check(self, snapshot: str) -> None:
        """
        Raises:
            BackupDamaged: the manifest is missing, unreadable or changed.
        """
        hasher = xxhash.xxh3_128()
        try:
            with self._fs.open_read(self._path(snapshot)) as file:
                for chunk in self._fs.chunks(file):
                    hasher.update(chunk)
        except OSError as error:
            reason = "is missing in the backup" if isinstance(error, FileNotFoundError) else f"is unreadable: {error}"
            raise BackupDamaged(
                f"snapshot {snapshot[:8]} {reason}", "Get it back from a copy of the backup."
            ) from error
        if hasher.hexdigest() != snapshot:
            raise BackupDamaged(
                f"snapshot {snapshot[:8]} is damaged: its bytes are not what its name says",
                f"Get {self._path(snapshot)} back from a copy of the backup.",
            )

    def ids(self) -> list[str]:
        """Every snapshot there is, the oldest file first.

        Raises:
            StoreError: the folder cannot be read.
        """
        try:
            found = [
                (status.st_mtime_ns, name.removesuffix(".jsonl"))
                for name, status in self._fs.scan_folder(self.folder)
                if status is not None and name.endswith(".jsonl") and CONTENT.fullmatch(name.removesuffix(".jsonl"))
            ]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"the snapshots cannot be listed: {error.strerror}", "mend the folder's rights") from error
        return [name for _, name in sorted(found)]

    def frozen_at(self, snapshot: str) -> float:
        """When the manifest was last written, in seconds since the epoch."""
        return self._fs.lstat(self._path(snapshot)).st_mtime

    def _path(self, snapshot: str) -> Path:
        if CONTENT.fullmatch(snapshot) is None:
            raise ValueError(f"not the id of a snapshot: {snapshot!r}")
        return self.folder / f"{snapshot}.jsonl"

    def _lines(self, samples: Iterable[SnapshotSample]) -> Iterator[bytes]:
        for batch in _batches(samples):
            yield b"".join(self._line(sample) for sample in batch)

    def _line(self, sample: SnapshotSample) -> bytes:
        if isinstance(sample, Elsewhere):
            return to_line({"class": sample.class_title, "uid": sample.uid, "sample_id": sample.sample_id})
        found = self._backup.find(sample.content)
        if found is None:
            raise BackupDamaged(
                f"{sample.path} is on the service and not in the backup",
                "Run astica-sync backup verify, which repairs what the store still has.",
            )
        return to_line(
            {
                "class": sample.class_title,
                "path": sample.path,
                "content": sample.content,
                "extension": found.suffix[1:],
                "size": self._backup.size_of(sample.content),
            }
        )

    def _fields(self, snapshot: str) -> Iterator[dict[str, Any]]:
        rest = b""
        with self._fs.open_read(self._path(snapshot)) as file:
            for chunk in self._fs.chunks(file):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines)


def to_line(fields: dict[str, Any]) -> bytes:
    """One line of JSON; a name that is no UTF-8 keeps its bytes as lone surrogates, which only an escape can write."""
    try:
        return json.dumps(fields, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(fields).encode() + b"\n"


def _batches(samples: Iterable[SnapshotSample]) -> Iterator[list[SnapshotSample]]:
    ahead = iter(samples)
    while batch := list(itertools.islice(ahead, 1000)):
        yield batch
