"""A store, for programs and notebooks: one method for each command."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from astica_sync.api import adoption
from astica_sync.api.progress_lines import ProgressLines
from astica_sync.api.push_as_version import followed_version, with_version_as_store
from astica_sync.api.reports.evaluation_report import EvaluationReport
from astica_sync.api.reports.html_table import html_table, notebook_html
from astica_sync.api.reports.status_report import StatusReport
from astica_sync.api.reports.version_list import VersionList
from astica_sync.api.run_detection import VersionRunner
from astica_sync.api.run_evaluation import Evaluating, PlannedEvaluation
from astica_sync.api.run_split import Splitting
from astica_sync.api.run_training import TrainingOptions, TrainingResult, run_training
from astica_sync.api.samples import Samples
from astica_sync.api.version_provenance import can_run, check_data
from astica_sync.clock import SystemClock
from astica_sync.config import Settings
from astica_sync.core.versions.match_unmanaged import Matching, Pair
from astica_sync.core.versions.pending_training import Training
from astica_sync.core.versions.snapshot import SnapshotDiff, SnapshotSample, diff
from astica_sync.errors import AsticaSyncError, StoreError
from astica_sync.local.layout import Layout
from astica_sync.open_session import OpenStore, open_session
from astica_sync.sync.observe import request_view
from astica_sync.sync.plan.find_status import StoreStatus, find_status
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.push.preflight_checks import check_samples, requests_of
from astica_sync.sync.push.push import PushResult
from astica_sync.sync.push.push import push as push_store
from astica_sync.sync.push.push_round import Consent, Naming
from astica_sync.sync.session import Session
from astica_sync.training.detect import DetectionResult
from astica_sync.training.find_images import ImageInput, find_inputs
from astica_sync.training.in_memory_images import Images, encode_image
from astica_sync.training.move_held_out import Split
from astica_sync.training.train import Trainer
from astica_sync.training.version_history import NamedSnapshot, VersionHistory

if TYPE_CHECKING:
    from astica_sync.local.backup.restore import Restored


def _as_many(images: Images | Iterable[Images]) -> Iterable[Images]:
    """An array is one image, although it can be iterated."""
    single = isinstance(images, str | Path | bytes) or hasattr(images, "__array_interface__")
    return [images] if single else images  # type: ignore[list-item, return-value]


def _find_images(images: Iterable[Images], formats: Collection[str]) -> Iterator[ImageInput]:
    found: list[Iterator[ImageInput]] = []
    try:
        for number, image in enumerate(images, 1):
            data = image if isinstance(image, bytes) else encode_image(image)
            if data is not None:
                found.append(iter([ImageInput(f"image {number}", data)]))
            elif isinstance(image, str | Path):
                found.append(find_inputs([str(image)], lambda: b"", formats))
            else:
                raise TypeError
    except TypeError:
        raise AsticaSyncError(
            "an image is a path or the bytes of a PNG or JPEG, an image of PIL or an array of numpy",
            "Pass one of these, or several of them.",
        ) from None
    return itertools.chain.from_iterable(found)


def _no(*_: object) -> bool:
    return False


def _ignore(*_: object) -> None:
    pass


class Store:
    """One open store, used by the thread that opened it. Close it with ``close`` or a ``with`` block.

    Args:
        path: the folder of the store, or a folder inside it; the current folder by default.
        listener: gets each step of what a call does, as ``ProgressListener`` has it.
        progress: gets the same as lines of text, a few seconds apart; ``print`` shows them.

    Raises:
        NoStore: there is no store.
        ConfigError: a setting is wrong, or there is no key.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        listener: ProgressListener | None = None,
        progress: Callable[[str], object] | None = None,
    ) -> None:
        if listener is not None and progress is not None:
            raise AsticaSyncError("listener and progress were both given", "Give one of the two.")
        self._stack = contextlib.ExitStack()
        folder = None if path is None else Path(path)
        reports = listener or (ProgressLines(progress) if progress else ProgressListener())
        opened = self._stack.enter_context(open_session(folder, reports, clock=SystemClock()))
        self._use(opened)

    @classmethod
    def over(cls, opened: OpenStore) -> Self:
        """A ``Store`` for a session that the caller opened and closes."""
        store = cls.__new__(cls)
        store._stack = contextlib.ExitStack()
        store._use(opened)
        return store

    def _use(self, opened: OpenStore) -> None:
        self._session = opened.session
        self._model_id = opened.session.remote.model_id
        self.settings: Settings = opened.settings
        self.layout: Layout = opened.layout
        self._thread = threading.get_ident()
        self._closed = False

    @property
    def session(self) -> Session:
        """What the store works with.

        Raises:
            StoreError: the store is closed, or another thread opened it.
        """
        if self._closed:
            raise StoreError(f"the store {self.layout.root} is closed", "Open it again: Store(path).")
        if threading.get_ident() != self._thread:
            raise StoreError(
                f"the store {self.layout.root} was opened by another thread",
                "Open a Store in each thread; several may be open at the same time.",
            )
        return self._session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the store; calling it again does nothing.

        Raises:
            StoreError: another thread opened it.
        """
        if not self._closed:
            _ = self.session
            self._closed = True
            self._stack.close()

    def stop(self) -> None:
        """Asks the call under way to end soon, with what it has done saved; any thread may call this. The store can
        only be closed then: open another one to go on."""
        clock = self._session.runtime.clock
        if isinstance(clock, SystemClock):
            clock.stopping.set()

    def __repr__(self) -> str:
        closed = ", closed" if self._closed else ""
        return f"<Store {str(self.layout.root)!r}, model {self._model_id}{closed}>"

    def _repr_html_(self) -> str:
        rows = [
            ("folder", str(self.layout.root)),
            ("model", str(self._model_id)),
            ("service", self.settings.train_url),
            ("state", "closed" if self._closed else "open"),
        ]
        return notebook_html(html_table(("store", ""), rows))

    @property
    def model_id(self) -> int:
        """The id of the model the store is bound to."""
        return self.session.remote.model_id

    @property
    def history(self) -> VersionHistory:
        """The versions and snapshots recorded in the backup."""
        return VersionHistory(self.layout, self.session.local.backup, self.session.local.fs, self.model_id)

    @property
    def trainer(self) -> Trainer:
        """Requests trainings of this model and records their versions."""
        session, history = self.session, self.history
        return Trainer(
            session.remote.service,
            session.local.journal,
            history.records,
            session.runtime.clock,
            session.policy.quarantine,
            session.remote.model_id,
            partial(check_data, session, history),
            partial(can_run, session, history),
            lambda: request_view(session.local, session.remote, session.listener)[0].model,
        )

    @property
    def follows(self) -> NamedSnapshot | None:
        """The version whose data ``push(as_version=...)`` sent to the service; None if the service follows the
        store."""
        return followed_version(self.session)

    def status(self, *, offline: bool = False, check_seconds: float = 0.0) -> StatusReport:
        """The differences between store and service, and what a push would do. Sends one request, none if ``offline``.

        Args:
            offline: compare with what the service showed last.
            check_seconds: about how long the images that a push would send are checked, as the push checks them.

        Raises:
            StoreError: the store cannot be scanned.
            RemoteError: there is no observation.
        """
        status = find_status(self.session, offline=offline)
        return StatusReport.of(check_samples(self.session, status, check_seconds) if check_seconds else status)

    def samples(self, status: StoreStatus | None = None, *, offline: bool = False) -> Samples:
        """Every sample with its files, its hash and its state. The samples are read while they are iterated over, so
        a million of them need no more memory than one.

        Args:
            status: a status of this store; without it, one is made.
            offline: make it without a request, from what the service showed last.

        Raises:
            StoreError, RemoteError: as ``status``.
        """
        return Samples(lambda: self.session, status or self.status(offline=offline), self.layout.root)

    def requests_for(self, status: StoreStatus) -> int:
        """What a push sends from now on, the view that it begins with included: the number that the commands show."""
        return requests_of(self.session, status)

    def plan_as(self, version: str) -> StatusReport:
        """The status with the data of a version in place of the store: what ``push(as_version=version)`` would do.

        Raises:
            AsticaSyncError: there is no such version, or its data is not known.
        """
        return StatusReport.of(find_status(self._session_as(version)))

    def push(
        self,
        *,
        as_version: str | None = None,
        yes: bool = False,
        max_remove: int | None = None,
        new_classes: Iterable[str] = (),
        retry: bool = False,
        consent: Consent = _no,
        naming: Naming = _no,
    ) -> PushResult:
        """Brings the service in sync with the store, or with the data of ``as_version`` from the backup.

        The parameters are the options of the command.

        Args:
            as_version: a version whose data is known; the folder of the store is not changed.
            yes: allow all removals of the plan.
            max_remove: allow at most this many removals.
            new_classes: titles of new classes that are meant although they are similar to existing ones.
            retry: try samples again that failed permanently in an earlier push.
            consent: called when the guard refuses removals; True allows them.
            naming: called when new classes are similar to existing ones; True creates them.

        Raises:
            StoreBusy: another process is writing to this store.
            StoreError: the store was replaced, or cannot be scanned.
            RemoteError: there is no first observation.
            AsticaSyncError: there is no such version, or its data is not known.
        """
        session = self.session if as_version is None else self._session_as(as_version)
        if yes or max_remove is not None:
            allowance = replace(session.policy.allowance, all=yes, at_most=max_remove)
            session = replace(session, policy=replace(session.policy, allowance=allowance))
        return push_store(session, consent=consent, naming=naming, new_classes=new_classes, retry=retry)

    def train(
        self,
        *,
        anyway: bool = False,
        again: Callable[[Training], bool] = _no,
        wait: bool = True,
        on_message: Callable[[str], None] = _ignore,
        on_wait: Callable[[Training, float], None] = _ignore,
        on_result: Callable[[TrainingResult], None] = _ignore,
        early: bool = False,
    ) -> TrainingResult:
        """Freezes a snapshot of what the service has, trains on it, and waits for the version.

        If a training was requested before and its version has not appeared, waits for that one first; if it was for the
        same data, its version is the result. Seven parameters: the options of the command, and its messages.

        Args:
            anyway: train although store and service differ.
            again: called when the version of an earlier request is overdue; True repeats the request.
            wait: False returns as soon as the service has confirmed the request.
            on_message: called with messages for the user.
            on_wait: called with the training and the seconds since its request, while the training is running.
            early: call ``again`` before the version is overdue as well, if the service has confirmed the request:
                it does not tell when a training has failed.
            on_result: called with the result. Until it has returned, the next call for the same data returns the same
                version instead of requesting another one.

        Raises:
            AsticaSyncError: the training should not start now, see ``find_objections``.
            StoreBusy: another process is writing to this store.
            RemoteError: the service refused the training, or no version appeared in time.
            Interrupted: the user stopped the waiting; the training continues, and the next call resumes waiting.
        """
        options = TrainingOptions(anyway, again, wait, on_message, on_wait, early)
        result = run_training(self.session, self.history, self.trainer, options)
        on_result(result)
        if result.version is not None:
            self.trainer.mark_reported(result.snapshot)
        return result

    def versions(self, *, offline: bool = False) -> VersionList:
        """Every version, the first one first, with its data, the changes to the version before, and its scores.

        Asks the service for the model first, which records a new version; not if ``offline``. Where the result has
        ``made_elsewhere``, these records came with the folder and were not made by this user.

        Raises:
            RemoteError: the service did not answer.
            StoreError: a snapshot cannot be read.
        """
        if not offline:
            self.trainer.poll()
        return VersionList(self.history.summaries(), made_elsewhere=self.history.made_elsewhere)

    def snapshot(self, version: str) -> list[SnapshotSample]:
        """The samples of a version, or of the snapshot whose id begins with ``version``.

        Raises:
            AsticaSyncError: there is no such version, or its data is not known.
        """
        return list(self.history.snapshots.read(self.history.find_snapshot(version).snapshot))

    def diff(self, before: str, after: str) -> SnapshotDiff:
        """The samples that were added, removed or moved between two versions.

        Raises:
            AsticaSyncError: as ``snapshot``.
        """
        return diff(self.snapshot(before), self.snapshot(after))

    def restore(self, version: str, to: str | Path) -> "Restored":
        """Writes the class folders of a version into the folder ``to``, byte for byte.

        Raises:
            AsticaSyncError: as ``snapshot``, or the folder cannot be written.
        """
        return self.history.restore(self.history.find_snapshot(version).snapshot, Path(to))

    def find_adoptable(self) -> Matching:
        """Matches the unmanaged samples of the service with files of the store; sends one request, changes nothing.

        Raises:
            StoreError: the store cannot be scanned.
            RemoteError: there is no observation.
        """
        return adoption.find_adoptable(self.session)

    def adopt(self, pairs: Iterable[Pair]) -> int:
        """Adopts unmanaged samples as the files they were paired with; returns how many.

        From then on they are managed, and their files are not uploaded again. No push removes them, also when their
        file is removed, whether the pair was certain or likely: their bytes may be nowhere but on the service.
        ``remove-sample`` removes them.

        Raises:
            StoreBusy: another process is writing to this store.
            StoreError: the bytes cannot be written to the backup.
            RemoteError: there is no observation.
        """
        return adoption.adopt(self.session, self.history.records, pairs)

    def detect(self, images: Images | Iterable[Images], version: str | None = None) -> Iterator[DetectionResult]:
        """Runs a version, by default the latest, on images: files, folders, patterns, https addresses, the bytes of an
        image, images of PIL, and arrays of numpy (uint8; red, green, blue).

        The results come in the order of the images; one that cannot be processed has an ``error``. An image that the
        version was run on before costs no request.

        Raises:
            AsticaSyncError: there is no such file, no version, or an image is of none of these kinds.
            RemoteError: the service cannot be reached.
        """
        found = _find_images(_as_many(images), self.session.local.preparer.recipe.formats)
        return self.detect_inputs(found, version)

    def detect_inputs(self, inputs: Iterable[ImageInput], version: str | None = None) -> Iterator[DetectionResult]:
        """As ``detect``, for images that need not be files."""
        return self._while_open(self._runner.detect(inputs, version))

    def _while_open(self, results: Iterator[DetectionResult]) -> Iterator[DetectionResult]:
        """The results, as long as the store is open and the thread is its own."""
        with contextlib.closing(results):  # type: ignore[type-var]
            while True:
                _ = self.session
                try:
                    result = next(results)
                except StopIteration:
                    return
                yield result

    def evaluate(
        self,
        folders: str | Path | Sequence[str | Path],
        versions: Sequence[str] | None = None,
        *,
        with_leaks: bool = False,
        baseline: str | None = None,
        on_progress: Callable[[int, int], None] = _ignore,
    ) -> EvaluationReport:
        """Evaluates versions on held-out folders, and compares each with the baseline, or with the one before it.

        Args:
            folders: one folder or several; each contains one folder per class, with images that no version was trained
                on.
            versions: names of versions, or ``["all"]``; the latest by default.
            with_leaks: count images that are also in the training data.
            baseline: the version that the others are compared with; it is evaluated as well.
            on_progress: called with the number of answers so far, and the number of all answers.

        Raises:
            AsticaSyncError: there is no such folder or version, or no image in the folder can be evaluated.
            RemoteError: the service cannot be reached.
        """
        planned = self.plan_evaluation(folders, versions, with_leaks=with_leaks, baseline=baseline)
        return self.run_evaluation(planned, on_progress)

    def plan_evaluation(
        self,
        folders: str | Path | Sequence[str | Path],
        versions: Sequence[str] | None = None,
        *,
        with_leaks: bool = False,
        baseline: str | None = None,
    ) -> PlannedEvaluation:
        """What ``evaluate`` would do, and its price. Asks the service for the model, and for no detection.

        Raises:
            AsticaSyncError: as ``evaluate``.
            RemoteError: the service cannot be reached.
        """
        named = [folders] if isinstance(folders, str | Path) else folders
        return self._evaluating.plan(
            [Path(folder) for folder in named], versions, with_leaks=with_leaks, baseline=baseline
        )

    def run_evaluation(
        self, planned: PlannedEvaluation, on_progress: Callable[[int, int], None] = _ignore
    ) -> EvaluationReport:
        """Carries out a planned evaluation.

        Raises:
            AsticaSyncError: no image has an answer.
            RemoteError: the service cannot be reached.
        """
        return EvaluationReport.of(self._evaluating.evaluate(planned, on_progress))

    def plan_split(self, to: str | Path, *, share: float = 0.2, seed: int = 0) -> Split:
        """Chooses the files of the store to move into the held-out folder ``to``; changes nothing.

        Raises:
            AsticaSyncError: ``to`` already is a held-out folder, or no image can be held out.
            StoreError: the store cannot be scanned.
        """
        return self._splitting.plan_split(Path(to), share=share, seed=seed)

    def plan_top_up(self, to: str | Path) -> Split:
        """Chooses files that came to the store after ``to`` was made, so that it has its share of each class again.
        Images that stayed in the store then, or that a version was trained on, stay, and those that are similar to
        them. ``split`` carries it out.

        Raises:
            AsticaSyncError: ``to`` is no held-out folder of this store, or nothing tells which files are new.
            StoreError: the store cannot be scanned.
        """
        return self._splitting.plan_top_up(Path(to))

    def plan_undo_split(self, to: str | Path) -> Split:
        """The files that ``undo_split`` would move back from the held-out folder ``to``.

        Raises:
            AsticaSyncError: ``to`` is no held-out folder of this store.
        """
        return self._splitting.plan_undo(Path(to))

    def undo_split(self, planned: Split) -> int:
        """Moves held-out files back into the store; returns how many.

        Raises:
            StoreBusy: another process is writing to this store.
            StoreError: a file cannot be moved; calling again continues with it.
        """
        return self._splitting.undo(planned)

    def split(self, planned: Split) -> int:
        """Moves the files of a planned split out of the store; returns how many were moved.

        Raises:
            StoreBusy: another process is writing to this store.
            StoreError: a file cannot be moved; calling again continues with it.
        """
        return self._splitting.split(planned)

    @property
    def _runner(self) -> VersionRunner:
        return VersionRunner(self.session, self.history, self.trainer)

    @property
    def _evaluating(self) -> Evaluating:
        return Evaluating(self._runner, self.settings.limit_window)

    @property
    def _splitting(self) -> Splitting:
        return Splitting(self._runner)

    def _session_as(self, version: str) -> Session:
        return with_version_as_store(self.session, self.history, self.history.find_snapshot(version))
