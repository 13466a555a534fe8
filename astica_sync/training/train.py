"""One training, from the request to the version it produces. After a crash, the next command resumes it.

Before the request is sent, the journal records the training with its data and the version the model has at that time.
The record is removed when a new version appears, when the service refuses the request, or when the user gives up.
While it exists, no command sends another request: a training takes the service's time, and a second version of the
same data is of no use. A finished training is recorded as unreported until the command that requested it has printed
the version; if that command is killed before, the next one reports the version.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from astica_sync.clock import Clock
from astica_sync.core.model import ModelInfo
from astica_sync.core.versions.data_doubts import doubt_about_name
from astica_sync.core.versions.pending_training import (
    MOST_SKIPPED,
    PENDING,
    Training,
    has_newer,
    is_overdue,
    never_shown,
)
from astica_sync.core.versions.version import Version, is_recorded
from astica_sync.errors import Interrupted, NotAnObservation, Outcome, OutcomeUnknown, RemoteError
from astica_sync.local.backup.service_records import Records
from astica_sync.local.db.journal import Event, Journal
from astica_sync.remote.rate_limited_client import RateLimitedClient

UNREPORTED = "trained"
"""The journal's key for a training whose version has appeared and has not been reported to the user."""

FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.3, 20.0


def find_model(service: RateLimitedClient, model_id: int, view: Callable[[], ModelInfo] | None = None) -> ModelInfo:
    """The model as the service describes it now.

    Asks for the list of models, which is small whatever the model holds, and for a view only if the list shows no
    version. ``view``, if given, requests that view.

    Raises:
        RemoteError: the account has no such model, or the service did not answer.
    """
    for model in service.models():
        if model.model_id == model_id and (model.version or model.trained_at is not None):
            return model
    return service.view(model_id)[0].model if view is None else view()


@dataclass(frozen=True, slots=True)
class TrainingState:
    """The result of one poll. ``version`` is the version the model shows, ``finished`` the training that produced it,
    and ``pending`` a training whose version has not appeared yet."""

    model: ModelInfo
    version: Version | None
    finished: Training | None
    pending: Training | None


@dataclass(frozen=True, slots=True)
class Trainer:
    """Requests trainings of one model and records their versions.

    ``check_data`` returns why the version that the model shows may have other data than the training that it seems to
    be the result of; "" where nothing speaks against it. ``can_run`` tells whether the service runs the version of a
    name. ``view`` is that of ``find_model``.
    """

    service: RateLimitedClient
    journal: Journal
    records: Records
    clock: Clock
    quarantine: float
    model_id: int
    check_data: Callable[[Training, ModelInfo], str] = lambda *_: ""
    can_run: Callable[[Training, str], bool] = lambda *_: False
    view: Callable[[], ModelInfo] | None = None

    def pending(self) -> Training | None:
        """The training that was requested and whose version has not appeared, according to the journal."""
        return read_training(self.journal, PENDING)

    def unreported(self) -> tuple[Training, Version] | None:
        """A finished training that has not been reported to the user, and its version."""
        training = read_training(self.journal, UNREPORTED)
        if training is None:
            return None
        made = [
            version for version in self.records.versions()[training.known :] if version.snapshot == training.snapshot
        ]
        return (training, made[-1]) if made else None

    def mark_reported(self, snapshot: str) -> None:
        """Records that the version of this data has been reported."""
        with self.journal.commit():
            training = read_training(self.journal, UNREPORTED)
            if training is not None and training.snapshot == snapshot:
                self.journal.set_meta(UNREPORTED, None)

    def poll(self) -> TrainingState:
        """Asks the service for the model once, and records a version that was not known.

        Raises:
            RemoteError: the service did not answer.
            StoreError: the version cannot be recorded.
        """
        while True:
            pending = self.pending()
            model = find_model(self.service, self.model_id, self.view)
            # Another command may have finished this training meanwhile and requested one that this answer is too old to
            # show.
            if _same(self.pending(), pending):
                return self.record_version(model, pending)

    def record_version(self, model: ModelInfo, pending: Training | None) -> TrainingState:
        """Records the version that the model shows, if it was not known; ``pending`` is the training that may have
        produced it.

        Raises:
            StoreError: the version cannot be recorded.
        """
        versions = self.records.versions()
        finished = pending if pending and has_newer(pending, model, versions) else None
        snapshot, because = finished.snapshot if finished else None, ""
        if finished is not None and not is_recorded(model, versions):
            because = doubt_about_name(finished.name, model.version or "") or self.check_data(finished, model)
            if because:
                self._find_own_version(finished, model)
                snapshot = None
        version = self.records.add_version(model, snapshot, self.clock.now(), unknown_because=because)
        if finished is not None:
            self._finish(finished)
            return TrainingState(model, version, finished, None)
        return TrainingState(model, version, None, pending)

    def _find_own_version(self, training: Training, model: ModelInfo) -> None:
        """Records the version of the training where the model never showed it: one that another user trained took its
        place before the first look."""
        if not training.answered:
            return
        skipped = never_shown(training, model, self.records.versions())
        # Each name is tried by a request.
        names = [name for name in skipped if self.can_run(training, name)] if len(skipped) <= MOST_SKIPPED else []
        if len(names) == 1:
            own = replace(model, version=names[0], trained_at=None)
            self.records.add_version(own, training.snapshot, self.clock.now())

    def begin(self, model: ModelInfo, snapshot: str, samples: int, notify: Callable[[str], None]) -> Training:
        """Requests a training once; the caller holds the writer lock.

        ``model`` is the model as it was just before. If the answer is lost, the request is not repeated: the model
        later shows whether it arrived.

        Raises:
            RemoteError: the request was refused, or nothing was sent.
            StoreError: the training cannot be recorded; nothing was sent.
        """
        # A version that appeared since the last poll was not requested by this store.
        self.records.add_version(model, None, self.clock.now())
        known = len(self.records.versions())
        training = Training(snapshot, samples, self.clock.now(), False, model.version or "", model.trained_at, known)
        with self.journal.commit():
            self.journal.set_meta(UNREPORTED, None)
            self.journal.set_meta(PENDING, asdict(training))
        try:
            self.service.train(self.model_id)
        except OutcomeUnknown as error:
            self._record(snapshot, Outcome.UNKNOWN, str(error))
            notify(f"{error}; waiting to see whether a version appears")
            return training
        except (RemoteError, Interrupted) as error:
            # Refused, or interrupted while it waited for the budget: no training was started.
            self.give_up(training)
            self._record(snapshot, error.outcome if isinstance(error, RemoteError) else Outcome.NOT_DONE, str(error))
            raise
        answered = replace(training, answered=True)
        with self.journal.commit():
            if _same(self.pending(), training):
                self.journal.set_meta(PENDING, asdict(answered))
            self._record(snapshot, None, "")
        return answered

    def wait(
        self, training: Training, on_progress: Callable[[float], None], on_failure: Callable[[str], None]
    ) -> TrainingState:
        """Polls until the version of the training appears; ``on_progress`` gets the seconds since it was requested,
        ``on_failure`` the error of the first of each row of polls that were not answered.

        Raises:
            RemoteError: no version appeared within the documented time plus the quarantine.
            Interrupted: the user stopped the waiting; the training continues on the service.
        """
        pause = FIRST_POLL_SECONDS
        failing = False
        while True:
            self.clock.sleep(pause)
            try:
                state = self.poll()
            except (OutcomeUnknown, NotAnObservation) as error:
                state = None
                if not failing:
                    on_failure(str(error))
            failing = state is None
            if state is not None and (state.finished is not None or state.pending is None):
                return state
            on_progress(self.clock.now() - training.asked_at)
            if self.is_overdue(training):
                raise RemoteError(
                    "no version has appeared in the time that a training may take",
                    "The training may still be running; look for its version with: astica-sync versions. "
                    "If the request was lost, repeat it: astica-sync train --again",
                )
            pause = min(pause * 1.6, LONGEST_POLL_SECONDS)

    def is_overdue(self, training: Training) -> bool:
        """Whether the version should have appeared by now, so that the request may be considered lost."""
        return is_overdue(training, self.clock.now(), self.quarantine)

    def give_up(self, training: Training) -> None:
        """Removes the record of this training, unless another command has requested a new one since."""
        with self.journal.commit():
            if _same(self.pending(), training):
                self.journal.set_meta(PENDING, None)

    def restore(self, training: Training) -> None:
        """Records again a training that was given up for a request which was then refused."""
        with self.journal.commit():
            if self.pending() is None:
                self.journal.set_meta(PENDING, asdict(training))

    def _finish(self, training: Training) -> None:
        with self.journal.commit():
            if _same(self.pending(), training):
                self.journal.set_meta(PENDING, None)
                self.journal.set_meta(UNREPORTED, asdict(training))

    def _record(self, snapshot: str, outcome: Outcome | None, reason: str) -> None:
        now, run = self.clock.now(), self.journal.run
        self.journal.record([Event(now, run, "train", "", snapshot, "", None, str(outcome or "done"), reason)])


def read_training(journal: Journal, key: str) -> Training | None:
    """The training under a key of the journal: ``PENDING`` or ``UNREPORTED``."""
    fields = journal.get_meta(key)
    return None if fields is None else Training(**fields)


def _same(one: Training | None, other: Training | None) -> bool:
    """Whether both are the same request; ``answered`` may differ."""
    return (one and one.asked_at) == (other and other.asked_at)
