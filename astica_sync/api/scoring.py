"""Runs versions on images, evaluates them on held-out images, and moves images out of the store to hold them out."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.core.model import ModelInfo, content_in_class, make_scope, make_uid
from astica_sync.core.versions.holdout import GroupedFile, choose_held_out
from astica_sync.core.versions.snapshot import ManagedSample, SnapshotSample
from astica_sync.core.versions.version import Version, VersionKey, find_versions, make_version_key
from astica_sync.errors import AsticaSyncError
from astica_sync.local.db.detections import Detections
from astica_sync.local.db.scores import Score
from astica_sync.local.identity import check_root
from astica_sync.local.image.rasterizer import Rasterizer
from astica_sync.local.scan.changed_files import class_title_of
from astica_sync.local.scan.scanner import scan_store
from astica_sync.sync.session import Session
from astica_sync.training.detect import DetectionResult, Detector, ImageInput, list_ignored
from astica_sync.training.evaluate import (
    Evaluation,
    HeldOutSet,
    TrainingData,
    evaluate,
    find_held_out,
    find_leaks,
    leave_out_trained,
    merge_leaks,
    select_known,
)
from astica_sync.training.similarity import Fingerprints, group_similar, require
from astica_sync.training.split import Split, check_target, find_kept_classes, make_split
from astica_sync.training.train import Trainer
from astica_sync.training.versions import VersionHistory


@dataclass(frozen=True, slots=True)
class _Runnable:
    """A version to run. ``exists``: it is known to exist; ``key``: see ``make_version_key``."""

    name: str
    exists: bool
    key: VersionKey | None


@dataclass(frozen=True, slots=True)
class Scoring:
    """The methods of ``Store`` that run versions, and those that hold images out; they are documented there."""

    session: Session
    history: VersionHistory
    trainer: Trainer

    def detect(self, inputs: Iterable[ImageInput], version: str | None) -> Iterator[DetectionResult]:
        target = self._find_version(version, self.trainer.poll().model)
        with contextlib.closing(self._open_cache()) as cache:
            yield from self._detector(target, cache).run(inputs)

    def _find_version(self, text: str | None, model: ModelInfo) -> "_Runnable":
        """The version to run; None is the latest. ``model`` is what the service shows now.

        Raises:
            AsticaSyncError: the model has no version yet, ``text`` is ambiguous, or the service shows no name for the
                version.
        """
        versions = self.history.versions()
        if text is None:
            if not model.version:
                raise _no_version()
            return self._runnable(model.version, model, versions)
        # The service cannot tell versions of the same name apart: it runs the one it finds under the name.
        exact = any(version.name == text for version in versions)
        if exact or not (text.startswith("@") or find_versions(text, versions)):
            return self._runnable(text, model, versions, exists=exact)
        version = self.history.find(text)
        if not version.name:
            raise AsticaSyncError(
                f"the service shows no name for version {text}, so it cannot be run", "Name another version."
            )
        same_name = [f"@{one.number}" for one in versions if one.name == version.name]
        if len(same_name) > 1:
            raise AsticaSyncError(
                f"{' and '.join(same_name)} have the same name {version.name!r}, so {text} cannot be run by its number",
                f"Name it {version.name}: the service runs the version it finds under this name.",
            )
        return self._runnable(version.name, model, versions)

    def _runnable(
        self, name: str, model: ModelInfo, versions: Sequence[Version], *, exists: bool = True
    ) -> "_Runnable":
        key = make_version_key(self.session.remote.service.addresses, model, name, versions)
        return _Runnable(name, exists, key)

    def evaluate(
        self,
        folder: Path,
        versions: Sequence[str] | None,
        *,
        with_leaks: bool,
        on_progress: Callable[[int, int], None],
    ) -> Evaluation:
        for package in ("sklearn", "scipy", "imagehash"):
            require(package, "evaluate")
        images, loose = find_held_out(folder)
        chosen = self._choose_versions(versions)
        data, unknown_data, unchecked = self._training_data(list(chosen))
        known_classes = {title for titles, _ in data.values() for title in titles}
        if unknown_data:
            view = self.session.remote.service.view(self.session.remote.model_id)[0]
            known_classes |= {entry.title for entry in view.classes}
        images, unknown = select_known(images, known_classes)
        sources = [TrainingData("", {content: (name, path) for content, name, path in self._scan_images()})]
        sources += [TrainingData(name, trained_on) for name, (_, trained_on) in data.items()]
        with contextlib.closing(self._open_cache()) as cache, contextlib.closing(Rasterizer()) as rasterizer:
            self.session.listener.phase("Comparing the held-out images with those of the versions")
            fingerprints = Fingerprints(cache, rasterizer)
            leaks = find_leaks(images, sources, fingerprints)
            for each in sources:
                unchecked[each.version] = unchecked.get(each.version, 0) + len(fingerprints.unread & each.images.keys())
            self.session.listener.phase_ended()
            left_out = [] if with_leaks else leave_out_trained(list(chosen), leaks, len(images))
            for one in left_out:
                del chosen[one.version], leaks[one.version]
            held_out = HeldOutSet(
                folder,
                images,
                merge_leaks(itertools.chain.from_iterable(leaks.values())),
                unknown,
                left_out,
                unknown_data,
                {name: count for name, count in unchecked.items() if name in chosen},
                loose,
                [path.relative_to(folder).as_posix() for path in list_ignored(folder)],
            )
            evaluation = evaluate(
                held_out,
                [self._detector(target, cache) for target in chosen.values()],
                with_leaks=with_leaks,
                on_progress=on_progress,
            )
        now = self.session.runtime.clock.now()
        for metrics in evaluation.measured:
            key = chosen[metrics.version].key
            self.history.add_score(
                Score(
                    metrics.version,
                    metrics.correct,
                    metrics.total,
                    folder.name,
                    evaluation.images_hash,
                    now,
                    self.session.remote.service.addresses,
                    self.session.remote.model_id,
                    key.trained_at if key else None,
                )
            )
        return evaluation

    def _choose_versions(self, versions: Sequence[str] | None) -> "dict[str, _Runnable]":
        """The versions to evaluate, by name."""
        model = self.trainer.poll().model
        if versions is not None and list(versions) == ["all"]:
            known = self.history.versions()
            names = {version.name: None for version in known if version.name}
            if not names:
                raise _no_version()
            return {name: self._runnable(name, model, known) for name in names}
        chosen = [self._find_version(text, model) for text in ((None,) if versions is None else versions)]
        return {target.name: target for target in chosen}

    def _training_data(
        self, names: Sequence[str]
    ) -> tuple[dict[str, tuple[set[str], dict[str, tuple[str, Path | None]]]], list[str], dict[str, int]]:
        """For each of the versions whose data is known: the classes it knows, and a name and a backup file for each
        content it was trained on; the names of the versions whose data is not known, or is only of one of several
        versions of that name; and for each version the number of its training images whose bytes are not here."""
        data: dict[str, tuple[set[str], dict[str, tuple[str, Path | None]]]] = {}
        unknown: list[str] = []
        unchecked: dict[str, int] = {}
        for name in names:
            snapshots = [version.snapshot for version in self.history.versions() if version.name == name]
            if None in snapshots or not snapshots:
                unknown.append(name)
            for sample in itertools.chain.from_iterable(
                self.history.snapshots.read(snapshot) for snapshot in dict.fromkeys(snapshots) if snapshot is not None
            ):
                classes, images = data.setdefault(name, (set(), {}))
                classes.add(sample.class_title)
                path = None
                content = self._content_of(sample)
                if content:
                    path = self.history.backup.find(content)
                    name_of = sample.path if isinstance(sample, ManagedSample) else f"#{sample.sample_id}"
                    images.setdefault(content, (name_of, path))
                if path is None:
                    unchecked[name] = unchecked.get(name, 0) + 1
        return data, unknown, unchecked

    def _content_of(self, sample: SnapshotSample) -> str:
        """The content hash of a sample, "" where only the service knows it; a uid of another store has it."""
        if isinstance(sample, ManagedSample):
            return sample.content
        return content_in_class(sample.uid, self.session.remote.model_id, sample.class_title)

    def _scan_images(self) -> Iterator[tuple[str, str, Path]]:
        """Scans the store; content hash, name and file of every image in it."""
        session = self.session
        root = session.local.layout.root
        session.listener.phase("Scanning the store")
        scan_store(
            session.local.layout,
            session.local.index,
            clock=session.runtime.clock,
            files=session.local.fs,
            progress=session.listener.scanned,
        )
        session.listener.phase_ended()
        for sample in session.local.index.local_samples(session.remote.model_id):
            yield sample.content, sample.paths[0], root / sample.paths[0]

    def _open_cache(self) -> Detections:
        return Detections(self.session.local.layout.detections_db)

    def _detector(self, target: "_Runnable", cache: Detections) -> Detector:
        session = self.session
        return Detector(
            session.remote.service,
            cache,
            session.remote.model_id,
            target.name,
            target.key,
            target.exists,
            session.local.decoder.check_bytes,
            session.runtime.stopping,
        )

    def plan_split(self, to: Path, *, share: float, seed: int) -> Split:
        require("imagehash", "evaluate")
        session = self.session
        started = check_target(to, session.local.layout.root)
        images = list(self._scan_images())
        if started is not None:
            return started
        with contextlib.closing(self._open_cache()) as cache, contextlib.closing(Rasterizer()) as rasterizer:
            hashes = Fingerprints(cache, rasterizer).of_all((content, path) for content, _, path in images)
        group_of = dict(zip(hashes, group_similar(list(hashes.values())), strict=True))
        files = [
            GroupedFile(path, sample.class_title, group_of[sample.content])
            for sample in session.local.index.local_samples(session.remote.model_id)
            if sample.content in group_of
            for path in sample.paths
        ]
        chosen = choose_held_out(files, share, seed)
        if not chosen:
            raise AsticaSyncError(
                "no image can be held out: every class consists of similar images only",
                "Add different images to at least one class.",
            )
        paths, kept = tuple(file.path for file in chosen), find_kept_classes(files, chosen)
        return Split(to, session.local.layout.root, paths, share, seed, kept=kept)

    def split(self, planned: Split) -> int:
        session = self.session
        with session.local.lock(session.local.layout):
            check_root(session.local.layout, session.local.fs)
            moved: list[tuple[str, Path]] = []
            try:
                return make_split(
                    planned, session.local.fs, self._content_at, lambda path, place: moved.append((path, place))
                )
            finally:
                # The user has confirmed that these leave the store, so the guard need not ask once more.
                session.local.journal.hold_out(self._hold_outs(moved), session.runtime.clock.now())

    def _hold_outs(self, moved: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, str, str, str]]:
        for path, place in moved:
            content, title = self._content_at(path), class_title_of(path.partition("/")[0])
            # A name that is not UTF-8 cannot be in the history; the guard asks about such a file.
            if content and title and str(place).isprintable():
                yield make_uid(content, make_scope(self.session.remote.model_id, title)), title, path, str(place)

    def _content_at(self, path: str) -> str | None:
        found = self.session.local.index.file_at(path)
        return None if found is None else found[0]


def _no_version() -> AsticaSyncError:
    return AsticaSyncError("the model has no version yet", "Run: astica-sync train")
