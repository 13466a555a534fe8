"""Keeps one open store equal to its model: when to look, when to run a round, what to send next.

A *look* is a scan of the folders that were touched. What it finds and neither the journal nor the last observation
knows is new everywhere, so it may go up at once, with one request (the decision table: present, no mark, no copy).
Everything else, removals above all, is decided by a *round*, which is the cycle of a push with its own observation.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from astica_sync.core.model import MarkState, content_of, make_scope, make_uid
from astica_sync.core.plan.plan import Plan, Upload
from astica_sync.core.plan.similar_titles import find_near_titles
from astica_sync.core.plan.subset import with_uploads
from astica_sync.core.view.hash_set import HashSet
from astica_sync.core.watch.debounce import Debouncer
from astica_sync.core.watch.scheduler import Action, Scheduler
from astica_sync.core.watch.upload_queue import UploadQueue
from astica_sync.errors import Interrupted, StoreBusy, StoreError
from astica_sync.local.filesystem import signature
from astica_sync.local.identity import check_root
from astica_sync.local.scan.directory_diff import class_title_of
from astica_sync.local.scan.scanner import Scan, scan_store
from astica_sync.sync.apply.apply_plan import apply_plan
from astica_sync.sync.apply.result import ApplyResult
from astica_sync.sync.plan.observe import observe
from astica_sync.sync.plan.status import FOLLOWS, UIDS_PROVEN, StoreStatus, plan_round
from astica_sync.sync.push.push import failed_before
from astica_sync.sync.push.round import Round, RoundRunner
from astica_sync.sync.session import Session
from astica_sync.sync.watch.change_queue import ChangeBatch, ChangeQueue

CONFIRMED_KEPT = 6 * 3600.0
"""How long a sample that was confirmed and is never shown is not sent again, in seconds."""


class FollowsVersion(StoreError):
    """The service was made equal to a version's data, which the watcher would undo."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How a store is watched: ``settle`` and ``observe_every`` in seconds; ``piece`` is how many samples are sent
    before the next look around."""

    settle: float = 1.0
    observe_every: float = 900.0
    piece: int = 16


@dataclass(slots=True)
class WatchCounts:
    """What the last round left, for people: sentences, and what was counted since the watcher began."""

    waits: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    problems: int = 0
    failed: int = 0
    uploaded: int = 0
    removed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    eta: float = 0.0
    scan_seconds: float = 0.0
    agreed: float | None = None
    """When service and store were last known to be equal, on the clock of the watcher's ``ticks``."""


class Watcher:
    """One thing at a time, whenever it is asked to; between two steps it holds neither a lock nor the thread."""

    def __init__(
        self,
        session: Session,
        hints: ChangeQueue,
        habits: WatchOptions,
        *,
        polls: bool,
        standing: WatchCounts,
        ticks: Callable[[], float],
        wall: Callable[[], float],
        wanted: Callable[[], bool] = lambda: False,
    ) -> None:
        """``ticks`` is the clock on which the hints were given, ``wall`` that of the files' times; while ``wanted``,
        another command is given way."""
        self._told_to_stop = session.runtime.stopping
        runtime = replace(session.runtime, stopping=lambda: self._told_to_stop() or wanted())
        self._session = replace(session, runtime=runtime)
        self._local, self._clock = session.local, session.runtime.clock
        self._hints = hints
        self._habits = habits
        self._settling = Debouncer(habits.settle)
        self._schedule = Scheduler(habits.observe_every, polls, round_at=self._clock.now())
        self._rounds = RoundRunner(self._session)
        self._rounds_since = self._clock.now()
        self._backlog = UploadQueue()
        self._unsettled: dict[str, Upload] = {}
        self._shown: HashSet | None = None
        self._titles: set[str] = set()
        self._foreign = 0
        self._equal_but_backlog = False
        self._removals_wait = False
        self._has_seen_all = False
        self._ticks = ticks
        self._wall = wall
        self.standing = standing
        self.scanned = False
        """Whether folders were looked at that nobody has asked for by ``folders`` yet."""

    @property
    def queue(self) -> int:
        """Samples that wait for their upload; those that may still be written count as well."""
        return len(self._backlog) + len(self._unsettled)

    def folders(self) -> list[bytes]:
        """Every folder of the store as the last scan knows them."""
        self.scanned = False
        return list(self._local.index.folders())

    def want_round(self) -> None:
        """Something happened that only an observation can clear up."""
        self._schedule.want_round(self._clock.now())

    def poll(self) -> None:
        """From now on nothing tells of changes."""
        self._schedule.polls = True
        self._schedule.touched(self._clock.now())

    def step(self) -> float:
        """Does what is due, at most for as long as one piece takes; returns the seconds until something is.

        Raises:
            AsticaSyncError: whatever ended a round early; what was done until then is saved, and the next step goes on.
        """
        now = self._clock.now()
        if self._hints.take_words(self._settling):
            self._schedule.touched(now)
        if self._hints.are_asked_for and self._has_seen_all:
            self._look()
            return 0.0
        action, at = self._schedule.next(now, bool(self._backlog))
        if action is Action.WAIT:
            return max(0.0, at - now)
        if action is Action.ROUND:
            self._round()
        elif action is Action.LOOK:
            self._look()
        else:
            self._send()
        return 0.0

    def _round(self) -> None:
        session, local, clock = self._session, self._local, self._clock
        with local.lock(local.layout):
            started = clock.now()
            self._shown = None
            check_root(local.layout, local.fs)
            self._refuse_version()
            session = self._heed_others()
            told = self._hints.take()
            self._hear(told)
            scan = self._scan(None)
            self._answer(told, scan, whole=True)
            observation = observe(local, session.remote, session.listener)
            seen = plan_round(session, scan, observation)
            planned = clock.now() - started
            self._unsettled.clear()
            kept_back = {upload.uid for refusal in seen.refusals for upload in refusal.uploads}
            uploads = [upload for upload in seen.plan.uploads if upload.uid not in kept_back]
            self._backlog.replace(self._settled(sorted(uploads, key=self._changed_at)))
            self._backlog.discard(self._rounds.confirmed)
            piece = self._backlog.take(self._habits.piece)
            chosen = {upload.uid for upload in piece}
            done = self._rounds.run(seen, lambda plan: with_uploads(plan, chosen))
            self._shown = HashSet(sample.uid for sample in observation.samples)
            # An upload makes its class, so what goes up now is there as well.
            self._titles = {entry.title for entry in observation.classes} | {upload.class_title for upload in piece}
            self._foreign = self._local.journal.foreign_writes()
        self._schedule.rounded(clock.now(), planned, self.standing.scan_seconds)
        self._after_round(seen, done)

    def _heed_others(self) -> Session:
        """Where another process has written the journal, it may have died over its requests just now: for the marks of
        others the quarantine begins anew, as it does at a start (promise 5)."""
        written = self._local.journal.foreign_writes()
        if written != self._foreign:
            self._foreign = written
            runtime = replace(self._session.runtime, run_started=self._clock.now())
            self._session = replace(self._session, runtime=runtime)
            self._rounds.continue_with(self._session)
        return self._session

    def _after_round(self, seen: StoreStatus, done: Round) -> None:
        now = self._clock.now()
        if done.observe_at is not None:
            self._schedule.want_round(done.observe_at)
        if self._unsettled:
            self._schedule.look_again(now + self._habits.settle)
        self._removals_wait = len(seen.plan.removed) > len(done.status.plan.removed)
        self._equal_but_backlog = done.in_sync and not self._removals_wait
        self._forget_confirmed(seen, now)
        standing = self.standing
        standing.problems = len(seen.problems)
        wait = "its uploads wait; rename it, or astica-sync push --new-class TITLE"
        asked = [f"class {near.title!r} nearly is {near.existing!r}: {wait}" for near in seen.near]
        for text in asked:
            if text not in standing.refusals:
                self._session.listener.asks(text)
        standing.refusals = [refusal.reason for refusal in done.refusals] + asked
        standing.failed = len(failed_before(seen)) + len(done.applied.failed)
        standing.waits = _waits(done.status.plan, done.applied)
        standing.uploaded += done.late_uploads
        standing.removed += done.late_removals
        self._count(done.applied)

    def _look(self) -> None:
        told = self._hints.take()
        self._hear(told)
        below: set[str] | None = None
        if not told.everything and not self._schedule.polls:
            below = told.folders | {_above(upload.path) for upload in self._unsettled.values()}
        scan = self._scan(below)
        self._answer(told, scan, whole=below is None)
        now = self._clock.now()
        self._schedule.looked(now, self.standing.scan_seconds)
        if scan.fresh is None or scan.lost is None or scan.ignore_changed:
            self._schedule.want_round(now)
        new = self._find_new((scan.fresh or frozenset()) | (scan.lost or frozenset()))
        again, self._unsettled = list(self._unsettled.values()), {}
        self._backlog.add(self._settled(self._still_here(again) + new))
        if self._unsettled:
            self._schedule.look_again(self._clock.now() + self._habits.settle)

    def _send(self) -> None:
        session, local = self._session, self._local
        with local.lock(local.layout):
            check_root(local.layout, local.fs)
            if self._shown is None or local.journal.foreign_writes() != self._foreign:
                # Another process has written: what waits here may have gone up by its hand.
                self._shown = None
                self._backlog.replace(())
                self._schedule.want_round(self._clock.now())
                return
            piece = self._backlog.take(self._habits.piece)
            plan = Plan(uploads=tuple(self._still_here(piece)))
            session.listener.planned(plan, [], session.remote.service.forecast(len(plan.uploads) + len(self._backlog)))
            self._titles.update(upload.class_title for upload in plan.uploads)
            applied = apply_plan(session, plan, removals=False)
            self._rounds.confirmed |= applied.uploaded
            self._rounds.note_doubtful(applied)
            self._foreign = self._local.journal.foreign_writes()
        if applied.doubtful:
            self._schedule.want_round(self._clock.now() + session.policy.quarantine)
        self._equal_but_backlog = self._equal_but_backlog and not (applied.failed or applied.doubtful)
        if self._removals_wait and not self._backlog:
            self._removals_wait = False
            self.want_round()
        self.standing.failed += len(applied.failed)
        self._count(applied)

    def _count(self, applied: ApplyResult) -> None:
        standing = self.standing
        standing.uploaded += len(applied.uploaded)
        standing.removed += applied.removed
        standing.failures.update(failed.kind for failed in applied.failed)
        if applied.doubtful:
            standing.failures["outcome_unknown"] += applied.doubtful
        standing.eta = self._session.remote.service.forecast(self.queue) if self.queue else 0.0
        if self._equal_but_backlog and not self.queue and applied.error is None:
            standing.agreed = self._ticks()
        if applied.error is not None:
            self._schedule.want_round(self._clock.now())
            if isinstance(applied.error, Interrupted) and not self._told_to_stop():
                raise StoreBusy(
                    f"another command waits for {self._local.layout.root}",
                    "it goes first; the watcher goes on after it",
                )
            raise applied.error

    def _scan(self, below: set[str] | None) -> Scan:
        local, threads, began = self._local, self._local.hash_threads, self._ticks()
        self.scanned = True
        scan = scan_store(
            local.layout, local.index, clock=self._clock, fs=local.fs, threads=threads, below=below, patient=True
        )
        self.standing.scan_seconds = self._ticks() - began
        return scan

    def _answer(self, told: ChangeBatch, scan: Scan, *, whole: bool) -> None:
        """Tells who asked that the index is as their own scan would leave it; nobody, where that is not sure."""
        clear = not (scan.unknown or scan.changing or scan.ignore_changed or self._local.index.is_private)
        self._has_seen_all = clear and (whole or self._has_seen_all)
        if self._has_seen_all:
            for name in told.asked:
                with contextlib.suppress(OSError):
                    (self._local.layout.state / name).unlink(missing_ok=True)

    def _hear(self, told: ChangeBatch) -> None:
        for word in told.words:
            word(self._settling)

    def _find_new(self, contents: Iterable[str]) -> list[Upload]:
        """The uploads of contents that no mark and no observation knows. Where anything else is to be done about a
        content, a round is wanted."""
        local = self._local
        new: list[Upload] = []
        for content in contents:
            places: dict[str, str] = {}
            for path in local.index.paths_with(content):
                places.setdefault(class_title_of(path.partition("/")[0]) or "", path)
            marks = local.journal.marks_of(content)
            if marks:
                as_agreed = all(mark.state is MarkState.AGREED for mark in marks)
                if not as_agreed or places.keys() != {mark.class_title for mark in marks}:
                    self.want_round()
                continue
            for title, path in places.items():
                uid = make_uid(content, make_scope(self._session.remote.model_id, title))
                if local.journal.is_bad(uid):
                    continue
                if self._is_new_everywhere(content, title):
                    new.append(Upload(uid, title, path, self._size(path)))
                else:
                    self.want_round()
        return new

    def _is_new_everywhere(self, content: str, title: str) -> bool:
        """Whether a sample without a mark may go up without another look at the service."""
        if self._shown is None or content in self._shown or not self._local.journal.get_meta(UIDS_PROVEN):
            return False
        if title in self._titles or self._local.journal.has_class(title):
            return True
        # A round asks about a class title that may be a slip.
        return not find_near_titles([title], self._titles)

    def _settled(self, uploads: Iterable[Upload]) -> list[Upload]:
        """Those whose files count by now; the others are kept for a later look."""
        now = self._ticks()
        ready = []
        for upload in uploads:
            try:
                status = self._local.fs.lstat(self._local.layout.root / upload.path)
            except OSError:
                continue
            age = self._wall() - max(status.st_ctime, status.st_mtime)
            if self._settling.ready_at(upload.path, signature(status), age, now) <= now:
                ready.append(upload)
            else:
                self._unsettled[upload.uid] = upload
        return ready

    def _still_here(self, uploads: Iterable[Upload]) -> list[Upload]:
        """Those that are still in the store, each with a file that holds it."""
        here = []
        for upload in uploads:
            places = self._local.index.paths_of(upload.class_title, content_of(upload.uid))
            if places:
                here.append(upload if upload.path in places else replace(upload, path=places[0]))
        return here

    def _changed_at(self, upload: Upload) -> float:
        try:
            return self._local.fs.lstat(self._local.layout.root / upload.path).st_mtime
        except OSError:
            return 0.0

    def _size(self, path: str) -> int:
        try:
            return self._local.fs.lstat(self._local.layout.root / path).st_size
        except OSError:
            return 0

    def _refuse_version(self) -> None:
        follows = self._local.journal.get_meta(FOLLOWS)
        if follows:
            raise FollowsVersion(
                f"the service was made equal to version {follows[0]}, and stays so",
                "To go back to the store: astica-sync push",
            )

    def _forget_confirmed(self, seen: StoreStatus, now: float) -> None:
        """What was shown need not be remembered, and what is never shown may be tried again after some hours."""
        plan = seen.plan
        hidden = {entry.uid for entry in plan.waiting} | {upload.uid for upload in plan.uploads}
        self._rounds.confirmed &= hidden
        if now - self._rounds_since > CONFIRMED_KEPT:
            self._rounds_since = now
            self._rounds.confirmed.clear()
            self._settling.forget_before(self._ticks() - CONFIRMED_KEPT)


def _waits(plan: Plan, applied: ApplyResult) -> list[str]:
    waits = [f"{entry.class_title}/{entry.uid[:8]}: {entry.reason}" for entry in plan.waiting]
    waits += [f"{entry.class_title}/{entry.uid[:8]}: {entry.reason}" for entry in plan.held]
    if applied.doubtful:
        waits.append(f"{applied.doubtful} answers were lost; what the service shows then settles them")
    return waits


def _above(path: str) -> str:
    return path.rpartition("/")[0]
