"""Seeded bugs in the watcher, which long days must notice: name, changes, and within how many days CI must do so."""

# ruff: noqa: E501

WATCH = "astica_sync.sync.watch.watcher:Watcher."
Change = tuple[str, str, str]
WATCHER_MUTANTS: tuple[tuple[str, tuple[Change, ...], int], ...] = (
    ("the watcher concludes absence from events alone",
        ((WATCH + "_round", "scan = self._scan(None)",
          "scan = self._scan(getattr(self, '_heard', None)); self._heard = set()"),
         (WATCH + "_scan_changes", "self._apply_file_events(batch)",
          "self._apply_file_events(batch)\n        self._heard = getattr(self, '_heard', set()) | batch.folders")), 0),
    ("the watcher forgets the quarantine between rounds",
        ((WATCH + "_round", "session = self._note_foreign_writes()",
          "self._session = session = replace(self._session, policy=replace(self._session.policy, quarantine=0.0))\n            self._rounds.continue_with(session)"),), 0),
    ("the watcher goes on after a refused key",
        (("astica_sync.sync.watch.supervisor:reaction_to", "if isinstance(error, (BadKey, NoSuchModel, ConfigError)):",
          "if isinstance(error, ConfigError):"),), 10),
    ("the watcher does not heed what others wrote",
        ((WATCH + "_note_foreign_writes", "if written != self._foreign_writes:", "if False:"),), 0),
    ("the watcher sends what a push beside it has sent",
        ((WATCH + "_send", "if self._observed is None or local.journal.foreign_writes() != self._foreign_writes:", "if False:"),), 0),
    ("the watcher observes once and never again",
        (("astica_sync.core.watch.scheduler:Scheduler.round_done", "now + self.observe_every", "now + 9e9"),), 0),
    ("the watcher ends a look without one for what has not settled",
        ((WATCH + "_scan_changes", "self._scheduler.request_scan(self._clock.now() + self._options.quiet_seconds)", "pass"),
         (WATCH + "_after_round", "self._scheduler.request_scan(now + self._options.quiet_seconds)", "pass")), 0),
    ("the watcher takes a folder in the store's place for the store",
        (("astica_sync.local.identity:check_root", "if sentinel.inode != status.st_ino:", "if False:"),), 0),
)  # fmt: skip
