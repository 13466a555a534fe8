"""Runs versions on images, and finds the versions to run."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from astica_sync.bucket.store_files import file_of_image
from astica_sync.clock import local_time
from astica_sync.core.model import ModelInfo
from astica_sync.core.versions.pending_training import Training
from astica_sync.core.versions.version import Version, VersionKey, find_versions, make_version_key
from astica_sync.errors import AsticaSyncError
from astica_sync.local.db.detections import Detections
from astica_sync.local.db.row_seals import RowSeals
from astica_sync.local.image.prepare.image_as_sent import why_not_sent
from astica_sync.local.scan.scanner import ScanOptions, scan_store
from astica_sync.sync.session import Session
from astica_sync.training.detect import DetectionResult, Detector
from astica_sync.training.find_images import ImageInput
from astica_sync.training.train import Trainer
from astica_sync.training.version_history import VersionHistory


@dataclass(frozen=True, slots=True)
class RunnableVersion:
    """A version to run. ``exists``: it is known to exist; ``key``: see ``make_version_key``."""

    name: str
    exists: bool
    key: VersionKey | None


@dataclass(frozen=True, slots=True)
class VersionRunner:
    """Finds versions and runs them for the methods of ``Store``, which are documented there."""

    session: Session
    history: VersionHistory
    trainer: Trainer

    def detect(self, inputs: Iterable[ImageInput], version: str | None) -> Iterator[DetectionResult]:
        target = self.find_version(version, self.trainer.poll().model)
        with contextlib.closing(self.open_cache()) as cache:
            yield from self.detector(target, cache).run(inputs)

    def find_version(self, text: str | None, model: ModelInfo) -> "RunnableVersion":
        """The version to run; None is the latest. ``model`` is what the service shows now.

        Raises:
            AsticaSyncError: the model has no version yet, ``text`` is ambiguous, or the service shows no name for the
                version.
        """
        versions = self.history.versions()
        if text is None:
            if not model.version:
                raise no_version(self.trainer.pending())
            return self.runnable(model.version, model, versions)
        # The service cannot tell versions of the same name apart: it runs the one it finds under the name.
        matching = find_versions(text, versions)
        exact = bool(matching) and all(version.name == text for version in matching)
        if exact or not (text.startswith("@") or matching):
            return self.runnable(text, model, versions, exists=exact)
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
        return self.runnable(version.name, model, versions)

    def runnable(
        self, name: str, model: ModelInfo, versions: Sequence[Version], *, exists: bool = True
    ) -> "RunnableVersion":
        key = make_version_key(self.session.remote.service.addresses, model, name, versions)
        return RunnableVersion(name, exists, key)

    def choose_versions(self, versions: Sequence[str] | None, model: ModelInfo) -> "dict[str, RunnableVersion]":
        """The versions to evaluate, by name. ``model`` is what the service shows now."""
        if versions is not None and list(versions) == ["all"]:
            known = self.history.versions()
            names = {version.name: None for version in known if version.name}
            if not names:
                raise no_version(self.trainer.pending())
            return {name: self.runnable(name, model, known) for name in names}
        chosen = [self.find_version(text, model) for text in ((None,) if versions is None else versions)]
        return {target.name: target for target in chosen}

    def open_cache(self) -> Detections:
        """The cache of answers, without those that came with the store and that this user did not get."""
        path = self.session.local.layout.detections_db
        cache = Detections(path, RowSeals(self.session.local.fs.known_stores))
        foreign = cache.remove_foreign()
        if foreign:
            self.session.listener.note(
                f"{foreign:,} cached {'answer was' if foreign == 1 else 'answers were'} not made by you on this "
                f"machine ({path}): not used, so the version is asked again"
            )
        return cache

    def detector(self, target: "RunnableVersion", cache: Detections) -> Detector:
        session = self.session
        return Detector(
            session.remote.service,
            cache,
            session.remote.model_id,
            target.name,
            target.key,
            target.exists,
            partial(why_not_sent, session.local.decoder, session.local.preparer),
            session.runtime.stopping,
            session.local.preparer.convert,
            session.local.preparer.recipe.identity,
        )


def no_version(pending: Training | None) -> AsticaSyncError:
    """``pending`` is a training that was requested and whose version has not appeared."""
    if pending is None:
        return AsticaSyncError("the model has no version yet", "Run: astica-sync train")
    return AsticaSyncError(
        f"the model has no version yet: a training was requested at {local_time(pending.asked_at, seconds=True)}",
        "To see when its version is there: astica-sync versions",
    )


def scan_images(session: Session) -> Iterator[tuple[str, str, Path]]:
    """Scans the store; content hash, name and file of every image in it."""
    local = session.local
    session.listener.phase("Scanning the store")
    scan_store(
        session.local.layout,
        session.local.index,
        clock=session.runtime.clock,
        files=session.local.fs,
        options=ScanOptions(threads=local.hash_threads, recipe=local.preparer.recipe),
        progress=session.listener.scanned,
    )
    session.listener.phase_ended()
    for sample in session.local.index.local_samples(session.remote.model_id):
        yield sample.content, sample.paths[0], file_of_image(local.fs, local.backup, sample)
