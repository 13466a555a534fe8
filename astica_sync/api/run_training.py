"""Trains the model on what the service has: freezes a snapshot, requests the training, waits for the version."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from astica_sync.api.push_as_version import followed_version, with_version_as_store
from astica_sync.api.version_provenance import look_after_request
from astica_sync.core.model import Observation
from astica_sync.core.plan.plan import Plan
from astica_sync.core.versions.match_unmanaged import find_likely
from astica_sync.core.versions.pending_training import Training
from astica_sync.core.versions.snapshot import freeze
from astica_sync.core.versions.training_objections import find_objections
from astica_sync.core.versions.version import Version
from astica_sync.errors import AsticaSyncError, Refused
from astica_sync.local.class_folders.class_title import is_untitled
from astica_sync.local.store_sentinel import check_root
from astica_sync.sync.apply.apply_plan import apply_plan
from astica_sync.sync.plan.find_status import find_status, samples_to_hold
from astica_sync.sync.session import Session
from astica_sync.training.train import Trainer
from astica_sync.training.version_history import VersionHistory


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The result of a training. ``version`` is None while the training is still running at the service. ``picked_up``
    is True if an earlier call requested it for the same data."""

    version: Version | None
    snapshot: str
    picked_up: bool = False


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How to train; see ``Store.train``."""

    anyway: bool
    again: Callable[[Training], bool]
    wait: bool
    on_message: Callable[[str], None]
    on_wait: Callable[[Training, float], None]
    early: bool = False


def run_training(
    session: Session, history: VersionHistory, trainer: Trainer, options: TrainingOptions
) -> TrainingResult:
    """Waits for a training that was requested before; requests one if that was not for the current data.

    Raises:
        As ``Store.train``.
    """
    while True:
        with session.local.lock(session.local.layout):
            check_root(session.local.layout, session.local.fs)
            training = trainer.poll().pending
            overdue = training is not None and trainer.is_overdue(training)
            repeat = (
                training is not None and (overdue or (options.early and training.answered)) and options.again(training)
            )
            if overdue and not repeat:
                raise AsticaSyncError(
                    "a training was requested, and no version has appeared in the time that a training may take",
                    "If the service is no longer training, repeat the request: astica-sync train --again",
                )
            own = training is None or repeat
            if training is None or repeat:
                snapshot, observation = _freeze(session, history, anyway=options.anyway)
                # This observation may show the version that was considered lost.
                if training is not None and trainer.record_version(observation.model, training).finished is None:
                    trainer.give_up(training)
                unreported = trainer.unreported()
                if unreported is not None and unreported[0].snapshot == snapshot:
                    return TrainingResult(unreported[1], snapshot, picked_up=True)
                training = _request(trainer, observation, snapshot, training, options)
                if training.answered:
                    look_after_request(session, history, training, observation)
            else:
                options.on_message("A training that was requested before is still running")
        if not options.wait:
            return TrainingResult(None, training.snapshot, picked_up=not own)
        state = trainer.wait(
            training,
            partial(options.on_wait, training),
            lambda error: options.on_message(f"{error}; the service is asked again, and the training goes on there"),
        )
        if own:
            return TrainingResult(state.version, training.snapshot)


def _request(
    trainer: Trainer, observation: Observation, snapshot: str, earlier: Training | None, options: TrainingOptions
) -> Training:
    """Requests the training. A refusal leaves what is known of an ``earlier`` request as it was: the service may refuse
    because it is still at that one."""
    try:
        return trainer.begin(observation.model, snapshot, len(observation.samples), options.on_message)
    except Refused as error:
        if earlier is not None:
            trainer.restore(earlier)
            error.hint = (
                "The training that was requested before may still be running; nothing was requested now. "
                "To wait for its version: astica-sync train"
            )
        else:
            error.hint = (
                "No training was started by this command. If one is running, its version appears in: "
                "astica-sync versions. To try again later: astica-sync train"
            )
        raise


_PUSH_IS_REFUSED = (
    "The guard refuses a push; why: astica-sync status. If it is intended: astica-sync push --yes. To train on what "
    "the service has: astica-sync train --anyway"
)


def _freeze(session: Session, history: VersionHistory, *, anyway: bool) -> tuple[str, Observation]:
    """Writes the manifest of what the service holds now; returns its id and the observation it was made from. The
    caller holds the writer lock."""
    followed = followed_version(session)
    if followed is not None:
        session = with_version_as_store(session, history, followed)
    status = find_status(session)
    # What is wrong with the store does not matter for the data of a version.
    problems = [] if session.target else status.problems
    unread = [problem for problem in problems if problem.path in status.scan.hiding]
    untitled = list(filter(is_untitled, problems))
    for objection in find_objections(status.plan, status.observation, unread, untitled):
        if not (anyway and objection.overridable):
            refused = status.refusals and objection.overridable
            raise AsticaSyncError(objection.reason, _PUSH_IS_REFUSED if refused else objection.hint)
    if status.plan.adopts:
        # A sample without a mark may be missing in the backup as well.
        apply_plan(session, Plan(adopts=status.plan.adopts), removals=False)
    snapshot = history.snapshots.write(
        lambda: freeze(
            samples_to_hold(session.local, session.remote.model_id, session.target),
            session.local.journal.marks(),
            status.observation,
            {sample.sample_id for sample in status.plan.unmanaged},
            find_likely(history.records.adopted()),
        )
    )
    return snapshot, status.observation
