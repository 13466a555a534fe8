"""Every version the service has shown, and the data each was trained on."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.core.versions.snapshot import ManagedSample, SnapshotDiff, SnapshotSample, diff
from astica_sync.core.versions.version import Version, find_versions, name_apart
from astica_sync.errors import AsticaSyncError, BackupDamaged
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.catalog import CatalogEntry
from astica_sync.local.backup.manifests import SHORTEST, Manifests
from astica_sync.local.backup.restore import Restored, refuse_store, restore
from astica_sync.local.backup.service_records import Records
from astica_sync.local.db.version_scores import Score, add_score, is_about, read_scores
from astica_sync.local.filesystem import FileSystem
from astica_sync.local.layout import Layout
from astica_sync.local.store_sentinel import is_own

MADE_ELSEWHERE = "the records of versions and scores came with the folder: made elsewhere, not checked"
"""What is said where ``VersionHistory.made_elsewhere`` is true."""


@dataclass(frozen=True, slots=True)
class NamedSnapshot:
    """A snapshot and its name for the user: the version trained on it, or the first digits of its id."""

    name: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class VersionSummary:
    """One version and its data.

    ``samples`` and ``classes`` count the samples it was trained on and their classes, ``unmanaged`` how many of the
    samples were unmanaged; all three are None where the data is not known. ``changes`` is the difference to
    ``previous``, the last version before it whose data is known. ``same_data`` are the versions before it that were
    trained on the same snapshot.
    """

    version: Version
    samples: int | None
    classes: int | None
    unmanaged: int | None
    previous: Version | None
    changes: SnapshotDiff | None
    scores: tuple[Score, ...]
    damage: str = ""
    """Why the recorded data cannot be read; "" where nothing is wrong."""
    same_data: tuple[Version, ...] = ()


class VersionHistory:
    """The versions and snapshots of one store, as its backup records them. Sends no request."""

    def __init__(self, layout: Layout, backup: Backup, fs: FileSystem, model_id: int) -> None:
        self.layout = layout
        self.backup = backup
        self.fs = fs
        self._model_id = model_id
        self.records: Records = Records(backup.root, fs, model_id)
        self.snapshots: Manifests = Manifests(backup, fs)
        self._scores = layout.scores_file

    @property
    def made_elsewhere(self) -> bool:
        """Whether the store is not this user's own, so that its records may say anything: they came with the folder."""
        return not is_own(self.layout, self.fs)

    def versions(self) -> list[Version]:
        """Every version, the first one first."""
        return self.records.versions()

    def summaries(self) -> list[VersionSummary]:
        """Every version with its data, the first one first.

        A damaged snapshot is named by its version, and the others are complete.

        Raises:
            StoreError: the records or the scores cannot be read.
        """
        scores = read_scores(self._scores, self.fs)
        summaries: list[VersionSummary] = []
        previous: tuple[Version, list[SnapshotSample]] | None = None
        versions = self.versions()
        names = Counter(version.name for version in versions)
        by_snapshot: dict[str, list[Version]] = {}
        for version in versions:
            twins = names[version.name] > 1
            own_scores = tuple(score for score in scores if is_about(score, version, self._model_id, twins=twins))
            if version.snapshot is None:
                summaries.append(VersionSummary(version, None, None, None, None, None, own_scores))
                continue
            try:
                samples = list(self.snapshots.read(version.snapshot))
            except BackupDamaged as error:
                summaries.append(VersionSummary(version, None, None, None, None, None, own_scores, str(error)))
                continue
            summaries.append(
                VersionSummary(
                    version,
                    len(samples),
                    len({sample.class_title for sample in samples}),
                    sum(not isinstance(sample, ManagedSample) for sample in samples),
                    previous[0] if previous else None,
                    diff(previous[1], samples) if previous else None,
                    own_scores,
                    same_data=tuple(by_snapshot.get(version.snapshot, ())),
                )
            )
            by_snapshot.setdefault(version.snapshot, []).append(version)
            previous = (version, samples)
        return summaries

    def find(self, text: str) -> Version:
        """The version that ``text`` refers to.

        Raises:
            AsticaSyncError: there is none, or more than one.
        """
        versions = self.versions()
        matching = find_versions(text, versions)
        if len(matching) == 1:
            return matching[0]
        if not matching:
            known = ", ".join(version.name for version in versions[-5:]) or "none yet"
            raise AsticaSyncError(f"no version {text!r} is known", f"Known: {known}; list all: astica-sync versions")
        reason, hint = _describe_ambiguous(text, matching, versions)
        raise AsticaSyncError(reason, hint)

    def find_number(self, text: str) -> Version:
        """The version with the number in ``text`` (``@3``), whatever its name is.

        Raises:
            AsticaSyncError: there is none.
        """
        found = [version for version in self.versions() if f"@{version.number}" == text]
        if not found:
            raise AsticaSyncError(f"no version {text[:40]!r} is known", "Name it by its number, as in @3.")
        return found[0]

    def find_snapshot(self, text: str) -> NamedSnapshot:
        """The snapshot of a version, or the snapshot whose id begins with ``text``.

        Raises:
            AsticaSyncError: there is none, or more than one, or the data of the version is not known.
        """
        ids = [one for one in self.snapshots.ids() if len(text) >= SHORTEST and one.startswith(text.lower())]
        if len(ids) == 1 and not find_versions(text, self.versions()):
            return NamedSnapshot(ids[0][:8], ids[0])
        return self.snapshot_of(self.find(text))

    def snapshot_of(self, version: Version) -> NamedSnapshot:
        """The snapshot of a version.

        Raises:
            AsticaSyncError: the data of the version is not known.
        """
        if version.snapshot is None:
            raise AsticaSyncError(
                f"the data of version {version.name or version.number} is not known: "
                f"{version.unknown_because or 'this store did not train it'}",
                "List the versions whose data is known: astica-sync versions",
            )
        return NamedSnapshot(version.name or f"@{version.number}", version.snapshot)

    def restore(self, snapshot: str, to: Path) -> Restored:
        """Writes the class folders of a snapshot into ``to``, byte for byte. Existing files are not overwritten.

        Raises:
            StoreError: the manifest or the target cannot be used. A target inside the store is refused, since its files
                would become new samples.
        """
        refuse_store(to)
        return restore(self.backup, to, self.fs, entries=self._entries(snapshot))

    def _entries(self, snapshot: str) -> "Callable[[], list[CatalogEntry]]":
        entries = list(self.snapshots.entries(snapshot))
        return lambda: entries

    def add_score(self, score: Score) -> None:
        """Records the score of a version.

        Raises:
            StoreError: the score cannot be written.
        """
        add_score(self._scores, score, self.fs)


def _describe_ambiguous(text: str, matching: Sequence[Version], versions: Sequence[Version]) -> tuple[str, str]:
    """That several versions match the text, and how to name each of them."""
    ways = {version.number: name_apart(version, versions) for version in matching}
    numbered = next((version for version in matching if f"@{version.number}" == text), None)
    named = [version for version in matching if version.name == text]
    if numbered is None or not named:
        return f"{len(matching)} versions are called {text!r}", f"Name one by its number: {_either(ways.values())}."
    hints = [
        f"Name version {number} as {way}." if way else f"No text names version {number} alone."
        for number, way in ways.items()
    ]
    own = f"its name is {numbered.name!r}" if numbered.name else "it has no name"
    return (
        f"{text!r} is the number of version {numbered.number}, {own}, and the name of "
        f"{'version' if len(named) == 1 else 'versions'} {' and '.join(str(version.number) for version in named)}",
        " ".join(hints),
    )


def _either(ways: Iterable[str | None]) -> str:
    return " or ".join(way for way in ways if way)
