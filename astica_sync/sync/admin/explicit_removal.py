"""Removes what no push removes: a sample or a class that was made elsewhere, or a whole model.

The service gives nothing back. So the caller counts first what would be lost for good, and just before the request a
view must show exactly the samples that the user agreed to.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from astica_sync.clock import Clock
from astica_sync.core.model import Observation, RemoteSample, content_of, is_uid
from astica_sync.core.observation.cut_uids import UidRepair
from astica_sync.core.observation.shown_size import fits
from astica_sync.core.owned_classes import ALL_CLASSES, OwnedClasses
from astica_sync.core.rate_limit import Lane
from astica_sync.core.versions.match_unmanaged import find_unproven, rename_adopted
from astica_sync.errors import GuardRefused, NoSuchModel, OutcomeUnknown, RemoteError
from astica_sync.local.backup.service_records import Records
from astica_sync.local.db.journal import Event
from astica_sync.sync.observe import request_view
from astica_sync.sync.plan.find_status import find_size_of, sees_sizes
from astica_sync.sync.progress import ProgressListener
from astica_sync.sync.session import LocalSide, RemoteSide

PAUSE = 2.0
"""Seconds between two views after a lost answer."""
NOT_SHOWN = "the answer was lost, and the service does not show yet what it did"


@dataclass(slots=True)
class UnmanagedRemoval:
    """One model of the account.

    ``local`` is the store that mirrors the model, where there is one on this machine; the caller holds its writer lock.
    ``quarantine`` is in seconds. ``owned`` are the classes that the store manages.
    """

    remote: RemoteSide
    clock: Clock
    quarantine: float
    local: LocalSide | None = None
    listener: ProgressListener = field(default_factory=ProgressListener)
    owned: OwnedClasses = ALL_CLASSES
    _observed: Observation | None = field(default=None, init=False)

    def view(self) -> Observation:
        """What the model has now, under the uids that the store knows.

        Raises:
            NoSuchModel: the account has none of this id.
            RemoteError: there is no observation.
        """
        service, model_id, local = self.remote.service, self.remote.model_id, self.local
        if local is None:
            return service.view(model_id, Lane.INTERACTIVE)[0]
        journal = local.journal
        view, _, _ = request_view(
            local,
            self.remote,
            self.listener,
            lambda: UidRepair(
                journal.classes, marked=lambda uid, _: journal.mark(uid) is not None, recipes=local.known_recipes
            ),
        )
        adopted = Records(local.backup.root, local.fs, model_id).adopted()
        self._observed = rename_adopted(view, adopted)
        return self._observed

    def find_lost(self, samples: Iterable[RemoteSample]) -> list[RemoteSample]:
        """The samples that cannot be restored from the backup; checks each object."""
        unproven = self._find_unproven()
        return [
            sample
            for sample in samples
            if (sample.sample_id, sample.uid) in unproven or not self._can_be_restored(sample)
        ]

    def find_managed(self, samples: Iterable[RemoteSample]) -> list[RemoteSample]:
        """The samples that a push removes with their files: those with a mark, but for likely pairs."""
        if self.local is None:
            return []
        journal, unproven = self.local.journal, self._find_unproven()
        return [
            sample
            for sample in samples
            if (sample.sample_id, sample.uid) not in unproven
            and journal.mark(sample.uid) is not None
            and self._may_be_ours(sample)
        ]

    def remove_sample(self, sample: RemoteSample) -> None:
        """Removes one sample.

        Raises:
            GuardRefused: the model does not show this sample any more.
            RemoteError: refused, or the outcome is unknown.
        """
        self._expect({sample}, {one for one in self.view() if one.sample_id == sample.sample_id})

        def send() -> None:
            permit = self.remote.service.wait_for_permit(Lane.INTERACTIVE)
            self.remote.service.remove_sample(permit, sample.sample_id)

        def is_done() -> bool:
            return all(one.sample_id != sample.sample_id for one in self.view())

        self._send("remove", [sample], send, is_done)

    def remove_class(self, class_id: int, title: str, samples: Iterable[RemoteSample]) -> None:
        """Removes a class with exactly these samples.

        Raises:
            GuardRefused: it has others by now.
            RemoteError: refused, or the outcome is unknown.
        """
        agreed = set(samples)
        self._expect(agreed, {one for one in self.view() if one.class_id == class_id})

        def send() -> None:
            permit = self.remote.service.wait_for_permit(Lane.INTERACTIVE)
            self.remote.service.remove_class(permit, class_id)

        def is_done() -> bool:
            return all(entry.class_id != class_id for entry in self.view().classes)

        self._send("remove-class", agreed, send, is_done, title)

    def remove_model(self, samples: Iterable[RemoteSample]) -> None:
        """Removes the model with exactly these samples.

        Raises:
            GuardRefused: it has others by now.
            RemoteError: refused, or the outcome is unknown.
        """
        agreed = set(samples)
        self._expect(agreed, set(self.view()))

        def is_done() -> bool:
            return all(model.model_id != self.remote.model_id for model in self.remote.service.models())

        self._send("remove-model", agreed, lambda: self.remote.service.remove_model(self.remote.model_id), is_done)

    def _find_unproven(self) -> set[tuple[int, str]]:
        if self.local is None:
            return set()
        return find_unproven(Records(self.local.backup.root, self.local.fs, self.remote.model_id).adopted())

    def _can_be_restored(self, sample: RemoteSample) -> bool:
        if self.local is None or not is_uid(sample.uid):
            return False
        return self.local.backup.check(content_of(sample.uid)) is None and self._may_be_ours(sample)

    def _may_be_ours(self, sample: RemoteSample) -> bool:
        """Whether its size is that of the image in the backup, as far as the service shows that."""
        assert self.local is not None and self._observed is not None
        size_of = find_size_of(self.local, self.remote.model_id)
        size = size_of(sample.uid, sample.class_title) if is_uid(sample.uid) else None
        if size is None or fits(size, sample.size, self._observed.size_decimals):
            return True
        return sees_sizes(self.local, self._observed) is False

    def _expect(self, agreed: set[RemoteSample], shown: set[RemoteSample]) -> None:
        if agreed != shown:
            raise GuardRefused(
                "the service shows other samples than those you agreed to; nothing was removed",
                "Give the same command again to see what it shows now.",
            )

    def _send(
        self,
        action: str,
        samples: Iterable[RemoteSample],
        send: Callable[[], None],
        is_done: Callable[[], bool],
        title: str = "",
    ) -> None:
        """Sends the request once. Where the answer is lost, views show whether it was done."""
        try:
            send()
        except OutcomeUnknown:
            if not self._wait_until(is_done):
                self._record(action, samples, title, "unknown")
                raise
        self._record(action, samples, title, "done")

    def _wait_until(self, is_done: Callable[[], bool]) -> bool:
        """Whether the service shows within a quarantine that the request was done."""
        until = self.clock.now() + self.quarantine
        while True:
            asked_at = self.clock.now()
            try:
                if is_done():
                    return True
            except NoSuchModel:
                return True
            except RemoteError:
                pass
            if asked_at >= until:
                return False
            self.remote.service.pause(min(PAUSE, max(0.0, until - self.clock.now())), NOT_SHOWN)

    def _record(self, action: str, samples: Iterable[RemoteSample], title: str, outcome: str) -> None:
        if self.local is None:
            return
        journal, now = self.local.journal, self.clock.now()
        events = [
            Event(now, journal.run, action, one.class_title, one.uid, "", one.sample_id, outcome, "by hand")
            for one in samples
        ]
        journal.record(events or [Event(now, journal.run, action, title, "", "", None, outcome, "by hand")])
