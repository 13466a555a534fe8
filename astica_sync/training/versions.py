"""Every version that was ever seen, and the data each was made of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from astica_sync.core.versions.snapshot import Diff, Pinned, SnapshotSample, diff
from astica_sync.core.versions.version import Version, find_versions
from astica_sync.errors import AsticaSyncError, StoreError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import Entry
from astica_sync.local.backup.manifests import SHORTEST, Manifests
from astica_sync.local.backup.records import Records
from astica_sync.local.backup.restore import Restored, restore
from astica_sync.local.db.scores import Score, add_score, read_scores
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout


@dataclass(frozen=True, slots=True)
class Named:
    """A snapshot as a person named it: its id, and what to call it."""

    name: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class Told:
    """One version with its data. ``samples`` and ``classes`` count what it was made of and ``elsewhere`` those of them
    that were made elsewhere, all None where the data is not known; ``changed`` is what differs from the version
    ``since``, the last one before it whose data is known."""

    version: Version
    samples: int | None
    classes: int | None
    elsewhere: int | None
    since: Version | None
    changed: Diff | None
    scores: tuple[Score, ...]


class History:
    """The versions and snapshots of one store. Reads the backup; the service is not asked."""

    def __init__(self, layout: Layout, backup: Backup, fs: FileSystem, model_id: int) -> None:
        self.layout = layout
        self.backup = backup
        self.fs = fs
        self.records = Records(backup.root, fs, model_id)
        self.snapshots = Manifests(backup, fs)
        self._scores = layout.state / "scores.jsonl"

    def versions(self) -> list[Version]:
        return self.records.versions()

    def told(self) -> list[Told]:
        """Every version with its data, the first one first.

        Raises:
            StoreError: a manifest cannot be read, or is not what its name says.
        """
        scores = read_scores(self._scores, self.fs)
        found: list[Told] = []
        before: tuple[Version, list[SnapshotSample]] | None = None
        for version in self.versions():
            own = tuple(score for score in scores if score.version == version.name)
            if version.snapshot is None:
                found.append(Told(version, None, None, None, None, None, own))
                continue
            samples = list(self.snapshots.read(version.snapshot))
            found.append(
                Told(
                    version,
                    len(samples),
                    len({sample.class_title for sample in samples}),
                    sum(not isinstance(sample, Pinned) for sample in samples),
                    before[0] if before else None,
                    diff(before[1], samples) if before else None,
                    own,
                )
            )
            before = (version, samples)
        return found

    def find(self, text: str) -> Version:
        """The one version that a person means.

        Raises:
            AsticaSyncError: there is none, or more than one.
        """
        versions = self.versions()
        found = find_versions(text, versions)
        if len(found) == 1:
            return found[0]
        if not found:
            known = ", ".join(version.name for version in versions[-5:]) or "none yet"
            raise AsticaSyncError(
                f"no version {text!r} was ever seen here", f"Known: {known}; see astica-sync versions."
            )
        numbers = " or ".join(f"@{version.number}" for version in found)
        raise AsticaSyncError(f"{len(found)} versions are called {text!r}", f"Name one by its number: {numbers}.")

    def find_data(self, text: str) -> Named:
        """The snapshot of a version, or one that is named by the first digits of its id.

        Raises:
            AsticaSyncError: there is none, or more than one, or the version was made elsewhere.
        """
        ids = [one for one in self.snapshots.ids() if len(text) >= SHORTEST and one.startswith(text.lower())]
        if len(ids) == 1 and not find_versions(text, self.versions()):
            return Named(ids[0][:8], ids[0])
        version = self.find(text)
        if version.snapshot is None:
            raise AsticaSyncError(
                f"version {version.name or version.number} was made elsewhere, so nobody knows its data",
                "astica-sync versions lists those whose data is known.",
            )
        return Named(version.name or f"@{version.number}", version.snapshot)

    def restore(self, snapshot: str, to: Path) -> Restored:
        """Writes the class folders of a snapshot under ``to``, byte for byte; nothing that stands is overwritten.

        Raises:
            StoreError: the manifest or the target cannot be used; a target in the store would make new samples of old.
        """
        if to.resolve().is_relative_to(self.layout.root):
            raise StoreError(f"{to} is in the store itself", "Name a folder outside of it with --to.")
        return restore(self.backup, to, self.fs, entries=self._entries(snapshot))

    def _entries(self, snapshot: str) -> "Callable[[], list[Entry]]":
        entries = list(self.snapshots.entries(snapshot))
        return lambda: entries

    def add_score(self, score: Score) -> None:
        """Notes what a version scored.

        Raises:
            StoreError: it cannot be written.
        """
        add_score(self._scores, score, self.fs)
