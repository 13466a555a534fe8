"""Scoring, for programs and notebooks: running versions on images, and holding images out to score them on."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from astica_sync.api.base import Base, quiet
from astica_sync.core.versions.holdout import Candidate, choose_held_out
from astica_sync.core.versions.version import find_versions
from astica_sync.errors import AsticaSyncError
from astica_sync.local.db.detections import Detections
from astica_sync.local.db.scores import Score
from astica_sync.local.identity import check_root
from astica_sync.local.scan.scanner import scan_store
from astica_sync.training.detect import Detected, Detector, Input, inputs_in
from astica_sync.training.evaluate import Evaluation, evaluate, find_held_out, find_leaks, leave_unknown
from astica_sync.training.similarity import group_alike, likenesses, require
from astica_sync.training.split import Split, check_target, make_split


class Scoring(Base):
    """What a store can do with its versions."""

    def detect(self, images: str | Path | Iterable[str | Path], version: str | None = None) -> Iterator[Detected]:
        """What a version sees in images: files, folders of them, or patterns; the latest version when left out.

        The results come in the order of the images; one that cannot be looked at has an ``error``. What was answered
        once costs no request any more.

        Raises:
            AsticaSyncError: there is no such file, or no version.
            RemoteError: the service is out of reach.
        """
        named = [images] if isinstance(images, str | Path) else images
        return self.detect_inputs(inputs_in(map(str, named), lambda: b""), version)

    def detect_inputs(self, inputs: Iterable[Input], version: str | None = None) -> Iterator[Detected]:
        """As ``detect``, for images that need not be files."""
        name, known = self.find_version(version)
        with contextlib.closing(self.open_cache()) as cache:
            yield from self.detector(name, cache, known=known).run(inputs)

    def find_version(self, text: str | None) -> tuple[str, bool]:
        """The name of a version to run, the latest for None, and whether it surely exists.

        Raises:
            AsticaSyncError: the model has none yet, the text means several, or the service shows no name for it.
        """
        look = self.trainer.look()
        if text is None:
            name = look.model.version
            if not name:
                raise AsticaSyncError("the model has no version yet", "Run astica-sync train first.")
            return name, True
        versions = self.history.versions()
        # Several versions of one name are one to the service, which runs what it finds under it.
        exact = any(version.name == text for version in versions)
        if exact or not (text.startswith("@") or find_versions(text, versions)):
            return text, exact
        version = self.history.find(text)
        if not version.name:
            raise AsticaSyncError(f"the service shows no name for version {text}", "It cannot be asked for.")
        twins = [f"@{one.number}" for one in versions if one.name == version.name]
        if len(twins) > 1:
            raise AsticaSyncError(
                f"{' and '.join(twins)} have one name, {version.name!r}; the service cannot be asked for {text} alone",
                "Give the name: the service runs what it has under it.",
            )
        return version.name, True

    def evaluate(
        self,
        folder: str | Path,
        versions: Sequence[str] | None = None,
        *,
        with_leaks: bool = False,
        told: Callable[[int, int], None] = quiet,
    ) -> Evaluation:
        """Scores versions on a held-out folder of class folders, and compares each with the one before it.

        Args:
            folder: one folder for each class, with images that no version was trained on.
            versions: names, or ``["all"]`` for each that was ever seen; the latest when left out.
            with_leaks: count images that are in the training data as well.
            told: hears how many answers there are, and how many there will be.

        Raises:
            AsticaSyncError: no such folder, no image or no class in it that can be scored, or no such version.
            RemoteError: the service is out of reach.
        """
        for package in ("sklearn", "scipy", "imagehash"):
            require(package, "evaluate")
        folder = Path(folder)
        images = find_held_out(folder)
        chosen = self._chosen(versions)
        snapshots = {version.name: version.snapshot for version in self.history.versions() if version.snapshot}
        known: set[str] = set()
        if any(name not in snapshots for name, _ in chosen):
            known |= {entry.title for entry in self.session.remote.service.view(self.model_id)[0].classes}
        data = [self.history.snapshots.entries(snapshots[name]) for name, _ in chosen if name in snapshots]
        trained_on: dict[str, tuple[str, Path]] = {}
        for entry in itertools.chain.from_iterable(data):
            known.add(entry.class_title)
            kept = self.session.local.backup.find(entry.content)
            if kept is not None:
                trained_on.setdefault(entry.content, (entry.path, kept))
        images, unknown = leave_unknown(images, known)
        for content, name, path in self._images():
            trained_on.setdefault(content, (name, path))
        with contextlib.closing(self.open_cache()) as cache:
            evaluation = evaluate(
                folder,
                images,
                [self.detector(name, cache, known=sure) for name, sure in chosen],
                leaks=find_leaks(images, trained_on, cache),
                with_leaks=with_leaks,
                unknown=unknown,
                told=told,
            )
        for one in evaluation.measured:
            shown = Score(
                one.version, one.right, one.shown, folder.name, evaluation.images, self.session.runtime.clock.now()
            )
            self.history.add_score(shown)
        return evaluation

    def _chosen(self, versions: Sequence[str] | None) -> list[tuple[str, bool]]:
        """The names of the versions to score, each once, and whether each surely exists."""
        if versions is None:
            return [self.find_version(None)]
        if list(versions) == ["all"]:
            self.trainer.look()
            names = {version.name: None for version in self.history.versions() if version.name}
            if not names:
                raise AsticaSyncError("the model has no version yet", "Run astica-sync train first.")
            return [(name, True) for name in names]
        return list(dict(self.find_version(text) for text in versions).items())

    def _images(self) -> Iterator[tuple[str, str, Path]]:
        """Content, name and file of every image of the store, by a scan of this moment."""
        session = self.session
        scan_store(self.layout, session.local.index, clock=session.runtime.clock, files=session.local.fs)
        for sample in session.local.index.local_samples(self.model_id):
            yield sample.content, sample.paths[0], self.layout.root / sample.paths[0]

    def open_cache(self) -> Detections:
        """What versions said before."""
        return Detections(self.layout.state / "detections.db")

    def detector(self, version: str, cache: Detections, *, known: bool) -> Detector:
        """One version, ready to run."""
        session = self.session
        return Detector(session.remote.service, cache, self.model_id, version, known, session.runtime.stopping)

    def plan_split(self, to: str | Path, *, share: float = 0.2, seed: int = 0) -> Split:
        """Which files of the store to hold out in the folder ``to``; changes nothing.

        Raises:
            AsticaSyncError: a held-out folder was made there already, or there is nothing to hold out.
            StoreError: the store cannot be scanned.
        """
        require("imagehash", "evaluate")
        to = Path(to)
        begun = check_target(to, self.layout.root)
        if begun is not None:
            return begun
        images = list(self._images())
        with contextlib.closing(self.open_cache()) as cache:
            alike = likenesses(((content, path) for content, _, path in images), cache)
        contents = list(alike)
        group_of = dict(zip(contents, group_alike(list(alike.values())), strict=True))
        candidates = [
            Candidate(path, sample.class_title, group_of[sample.content])
            for sample in self.session.local.index.local_samples(self.model_id)
            if sample.content in group_of
            for path in sample.paths
        ]
        chosen = choose_held_out(candidates, share, seed)
        if not chosen:
            raise AsticaSyncError("there is nothing to hold out", "A class needs two different pictures at least.")
        return Split(to, self.layout.root, tuple(candidate.path for candidate in chosen), share, seed)

    def split(self, planned: Split) -> int:
        """Moves the files of a plan out of the store; returns how many moved.

        Raises:
            StoreBusy: another process writes this store.
            StoreError: a file cannot be moved; the same call goes on from there.
        """
        with self.session.local.lock(self.layout):
            check_root(self.layout, self.session.local.fs)
            return make_split(planned, self.session.local.fs)
