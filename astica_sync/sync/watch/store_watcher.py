"""Keeps one open store in sync with its model: when to scan, when to run a round, what to upload next.

A *scan* covers the folders that changed. A content that it finds and that neither the journal nor the last observation
knows is new everywhere, so it may be uploaded with one request and without another observation. Everything else,
removals above all, is decided by a *round*: the cycle of a push, with its own observation.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from astica_sync.core.model import content_of, make_scope, make_uid
from astica_sync.core.observation.content_hash_set import ContentHashSet
from astica_sync.core.plan.gather_facts import PlanContext
from astica_sync.core.plan.plan import Held, Plan, Upload, Waiting
from astica_sync.core.plan.plan_subset import with_uploads
from astica_sync.core.plan.similar_titles import NearTitle, find_near_titles
from astica_sync.core.watch.debounce import Debouncer
from astica_sync.core.watch.decide_changed_image import ChangedImage, Observed, decide_changed_image, left_to_do
from astica_sync.core.watch.scheduler import Scheduler, WatchAction
from astica_sync.core.watch.upload_queue import UploadQueue
from astica_sync.core.watch.watch_status import MAX_WAITS
from astica_sync.errors import Interrupted, StoreBusy, StoreError
from astica_sync.local.class_folders.class_title import class_title_of
from astica_sync.local.filesystem import signature
from astica_sync.local.scan.scanner import Scan, ScanOptions, scan_store
from astica_sync.local.store_sentinel import check_root
from astica_sync.shell_quote import quote
from astica_sync.sync.apply.apply_plan import apply_plan
from astica_sync.sync.apply.result import ApplyResult
from astica_sync.sync.observe import observe
from astica_sync.sync.plan.find_status import FOLLOWS, UIDS_PROVEN, StoreStatus, find_problems, plan_round
from astica_sync.sync.plan.held_out_images import ReturnedImage, find_held_out_images
from astica_sync.sync.push.push import failed_before
from astica_sync.sync.push.push_round import Round, RoundRunner
from astica_sync.sync.session import Session
from astica_sync.sync.watch.change_queue import ChangeBatch, ChangeQueue
from astica_sync.sync.watch.unreported_problems import ReportProblems, UnreportedProblems

CONFIRMED_FOR = 6 * 3600.0
"""How long confirmations and file events are kept at the most, in seconds."""


class FollowsVersion(StoreError):
    """The service holds the data of a version (``push --as``), which the watcher would undo."""


class PauseRequested(Interrupted):
    """The user pauses the watcher while it waits or sends."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How a store is watched: ``quiet_seconds`` is how long a file must not change before it is uploaded,
    ``observe_every`` the longest time between two observations, ``batch`` how many samples are uploaded before the
    watcher checks for changes again."""

    quiet_seconds: float = 1.0
    observe_every: float = 900.0
    batch: int = 16


@dataclass(frozen=True, slots=True)
class WatchedStore:
    """A store that is open for watching; ``lock_wanted`` is whether another command waits for its lock,
    ``pause_wanted`` whether the user wants the watcher to pause. The session's clock ends its waits with
    ``PauseRequested`` then. ``report_problems`` gets each file that cannot be uploaded once, and ``report_held_out``
    each image that ``split`` has held out and that is in the store as well."""

    session: Session
    options: WatchOptions
    lock_wanted: Callable[[], bool] = lambda: False
    pause_wanted: Callable[[], bool] = lambda: False
    report_problems: ReportProblems | None = None
    report_held_out: Callable[[Sequence[ReturnedImage]], None] | None = None


@dataclass(slots=True)
class WatchCounts:
    """What the last round left undone, as sentences, and what was counted since the watcher was started."""

    waits: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    problems: int = 0
    failed: int = 0
    uploaded: int = 0
    removed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    eta: float = 0.0
    scan_seconds: float = 0.0
    in_sync_at: float | None = None
    """When service and store were last known to be in sync, on the watcher's monotonic clock."""
    reported_problems: set[int] = field(default_factory=set)
    """Numbers of the files that cannot be uploaded and were reported."""
    held_out: int = 0
    reported_held_out: set[ReturnedImage] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _LastObservation:
    """What is kept of the last observation: when it was asked for, the images that it shows, and those among them about
    which its round left something to do."""

    asked_at: float
    contents: ContentHashSet
    left_to_do: ContentHashSet

    def shows(self, content: str) -> Observed:
        if content not in self.contents:
            return Observed.ABSENT
        return Observed.NOT_IN_SYNC if content in self.left_to_do else Observed.IN_SYNC


class Watcher:
    """Does one piece of work per ``step``; between two steps it holds no lock. Its parameters are what differs between
    its lifecycle and a test."""

    def __init__(
        self,
        store: WatchedStore,
        changes: ChangeQueue,
        counts: WatchCounts,
        *,
        polls: bool,
        ticks: Callable[[], float],
        wall: Callable[[], float],
        on_planned: Callable[[], None] = lambda: None,
    ) -> None:
        """``ticks`` is the clock by which file events are timed, ``wall`` that of the files' times; ``polls`` means
        that the system does not report changes. While another command wants the lock, and once the user pauses the
        watcher, uploads stop. ``on_planned`` is called before each batch."""
        session = store.session
        self._stop_requested = session.runtime.stopping
        self._lock_wanted, self._pause_wanted = store.lock_wanted, store.pause_wanted
        self._pausing = False
        runtime = replace(session.runtime, stopping=self._must_stop)
        self._session = replace(session, runtime=runtime)
        self._local, self._clock = session.local, session.runtime.clock
        self._changes = changes
        self._options = store.options
        self._debouncer = Debouncer(store.options.quiet_seconds)
        self._scheduler = Scheduler(store.options.observe_every, polls, round_at=self._clock.now())
        self._rounds = RoundRunner(self._session)
        self._confirmed_since = self._clock.now()
        self._queue = UploadQueue()
        self._not_quiet: dict[str, Upload] = {}
        self._left_over = 0
        self._undecided = 0
        self._observed: _LastObservation | None = None
        self._known_titles: set[str] = set()
        self._foreign_writes = 0
        self._in_sync_but_queue = False
        self._removals_deferred = False
        self._index_is_complete = False
        self._ticks = ticks
        self._wall = wall
        self._on_planned = on_planned
        self.counts = counts
        self._unreported: UnreportedProblems | None = None
        if store.report_problems is not None:
            quiet = store.options.quiet_seconds
            self._unreported = UnreportedProblems(session.local, counts.reported_problems, store.report_problems, quiet)
        self._report_held_out = store.report_held_out
        self._held_out = ContentHashSet(())
        self.scanned: bool = False
        """Whether a scan has ended since the last call of ``folders``."""

    @property
    def queued(self) -> int:
        """How many samples wait for their upload, including those whose files may still be written."""
        return len(self._queue) + len(self._not_quiet)

    @property
    def not_sent(self) -> int:
        """How many samples are not sent yet: those that are queued, those that the last batch did not reach, and those
        that wait for a decision of the user."""
        return self.queued + self._left_over + self._undecided

    @property
    def undecided(self) -> int:
        """How many of those wait for a decision of the user."""
        return self._undecided

    @property
    def _needs_user(self) -> bool:
        """Whether the last round has left something that a command of the user settles."""
        return bool(self.counts.refusals or self.counts.failed)

    def _must_stop(self) -> bool:
        """Whether nothing more may be sent in this step."""
        # Kept until the step ends, so that it ends in the same way where the user resumes at once.
        self._pausing = self._pausing or self._pause_wanted()
        return self._pausing or self._stop_requested() or self._lock_wanted()

    def folders(self) -> list[bytes]:
        """Every folder of the store, by the last scan."""
        self.scanned = False
        return list(self._local.index.folders())

    def request_round(self) -> None:
        """Something happened that needs an observation."""
        self._scheduler.request_round(self._clock.now())

    def start_polling(self) -> None:
        """From now on the system does not report changes."""
        self._scheduler.polls = True
        self._scheduler.changed(self._clock.now())

    def step(self) -> float:
        """Does what is due, at most one batch; returns the seconds until something is due.

        Raises:
            PauseRequested: the user pauses the watcher; requests under way have ended.
            AsticaSyncError: the error that ended a round early; what was done is saved, and the next step continues.
        """
        self._pausing = False
        self._report_problems()
        now = self._clock.now()
        if self._needs_user and self._local.journal.foreign_writes() != self._foreign_writes:
            # Another command may have done what the user was asked for.
            self.request_round()
        self._notice_other_scans(now)
        if self._changes.apply_file_events(self._debouncer):
            self._scheduler.changed(now)
        if self._changes.has_status_requests and self._index_is_complete:
            self._scan_changes()
            return 0.0
        action, at = self._scheduler.next_action(now, bool(self._queue))
        if action is WatchAction.WAIT:
            return max(0.0, at - now)
        if action is WatchAction.ROUND:
            self._round()
        elif action is WatchAction.SCAN:
            self._scan_changes()
        else:
            self._send()
        return 0.0

    def _notice_other_scans(self, now: float) -> None:
        """Requests a round where another process has taken changes from the next scan."""
        if self._scheduler.index_mark is not None and (mark := self._local.index.look_at_change_mark()) is not None:
            self._scheduler.index_has(mark, now)

    def _round(self) -> None:
        session, local, clock = self._session, self._local, self._clock
        with local.lock(local.layout):
            started = clock.now()
            self._observed = None
            check_root(local.layout, local.fs)
            self._check_no_version()
            session = self._note_foreign_writes()
            changes = self._changes.take()
            self._apply_file_events(changes)
            scan = self._scan(None)
            self._find_held_out()
            self._answer_status_requests(changes, scan, whole=True)
            observation = observe(local, session.remote, session.listener)
            status = plan_round(session, scan, observation)
            planned = clock.now() - started
            self._not_quiet.clear()
            refused = {upload.uid for refusal in status.refusals for upload in refusal.uploads}
            uploads = [upload for upload in status.plan.uploads if upload.uid not in refused]
            self._queue.replace(self._quiet(sorted(uploads, key=self._changed_at)))
            self._queue.discard(self._rounds.confirmed)
            next_uploads = self._queue.take(self._options.batch)
            self._left_over = len(next_uploads)
            self._undecided = len(status.plan.questioned) + len(refused)
            chosen = {upload.uid for upload in next_uploads}
            self._on_planned()
            done = self._rounds.run(status, lambda plan: with_uploads(plan, chosen))
            self._observed = _LastObservation(
                observation.asked_at,
                ContentHashSet(sample.uid for sample in observation.samples),
                ContentHashSet(left_to_do(status.plan)),
            )
            # An upload makes its class, so their classes exist now as well.
            self._known_titles = {entry.title for entry in observation.classes} | {
                upload.class_title for upload in next_uploads
            }
            self._foreign_writes = local.journal.foreign_writes()
        self._scheduler.round_done(clock.now(), planned, self.counts.scan_seconds)
        self._after_round(status, done)

    def _note_foreign_writes(self) -> Session:
        """Another process that has written the journal may have been killed with requests under way: the quarantine of
        its marks starts again, as it does when a run starts (promise 5)."""
        written = self._local.journal.foreign_writes()
        if written != self._foreign_writes:
            self._foreign_writes = written
            runtime = replace(self._session.runtime, run_started=self._clock.now())
            self._session = replace(self._session, runtime=runtime)
            self._rounds.continue_with(self._session)
        return self._session

    def _after_round(self, status: StoreStatus, done: Round) -> None:
        now = self._clock.now()
        if done.observe_at is not None:
            self._scheduler.request_round(done.observe_at)
        if self._not_quiet:
            self._scheduler.request_scan(now + self._options.quiet_seconds)
        self._removals_deferred = len(status.plan.removed) > len(done.status.plan.removed)
        self._in_sync_but_queue = done.in_sync and not self._removals_deferred
        self._forget_confirmed(done, now)
        counts = self.counts
        counts.problems = len(status.problems)
        similar = [_similar_title_text(near) for near in status.near]
        for text in similar:
            if text not in counts.refusals:
                self._session.listener.asks(text)
        counts.refusals = [refusal.reason for refusal in done.refusals] + similar
        counts.failed = len(failed_before(status)) + len(done.applied.failed)
        counts.waits = _waits(done.status.plan, done.applied)
        counts.uploaded += done.late_uploads
        counts.removed += done.late_removals
        self._count(done.applied)

    def _scan_changes(self) -> None:
        changes = self._changes.take()
        self._apply_file_events(changes)
        below: set[str] | None = None
        if not changes.rescan and not self._scheduler.polls:
            below = changes.folders | {_parent(upload.path) for upload in self._not_quiet.values()}
        scan = self._scan(below)
        self._answer_status_requests(changes, scan, whole=below is None)
        now = self._clock.now()
        self._scheduler.scan_done(now, self.counts.scan_seconds)
        if scan.fresh is None or scan.lost is None or scan.ignore_changed:
            self._scheduler.request_round(now)
        new = self._find_new((scan.fresh or frozenset()) | (scan.lost or frozenset()))
        not_quiet, self._not_quiet = list(self._not_quiet.values()), {}
        self._queue.add(self._quiet(self._still_in_store(not_quiet) + new))
        if self._not_quiet:
            self._scheduler.request_scan(self._clock.now() + self._options.quiet_seconds)

    def _send(self) -> None:
        session, local = self._session, self._local
        with local.lock(local.layout):
            check_root(local.layout, local.fs)
            if self._observed is None or local.journal.foreign_writes() != self._foreign_writes:
                # Another process has written the journal: it may have uploaded what is queued here.
                self._observed = None
                self._left_over = len(self._queue)
                self._queue.replace(())
                self._scheduler.request_round(self._clock.now())
                return
            plan = Plan(uploads=tuple(self._still_in_store(self._queue.take(self._options.batch))))
            self._left_over = len(plan.uploads)
            self._on_planned()
            session.listener.planned(plan, [], session.remote.service.forecast(len(plan.uploads) + len(self._queue)))
            self._known_titles.update(upload.class_title for upload in plan.uploads)
            applied = apply_plan(session, plan, removals=False)
            self._rounds.confirmed |= applied.uploaded
            self._rounds.note_doubtful(applied)
            self._foreign_writes = local.journal.foreign_writes()
        if applied.doubtful:
            self._scheduler.request_round(self._clock.now() + session.policy.quarantine)
        self._in_sync_but_queue = self._in_sync_but_queue and not (applied.failed or applied.doubtful)
        if self._removals_deferred and not self._queue:
            self._removals_deferred = False
            self._scheduler.request_round(self._clock.now())
        self.counts.failed += len(applied.failed)
        self._count(applied)

    def _count(self, applied: ApplyResult) -> None:
        counts = self.counts
        tried = len(applied.uploaded) + len(applied.failed) + len(applied.doubtful_uploads)
        self._left_over = max(0, self._left_over - tried) if applied.error is not None else 0
        counts.uploaded += len(applied.uploaded)
        counts.removed += applied.removed
        counts.failures.update(failed.kind for failed in applied.failed)
        if applied.doubtful:
            counts.failures["outcome_unknown"] += applied.doubtful
        counts.eta = self._session.remote.service.forecast(self.queued) if self.queued else 0.0
        if self._in_sync_but_queue and not self.queued and applied.error is None:
            counts.in_sync_at = self._ticks()
            self._session.on_agreed()
        if applied.error is not None:
            self._scheduler.request_round(self._clock.now())
            if isinstance(applied.error, Interrupted) and not self._stop_requested():
                if self._pausing:
                    raise PauseRequested("paused by the user", "To resume: astica-sync watch resume")
                raise StoreBusy(
                    f"another command waits for {self._local.layout.root}",
                    "The watcher continues after that command.",
                )
            raise applied.error

    def _scan(self, below: set[str] | None) -> Scan:
        local, threads, began, began_wall = self._local, self._local.hash_threads, self._ticks(), self._wall()
        self.scanned = True
        scan = scan_store(
            local.layout,
            local.index,
            clock=self._clock,
            files=local.fs,
            options=ScanOptions(
                threads=threads,
                below=below,
                patient=True,
                recipe=local.preparer.recipe,
                failed=[entry.path for entry in local.journal.bad()],
            ),
        )
        self.counts.scan_seconds = self._ticks() - began
        self._scheduler.index_has(scan.mark_before, self._clock.now())
        self._scheduler.index_mark = scan.mark
        if self._unreported is not None:
            self.counts.problems = self._unreported.take_scan(
                find_problems(local, self._session.policy.owned), began_wall
            )
        return scan

    def _find_held_out(self) -> None:
        """Reports the images of the store that ``split`` has held out, each once."""
        if self._report_held_out is None:
            return
        counts, local = self.counts, self._local
        self._held_out = ContentHashSet(local.journal.held_out())
        found = find_held_out_images(local.journal, local.index)
        counts.held_out = len(found)
        counts.reported_held_out.intersection_update(found)
        if new := [one for one in found if one not in counts.reported_held_out]:
            counts.reported_held_out.update(new)
            self._report_held_out(new)

    def _report_problems(self) -> None:
        if self._unreported is not None:
            now = self._ticks()
            self._unreported.report(self._wall(), lambda path: self._debouncer.is_open(path, now))

    def _answer_status_requests(self, batch: ChangeBatch, scan: Scan, *, whole: bool) -> None:
        """Deletes the files of the status requests: the index is what a scan by the requesting process would make it.
        Where that is not sure, the files stay."""
        clear = not (scan.unknown or scan.changing or scan.ignore_changed or self._local.index.is_private)
        self._index_is_complete = clear and (whole or self._index_is_complete)
        if self._index_is_complete:
            for name in batch.status_requests:
                with contextlib.suppress(OSError):
                    (self._local.layout.state / name).unlink(missing_ok=True)

    def _apply_file_events(self, batch: ChangeBatch) -> None:
        for event in batch.file_events:
            event(self._debouncer)

    def _find_new(self, contents: Iterable[str]) -> list[Upload]:
        """The uploads of new images among those whose files changed. Requests a round where anything else follows."""
        new: list[Upload] = []
        uids_proven = bool(self._local.journal.get_meta(UIDS_PROVEN))
        for content in contents:
            if content in self._held_out:
                # A round reports it, notes that it is held out and sends it: the journal forgets that with the upload.
                self.request_round()
                continue
            image = self._changed_image(content)
            answer = decide_changed_image(image, self._session.remote.model_id, self._context(image, uids_proven))
            new += [Upload(file.uid, file.class_title, file.path, self._size(file.path)) for file in answer.uploads]
            if answer.needs_round:
                self.request_round()
        return new

    def _changed_image(self, content: str) -> ChangedImage:
        places: dict[str, str] = {}
        for path in self._local.index.paths_with(content):
            places.setdefault(class_title_of(path.partition("/")[0]) or "", path)
        marks, observed = self._local.journal.marks_of(content), self._observed
        if observed is None:
            return ChangedImage(content, places, marks, Observed.UNKNOWN, 0.0)
        return ChangedImage(content, places, marks, observed.shows(content), observed.asked_at)

    def _context(self, image: ChangedImage, uids_proven: bool) -> PlanContext:
        """The context of a plan as far as it concerns this image."""
        journal, model_id = self._local.journal, self._session.remote.model_id
        recipe = self._local.index.recipe_of(image.content)
        uids = [make_uid(image.content, make_scope(model_id, title, recipe)) for title in image.places]
        return PlanContext(
            run=journal.run,
            run_started=self._session.runtime.run_started,
            quarantine=self._session.policy.quarantine,
            failed_before={uid for uid in uids if journal.is_bad(uid)},
            questioned_titles={title for title in image.places if self._is_questioned(title)},
            uids_proven=uids_proven,
            recipe_of=lambda _: recipe,
            owned=self._session.policy.owned,
        )

    def _is_questioned(self, title: str) -> bool:
        """Whether the user has to confirm a new class because its title is similar to that of another class."""
        if title in self._known_titles or self._local.journal.has_class(title):
            return False
        return bool(find_near_titles([title], self._known_titles))

    def _quiet(self, uploads: Iterable[Upload]) -> list[Upload]:
        """The uploads whose files are complete by now; the others are checked again by a later scan."""
        now = self._ticks()
        ready = []
        for upload in uploads:
            try:
                status = self._local.fs.lstat(self._local.layout.root / upload.path)
            except OSError:
                continue
            age = self._wall() - max(status.st_ctime, status.st_mtime)
            if self._debouncer.quiet_at(upload.path, signature(status), age, now) <= now:
                ready.append(upload)
            else:
                self._not_quiet[upload.uid] = upload
        return ready

    def _still_in_store(self, uploads: Iterable[Upload]) -> list[Upload]:
        """The uploads whose samples are still in the store, each with a file that holds it."""
        present = []
        for upload in uploads:
            places = self._local.index.paths_of(upload.class_title, content_of(upload.uid))
            if places:
                present.append(upload if upload.path in places else replace(upload, path=places[0]))
        return present

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

    def _check_no_version(self) -> None:
        follows = self._local.journal.get_meta(FOLLOWS)
        if follows:
            raise FollowsVersion(
                f"the service holds the data of version {follows[0]}, which the watcher does not replace",
                "To sync the store again: astica-sync push",
            )

    def _forget_confirmed(self, done: Round, now: float) -> None:
        """Forgets the confirmations of samples that are shown now, and of those that this round reported as not shown:
        the next round uploads them again."""
        waiting = {entry.uid for entry in done.status.plan.waiting}
        self._rounds.confirmed &= waiting | done.applied.uploaded
        if now - self._confirmed_since > CONFIRMED_FOR:
            self._confirmed_since = now
            self._rounds.confirmed.clear()
            self._debouncer.forget_before(self._ticks() - CONFIRMED_FOR)


def _waits(plan: Plan, applied: ApplyResult) -> list[str]:
    """What this round left undone and why; the status shows no more than the first of them."""
    entries: list[Waiting | Held] = [*plan.waiting, *plan.held]
    waits = [f"{entry.path or entry.class_title}: {entry.reason}" for entry in entries[:MAX_WAITS]]
    if applied.doubtful:
        waits.insert(0, f"{applied.doubtful} answers were lost; the next observation shows what was carried out")
    return waits


def _similar_title_text(near: NearTitle) -> str:
    command = f"astica-sync push --new-class {quote(near.title)}"
    return (
        f"class {near.title!r} is similar to {near.existing!r}, so its images are not uploaded. "
        f"Rename the folder; or, if it is a new class: {command}"
    )


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
