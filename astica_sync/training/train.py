"""One training, from the request to the version it makes; picked up by the next command whatever happens between.

What was asked for is written down before the request, with the data it is about and the version that was there. It
goes only when a version shows, when the service refuses, or when a person gives it up. While it stands, nobody asks
again: a training costs the service's time, and a second version of the same data helps nobody. A version that showed
is noted as untold until the command that asked for it has said so; whoever was killed just before gives it again.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from astica_sync.clock import Clock
from astica_sync.core.model import ModelInfo
from astica_sync.core.versions.version import Training, Version, has_newer, is_overdue
from astica_sync.errors import Interrupted, Outcome, OutcomeUnknown, RemoteError
from astica_sync.local.backup.records import Records
from astica_sync.local.db.journal import Event, Journal
from astica_sync.remote.service import Service

PENDING = "training"
"""The journal's key for a training that was asked for."""

UNTOLD = "trained"
"""The journal's key for a training whose version is there, and whose command has not said so yet."""

FIRST_LOOK, LONGEST_PAUSE = 0.3, 20.0


def find_model(service: Service, model_id: int) -> ModelInfo:
    """The model as the service describes it now.

    The list of models is asked first, which stays small whatever the model holds; a view where the list does not say.

    Raises:
        RemoteError: the account has no such model, or did not answer.
    """
    for model in service.models():
        if model.model_id == model_id and (model.version or model.trained_at is not None):
            return model
    return service.view(model_id)[0].model


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the model. ``version`` is the one it shows, ``finished`` the training that it came of, and
    ``pending`` one that has not shown a version yet."""

    model: ModelInfo
    version: Version | None
    finished: Training | None
    pending: Training | None


@dataclass(frozen=True, slots=True)
class Trainer:
    """What trainings of one model need: the service, and the two places where they are written down."""

    service: Service
    journal: Journal
    records: Records
    clock: Clock
    quarantine: float
    model_id: int

    def pending(self) -> Training | None:
        """The training that was asked for and has not shown a version, as far as is known here."""
        return self._read(PENDING)

    def untold(self) -> tuple[Training, Version] | None:
        """A training that showed its version without anybody having been told, and that version."""
        training = self._read(UNTOLD)
        if training is None:
            return None
        made = [
            version for version in self.records.versions()[training.known :] if version.snapshot == training.snapshot
        ]
        return (training, made[-1]) if made else None

    def told(self, snapshot: str) -> None:
        """Somebody was told of the version of this data."""
        with self.journal.commit():
            training = self._read(UNTOLD)
            if training is not None and training.snapshot == snapshot:
                self.journal.set_meta(UNTOLD, None)

    def look(self) -> Look:
        """Looks at the model once, and notes a version that was not known.

        Raises:
            RemoteError: the service did not answer.
            StoreError: the note cannot be written.
        """
        while True:
            pending = self.pending()
            model = find_model(self.service, self.model_id)
            # Another command may have seen this training through meanwhile, and begun one that this answer is too old
            # to tell of.
            if _same(self.pending(), pending):
                return self.note(model, pending)

    def note(self, model: ModelInfo, pending: Training | None) -> Look:
        """Notes the version that the model shows, where it was not known; ``pending`` is the training that it came of
        if one did.

        Raises:
            StoreError: the note cannot be written.
        """
        finished = pending if pending and has_newer(pending, model, self.records.versions()) else None
        version = self.records.add_version(model, finished.snapshot if finished else None, self.clock.now())
        if finished is not None:
            self._finish(finished)
            return Look(model, version, finished, None)
        return Look(model, version, None, pending)

    def begin(self, model: ModelInfo, snapshot: str, samples: int, tell: Callable[[str], None]) -> Training:
        """Asks for a training, once. ``model`` is what it looked like just before; for the holder of the writer lock.

        A lost answer is no second request: what the model shows then settles it.

        Raises:
            RemoteError: refused, or nothing was sent.
            StoreError: what it looked like cannot be noted; nothing was sent.
        """
        # What has shown since the last look came of no request of this store.
        self.records.add_version(model, None, self.clock.now())
        known = len(self.records.versions())
        training = Training(snapshot, samples, self.clock.now(), False, model.version or "", model.trained_at, known)
        with self.journal.commit():
            self.journal.set_meta(UNTOLD, None)
            self.journal.set_meta(PENDING, asdict(training))
        try:
            self.service.train(self.model_id)
        except OutcomeUnknown as error:
            self._record(snapshot, Outcome.UNKNOWN, str(error))
            tell(f"{error}; waiting whether a version appears")
            return training
        except (RemoteError, Interrupted) as error:
            # A refusal, or a stop while it waited for the budget: nothing was begun.
            self.give_up(training)
            self._record(snapshot, error.outcome if isinstance(error, RemoteError) else Outcome.NOT_DONE, str(error))
            raise
        answered = replace(training, answered=True)
        with self.journal.commit():
            if _same(self.pending(), training):
                self.journal.set_meta(PENDING, asdict(answered))
            self._record(snapshot, None, "")
        return answered

    def wait(self, training: Training, tell: Callable[[float], None]) -> Look:
        """Looks until the training shows its version; ``tell`` hears the seconds since it was asked for.

        Raises:
            RemoteError: none appeared in the time that the documentation gives, and the quarantine after it.
            Interrupted: a person said stop; the training goes on.
        """
        pause = FIRST_LOOK
        while True:
            self.clock.sleep(pause)
            try:
                found = self.look()
            except OutcomeUnknown:
                found = None
            if found is not None and (found.finished is not None or found.pending is None):
                return found
            tell(self.clock.now() - training.asked_at)
            if self.is_overdue(training):
                raise RemoteError(
                    "the training has not shown a version in the time it may take",
                    "It may go on at the service: astica-sync versions looks again. If the request was lost, "
                    "astica-sync train --again asks once more.",
                )
            pause = min(pause * 1.6, LONGEST_PAUSE)

    def is_overdue(self, training: Training) -> bool:
        return is_overdue(training, self.clock.now(), self.quarantine)

    def give_up(self, training: Training) -> None:
        """Forgets this training; one that another command has asked for since stays."""
        with self.journal.commit():
            if _same(self.pending(), training):
                self.journal.set_meta(PENDING, None)

    def _finish(self, training: Training) -> None:
        with self.journal.commit():
            if _same(self.pending(), training):
                self.journal.set_meta(PENDING, None)
                self.journal.set_meta(UNTOLD, asdict(training))

    def _read(self, key: str) -> Training | None:
        found = self.journal.get_meta(key)
        return None if found is None else Training(**found)

    def _record(self, snapshot: str, outcome: Outcome | None, reason: str) -> None:
        now, run = self.clock.now(), self.journal.run
        self.journal.record([Event(now, run, "train", "", snapshot, "", None, str(outcome or "done"), reason)])


def _same(one: Training | None, other: Training | None) -> bool:
    """Whether both are one request; ``answered`` may have become true since."""
    return (one and one.asked_at) == (other and other.asked_at)
