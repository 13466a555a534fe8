"""Removing by hand what no push removes: a sample or a class that was made elsewhere, or a whole model.

The service gives nothing back. So what would be lost for good is counted first, and just before the request a fresh
view must show exactly what a person agreed to.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from astica_sync.clock import Clock
from astica_sync.core.model import Observation, RemoteSample, content_of, is_uid
from astica_sync.core.rate_limit import Lane
from astica_sync.core.versions.matching import rename_adopted
from astica_sync.core.view.uid_repair import UidRepair
from astica_sync.errors import GuardRefused, NoSuchModel, OutcomeUnknown, RemoteError
from astica_sync.local.backup.backup import Backup
from astica_sync.local.backup.records import Records
from astica_sync.local.db.journal import Event, Journal
from astica_sync.remote.rate_limiter import Permit
from astica_sync.remote.service import Service

LOOK_AGAIN = 2.0


@dataclass(frozen=True, slots=True)
class UnmanagedRemoval:
    """One model of the account, with the store that mirrors it where there is one; its writer lock is held."""

    service: Service
    clock: Clock
    quarantine: float
    model_id: int
    backup: Backup | None = None
    journal: Journal | None = None
    records: Records | None = None

    def view(self) -> Observation:
        """What the model holds now, under the uids that the store knows.

        Raises:
            NoSuchModel: the account has none of this id.
            RemoteError: there is no observation.
        """
        observation = self.service.view(self.model_id, Lane.INTERACTIVE, self._spelling())[0]
        return observation if self.records is None else rename_adopted(observation, self.records.adopted())

    def find_lost(self, samples: Iterable[RemoteSample]) -> list[RemoteSample]:
        """Those whose bytes the backup cannot give back, by a fresh look at each."""
        return [
            sample
            for sample in samples
            if self.backup is None or not is_uid(sample.uid) or self.backup.check(content_of(sample.uid)) is not None
        ]

    def _spelling(self) -> UidRepair | None:
        journal = self.journal
        if journal is None:
            return None
        return UidRepair(journal.classes, marked=lambda uid, _: journal.mark(uid) is not None)

    def is_managed(self, sample: RemoteSample) -> bool:
        """Whether the store would miss it."""
        return self.journal is not None and self.journal.mark(sample.uid) is not None

    def remove_sample(self, sample: RemoteSample) -> None:
        """Removes one sample.

        Raises:
            GuardRefused: the model does not show this sample any more.
            RemoteError: refused, or nobody knows whether it was done.
        """
        self._expect({sample}, {one for one in self.view() if one.sample_id == sample.sample_id})

        def gone() -> bool:
            return all(one.sample_id != sample.sample_id for one in self.view())

        self._send("remove", [sample], lambda: self.service.remove_sample(self._permit(), sample.sample_id), gone)

    def remove_class(self, class_id: int, title: str, samples: Iterable[RemoteSample]) -> None:
        """Removes a class with exactly these samples.

        Raises:
            GuardRefused: it holds others by now.
            RemoteError: refused, or nobody knows whether it was done.
        """
        agreed = set(samples)
        self._expect(agreed, {one for one in self.view() if one.class_id == class_id})

        def gone() -> bool:
            return all(entry.class_id != class_id for entry in self.view().classes)

        self._send("remove-class", agreed, lambda: self.service.remove_class(self._permit(), class_id), gone, title)

    def remove_model(self, samples: Iterable[RemoteSample]) -> None:
        """Removes the model with exactly these samples.

        Raises:
            GuardRefused: it holds others by now.
            RemoteError: refused, or nobody knows whether it was done.
        """
        agreed = set(samples)
        self._expect(agreed, set(self.view()))

        def gone() -> bool:
            return all(model.model_id != self.model_id for model in self.service.models())

        self._send("remove-model", agreed, lambda: self.service.remove_model(self.model_id), gone)

    def _expect(self, agreed: set[RemoteSample], shown: set[RemoteSample]) -> None:
        if agreed != shown:
            raise GuardRefused(
                "the service shows other samples than a moment ago; nothing was removed",
                "Give the same command again and look at what it shows.",
            )

    def _send(
        self,
        action: str,
        samples: Iterable[RemoteSample],
        request: Callable[[], None],
        gone: Callable[[], bool],
        title: str = "",
    ) -> None:
        """Sends once; where the answer is lost, what the service shows tells."""
        try:
            request()
        except OutcomeUnknown:
            if not self._shows_gone(gone):
                self._record(action, samples, title, "unknown")
                raise
        self._record(action, samples, title, "done")

    def _shows_gone(self, gone: Callable[[], bool]) -> bool:
        until = self.clock.now() + self.quarantine
        while True:
            asked_at = self.clock.now()
            try:
                if gone():
                    return True
            except NoSuchModel:
                return True
            except RemoteError:
                pass
            if asked_at >= until:
                return False
            self.clock.sleep(min(LOOK_AGAIN, max(0.0, until - self.clock.now())))

    def _record(self, action: str, samples: Iterable[RemoteSample], title: str, outcome: str) -> None:
        if self.journal is None:
            return
        now, run = self.clock.now(), self.journal.run
        events = [
            Event(now, run, action, one.class_title, one.uid, "", one.sample_id, outcome, "by hand") for one in samples
        ]
        self.journal.record(events or [Event(now, run, action, title, "", "", None, outcome, "by hand")])

    def _permit(self) -> Permit:
        return self.service.wait_for_permit(Lane.INTERACTIVE)
