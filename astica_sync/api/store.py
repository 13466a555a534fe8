"""A store, for programs and notebooks: what the commands do, as methods."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from astica_sync.api.base import quiet
from astica_sync.api.scoring import Scoring
from astica_sync.core.model import LocalSample, Observation
from astica_sync.core.plan.plan import Plan
from astica_sync.core.versions.matching import Adopted, Matching, Pair, find_doubles, find_pairs
from astica_sync.core.versions.snapshot import Diff, SnapshotSample, diff, freeze
from astica_sync.core.versions.version import Training, Version, find_objections
from astica_sync.errors import AsticaSyncError
from astica_sync.local.identity import check_root
from astica_sync.remote.responses import parse_sizes
from astica_sync.sync.apply.apply_plan import apply_plan
from astica_sync.sync.plan.status import FOLLOWS, StoreStatus, find_status, samples_to_hold
from astica_sync.sync.push.push import PushResult
from astica_sync.sync.push.push import push as push_store
from astica_sync.sync.push.round import Consent, Naming
from astica_sync.sync.session import Session, VersionTarget
from astica_sync.training.versions import Named, Told

if TYPE_CHECKING:
    from astica_sync.local.backup.restore import Restored


def _no(*_: object) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Trained:
    """What became of a training. ``version`` is None while it goes on at the service; ``picked_up`` says that it was
    asked for by an earlier command, for the data that is there now."""

    version: Version | None
    snapshot: str
    picked_up: bool = False


class Store(Scoring):
    """One store, open for work in the thread that opened it; a ``with`` block or ``close`` ends it."""

    @property
    def follows(self) -> Named | None:
        """The version whose data the service was made equal to by ``push``; None while it follows the store."""
        found = self.session.local.journal.get_meta(FOLLOWS)
        return None if found is None else Named(*found)

    def status(self, *, offline: bool = False) -> StoreStatus:
        """What differs between store and service, and what a push would do; sends one request, ``offline`` none.

        Raises:
            StoreError: the store cannot be scanned.
            RemoteError: there is no observation.
        """
        return find_status(self.session, offline=offline)

    def plan_as(self, version: str) -> StoreStatus:
        """What a push as this version would do, as ``status``.

        Raises:
            AsticaSyncError: no such version, or its data is not known.
        """
        return find_status(self._as(self.history.find_data(version)))

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
        """Makes the service equal to the store, or to the data of ``as_version`` from the backup.

        Args:
            as_version: a version whose data is known; the store's folder is not touched.
            yes: remove whatever the plan removes.
            max_remove: remove so many samples at most.
            new_classes: titles that are meant although they nearly are others.
            retry: try the samples again that failed for good.
            consent: asked when the guard refuses removals.
            naming: asked when new classes nearly are others.

        Raises:
            StoreBusy: another process writes this store.
            StoreError: the store is not what it was, or cannot be scanned.
            RemoteError: there is no first observation.
            AsticaSyncError: no such version, or its data is not known.
        """
        session = self.session if as_version is None else self._as(self.history.find_data(as_version))
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
        tell: Callable[[str], None] = quiet,
        waited: Callable[[Training, float], None] = quiet,
        deliver: Callable[[Trained], None] = quiet,
    ) -> Trained:
        """Freezes a snapshot of what the service has, trains, and waits for the version.

        A training that was asked for before, and whose version nobody saw yet, is waited for first; where it was for
        the same data, it is the one.

        Args:
            anyway: train although store and service differ.
            again: asked when the version of an earlier request is overdue; True asks the service once more.
            wait: False returns as soon as the service confirmed the request.
            tell: hears what a person should know.
            waited: hears the training, and the seconds since it was asked for, while it goes on.
            deliver: hears the result. Until it has returned, the next call for the same data gives this version again
                instead of asking for another.

        Raises:
            AsticaSyncError: something speaks against it, see ``find_objections``.
            StoreBusy: another process writes this store.
            RemoteError: refused, or no version appeared in time.
            Interrupted: a person said stop; the training goes on, and the next call picks it up.
        """
        trained = self._train(anyway, again, wait, tell, waited)
        deliver(trained)
        if trained.version is not None:
            self.trainer.told(trained.snapshot)
        return trained

    def _train(
        self,
        anyway: bool,
        again: Callable[[Training], bool],
        wait: bool,
        tell: Callable[[str], None],
        waited: Callable[[Training, float], None],
    ) -> Trained:
        trainer = self.trainer
        while True:
            with self.session.local.lock(self.layout):
                check_root(self.layout, self.session.local.fs)
                look = trainer.look()
                training = look.pending
                overdue = training is not None and trainer.is_overdue(training)
                if training is not None and overdue and not again(training):
                    raise AsticaSyncError(
                        "a training was asked for, and no version has appeared in the time that one takes",
                        "If the service is not at it any more: astica-sync train --again asks once more.",
                    )
                own = training is None or overdue
                if training is None or overdue:
                    snapshot, seen = self._freeze(anyway=anyway)
                    # What was observed just now may show the version that nobody expected any more.
                    if training is not None and trainer.note(seen.model, training).finished is None:
                        trainer.give_up(training)
                    untold = trainer.untold()
                    if untold is not None and untold[0].snapshot == snapshot:
                        return Trained(untold[1], snapshot, picked_up=True)
                    training = trainer.begin(seen.model, snapshot, len(seen.samples), tell)
                else:
                    tell("A training that was asked for before is still under way")
            if not wait:
                return Trained(None, training.snapshot, picked_up=not own)
            look = trainer.wait(training, partial(waited, training))
            if own:
                return Trained(look.version, training.snapshot)

    def _freeze(self, *, anyway: bool) -> tuple[str, Observation]:
        """Writes down what the service holds by this observation; for the holder of the writer lock."""
        session = self._as(self.follows) if self.follows else self.session
        seen = find_status(session)
        objections = find_objections(seen.plan, seen.observation)
        for objection in objections:
            if not (anyway and objection.harmless):
                raise AsticaSyncError(objection.reason, objection.hint)
        if seen.plan.adopts:
            # What is on the service and not marked yet may not be in the backup either.
            apply_plan(session, Plan(adopts=seen.plan.adopts), removals=False)
        snapshot = self.history.snapshots.write(
            lambda: freeze(
                samples_to_hold(session.local, self.model_id, session.target),
                session.local.journal.marks(),
                seen.observation,
            )
        )
        return snapshot, seen.observation

    def versions(self, *, offline: bool = False) -> list[Told]:
        """Every version ever seen, the first one first, with its data, what changed in it, and its scores.

        Looks at the service once, so that a new version is known and a training that finished is picked up; not when
        ``offline``.

        Raises:
            RemoteError: the service did not answer.
            StoreError: a snapshot cannot be read.
        """
        if not offline:
            self.trainer.look()
        return self.history.told()

    def snapshot(self, version: str) -> list[SnapshotSample]:
        """The samples of a version, or of a snapshot named by the first digits of its id.

        Raises:
            AsticaSyncError: no such version, or its data is not known.
        """
        return list(self.history.snapshots.read(self.history.find_data(version).snapshot))

    def diff(self, before: str, after: str) -> Diff:
        """What came, went and moved between two versions.

        Raises:
            AsticaSyncError: as ``snapshot``.
        """
        return diff(self.snapshot(before), self.snapshot(after))

    def restore(self, version: str, to: str | Path) -> "Restored":
        """Writes the class folders of a version, byte for byte.

        Raises:
            AsticaSyncError: as ``snapshot``, or the folder cannot be written.
        """
        return self.history.restore(self.history.find_data(version).snapshot, Path(to))

    def find_adoptable(self) -> Matching:
        """Which samples that were made elsewhere are which files of the store; sends one request, changes nothing.

        Raises:
            StoreError: the store cannot be scanned.
            RemoteError: there is no observation.
        """
        seen = self.status()
        missing = {upload.uid for upload in (*seen.plan.uploads, *seen.plan.questioned, *seen.plan.failed_before)}
        local: list[LocalSample] = []
        sent: list[LocalSample] = []
        for sample in self.session.local.index.local_samples(self.model_id):
            (local if sample.uid in missing else sent).append(sample)
        sizes = parse_sizes(self.layout.last_view.read_bytes().partition(b"\n")[2])
        return find_doubles(find_pairs(seen.plan.unmanaged, local, sizes), sent, sizes)

    def adopt(self, pairs: Iterable[Pair]) -> int:
        """Takes over samples that were made elsewhere: from now on they are managed as the files they were paired
        with, so they are not uploaded again, and go when the file goes. Returns how many.

        Raises:
            StoreBusy: another process writes this store.
            StoreError: the bytes cannot be brought into the backup.
            RemoteError: there is no observation.
        """
        adopted = [
            Adopted(pair.remote.sample_id, pair.remote.uid, pair.remote.class_title, pair.local.uid) for pair in pairs
        ]
        if not adopted:
            return 0
        session = self.session
        with session.local.lock(self.layout):
            check_root(self.layout, session.local.fs)
            self.history.records.add_adopted(adopted)
            # Under their new uids the decision table itself takes them over: in the store, and there once.
            seen = find_status(session)
            uids = {entry.uid for entry in adopted}
            plan = Plan(adopts=tuple(adopt for adopt in seen.plan.adopts if adopt.uid in uids))
            applied = apply_plan(session, plan, removals=False)
        return len(plan.adopts) - len(applied.failed)

    def _as(self, named: Named) -> Session:
        samples = self.history.snapshots.local_samples(named.snapshot, self.model_id)
        return replace(self.session, target=VersionTarget(named.name, named.snapshot, samples))
