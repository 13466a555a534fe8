"""Runs versions on images, evaluates them on held-out images, and moves images out of the store to hold them out."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from astica_sync.core.versions.holdout import GroupedFile, choose_held_out
from astica_sync.core.versions.version import find_versions
from astica_sync.errors import AsticaSyncError
from astica_sync.local.db.detections import Detections
from astica_sync.local.db.scores import Score
from astica_sync.local.identity import check_root
from astica_sync.local.scan.scanner import scan_store
from astica_sync.sync.session import Session
from astica_sync.training.detect import DetectionResult, Detector, ImageInput
from astica_sync.training.evaluate import Evaluation, HeldOutSet, evaluate, find_held_out, find_leaks, select_known
from astica_sync.training.similarity import group_similar, perceptual_hashes, require
from astica_sync.training.split import Split, check_target, make_split
from astica_sync.training.train import Trainer
from astica_sync.training.versions import VersionHistory


@dataclass(frozen=True, slots=True)
class Scoring:
    """The methods of ``Store`` that run versions, and those that hold images out; they are documented there."""

    session: Session
    history: VersionHistory
    trainer: Trainer

    def detect(self, inputs: Iterable[ImageInput], version: str | None) -> Iterator[DetectionResult]:
        name, exists = self.find_version(version)
        with contextlib.closing(self._open_cache()) as cache:
            yield from self._detector(name, cache, exists=exists).run(inputs)

    def find_version(self, text: str | None) -> tuple[str, bool]:
        """The name of the version to run, and whether it is known to exist; None is the latest version.

        Raises:
            AsticaSyncError: the model has no version yet, ``text`` is ambiguous, or the service shows no name for the
                version.
        """
        state = self.trainer.poll()
        if text is None:
            name = state.model.version
            if not name:
                raise _no_version()
            return name, True
        versions = self.history.versions()
        # The service cannot tell versions of the same name apart: it runs the one it finds under the name.
        exact = any(version.name == text for version in versions)
        if exact or not (text.startswith("@") or find_versions(text, versions)):
            return text, exact
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
        return version.name, True

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
        images = find_held_out(folder)
        chosen = self._choose_versions(versions)
        classes, training_images = self._training_data([name for name, _ in chosen])
        images, unknown = select_known(images, classes)
        for content, name, path in self._scan_images():
            training_images.setdefault(content, (name, path))
        with contextlib.closing(self._open_cache()) as cache:
            leaks = find_leaks(images, training_images, cache)
            evaluation = evaluate(
                HeldOutSet(folder, images, leaks, unknown),
                [self._detector(name, cache, exists=exists) for name, exists in chosen],
                with_leaks=with_leaks,
                on_progress=on_progress,
            )
        now = self.session.runtime.clock.now()
        for metrics in evaluation.measured:
            self.history.add_score(
                Score(metrics.version, metrics.correct, metrics.total, folder.name, evaluation.images_hash, now)
            )
        return evaluation

    def _choose_versions(self, versions: Sequence[str] | None) -> list[tuple[str, bool]]:
        """The names of the versions to evaluate, once each, and whether each is known to exist."""
        if versions is None:
            return [self.find_version(None)]
        if list(versions) == ["all"]:
            self.trainer.poll()
            names = {version.name: None for version in self.history.versions() if version.name}
            if not names:
                raise _no_version()
            return [(name, True) for name in names]
        return list(dict(self.find_version(text) for text in versions).items())

    def _training_data(self, names: Sequence[str]) -> tuple[set[str], dict[str, tuple[str, Path]]]:
        """The classes that these versions know; and a name and a backup file for each content they were trained on."""
        snapshots = {version.name: version.snapshot for version in self.history.versions() if version.snapshot}
        classes: set[str] = set()
        if any(name not in snapshots for name in names):
            classes |= {
                entry.title for entry in self.session.remote.service.view(self.session.remote.model_id)[0].classes
            }
        data = [self.history.snapshots.entries(snapshots[name]) for name in names if name in snapshots]
        images: dict[str, tuple[str, Path]] = {}
        for entry in itertools.chain.from_iterable(data):
            classes.add(entry.class_title)
            path = self.history.backup.find(entry.content)
            if path is not None:
                images.setdefault(entry.content, (entry.path, path))
        return classes, images

    def _scan_images(self) -> Iterator[tuple[str, str, Path]]:
        """Scans the store; content hash, name and file of every image in it."""
        session = self.session
        root = session.local.layout.root
        scan_store(session.local.layout, session.local.index, clock=session.runtime.clock, files=session.local.fs)
        for sample in session.local.index.local_samples(session.remote.model_id):
            yield sample.content, sample.paths[0], root / sample.paths[0]

    def _open_cache(self) -> Detections:
        return Detections(self.session.local.layout.state / "detections.db")

    def _detector(self, version: str, cache: Detections, *, exists: bool) -> Detector:
        session = self.session
        return Detector(
            session.remote.service, cache, session.remote.model_id, version, exists, session.runtime.stopping
        )

    def plan_split(self, to: Path, *, share: float, seed: int) -> Split:
        require("imagehash", "evaluate")
        session = self.session
        started = check_target(to, session.local.layout.root)
        if started is not None:
            return started
        images = list(self._scan_images())
        with contextlib.closing(self._open_cache()) as cache:
            hashes = perceptual_hashes(((content, path) for content, _, path in images), cache)
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
        return Split(to, session.local.layout.root, tuple(file.path for file in chosen), share, seed)

    def split(self, planned: Split) -> int:
        session = self.session
        with session.local.lock(session.local.layout):
            check_root(session.local.layout, session.local.fs)
            return make_split(planned, session.local.fs)


def _no_version() -> AsticaSyncError:
    return AsticaSyncError("the model has no version yet", "Run: astica-sync train")
