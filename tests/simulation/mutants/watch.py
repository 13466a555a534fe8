"""Seeded bugs in the watcher, which long days must notice."""

from dataclasses import replace as changed
from typing import Any

from astica_sync.errors import BadKey, NoSuchModel, RemoteError
from tests.simulation.mutants.local import ANY_FOLDER_IS_THE_STORE
from tests.simulation.mutants.seams import mutant, nothing, replace, within, wrap

WATCHER = "astica_sync.sync.watch.store_watcher:Watcher."
SCHEDULER = "astica_sync.core.watch.scheduler:Scheduler."


def scanned_by_events(original: Any, scope: Any, self: Any, below: Any) -> Any:
    below, self.reported = getattr(self, "reported", None), set()
    return original(self, below)


def reported_folders(original: Any, scope: Any, self: Any, batch: Any) -> Any:
    self.reported = getattr(self, "reported", set()) | batch.folders
    return original(self, batch)


def without_quarantine(original: Any, self: Any) -> Any:
    session = original(self)
    self._session = changed(session, policy=changed(session.policy, quarantine=0.0))
    self._rounds.continue_with(self._session)
    return self._session


def as_an_error_that_passes(original: Any, error: BaseException, failures: int) -> Any:
    return original(RemoteError(str(error)) if isinstance(error, (BadKey, NoSuchModel)) else error, failures)


def as_last_seen(original: Any, scope: Any, self: Any) -> int:
    return int(scope["self"]._foreign_writes)


def never_again(original: Any, self: Any, now: float, cost: float, scan_cost: float) -> None:
    original(self, now, cost, scan_cost)
    self.round_at = now + 9e9


WATCH_MUTANTS = (
    mutant(
        "the watcher concludes absence from events alone",
        within(WATCHER + "_round", WATCHER + "_scan", scanned_by_events),
        within(WATCHER + "_scan_changes", WATCHER + "_apply_file_events", reported_folders),
        days=True,
    ),
    mutant(
        "the watcher forgets the quarantine between rounds",
        wrap(WATCHER + "_note_foreign_writes", without_quarantine),
        days=True,
    ),
    mutant(
        "the watcher goes on after a refused key",
        wrap("astica_sync.sync.watch.watcher_lifecycle:reaction_to", as_an_error_that_passes),
        quick=10,
        days=True,
    ),
    mutant(
        "the watcher ignores what other processes wrote",
        replace(WATCHER + "_note_foreign_writes", lambda self: self._session),
        days=True,
    ),
    mutant(
        "the watcher sends what another push has sent",
        within(WATCHER + "_send", "astica_sync.local.db.journal:Journal.foreign_writes", as_last_seen),
        days=True,
    ),
    mutant(
        "the watcher does not notice what other scans have found",
        replace(SCHEDULER + "index_has", lambda self, mark, now: None),
        days=True,
    ),
    mutant("the watcher observes once and never again", wrap(SCHEDULER + "round_done", never_again), days=True),
    mutant(
        "the watcher plans no scan for files that are not quiet yet",
        within(WATCHER + "_scan_changes", SCHEDULER + "request_scan", nothing),
        within(WATCHER + "_after_round", SCHEDULER + "request_scan", nothing),
        days=True,
    ),
    mutant("the watcher takes a folder in the store's place for the store", ANY_FOLDER_IS_THE_STORE, days=True),
)
