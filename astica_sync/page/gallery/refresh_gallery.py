"""Scans, plans as ``status --offline`` does, and makes a new gallery from both."""

import contextlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astica_sync.api.states.shown_states import find_shown_states
from astica_sync.core.gallery.image_state import (
    SENT_LATER,
    STATES,
    ImageState,
    ImageStates,
    Shown,
    WithoutFile,
)
from astica_sync.core.model import CONTENT_LENGTH, Observation, Unreadable
from astica_sync.errors import AsticaSyncError, StoreError
from astica_sync.local.image.prepare.usable_formats import samples_in_two_formats
from astica_sync.local.scan.scanner import Scan, ScanOptions, scan_store
from astica_sync.local.store_sentinel import check_root
from astica_sync.page.gallery.backup_only import BackupOnly
from astica_sync.page.gallery.columns.build_columns import ColumnOverlay, build_columns, update_columns
from astica_sync.page.gallery.columns.find_changes import find_changes
from astica_sync.page.gallery.held_out_folders import HeldOutFolders
from astica_sync.page.gallery.image_columns import Columns
from astica_sync.page.gallery.index_reader import IndexReader
from astica_sync.page.gallery.process_memory import keep_large_apart, return_memory
from astica_sync.sync.observe import last_observation
from astica_sync.sync.plan.find_status import StoreStatus, plan_round
from astica_sync.sync.push.preflight_checks import requests_of
from astica_sync.sync.session import Session

MANY_ROWS = 100_000
"""Images from which on memory is given back to the system at once."""
_PIECE = 100_000
"""Rows that are counted at a time."""
_FEW, _COST = 1000, 8
"""Bringing a row up to date takes about eight times as long as building one."""
_REPORT_SECONDS = 0.3
MOST_PLANNED = 10_000
"""So many uploads of new samples are planned one by one; the others are known by their marks."""
MOST_PAIRS = 1000
"""So many images in two formats are shown as such."""
FIRST_REVISION = 10
BEFORE = "as it was when the page was last open; the store is being looked at"
LOOK = "press P, then Look at the service"


@dataclass(frozen=True, slots=True)
class PushPrice:
    """What a push costs now, and why the guard would refuse a part of it, "" where it would not."""

    requests: int
    seconds: float
    guard: str


@dataclass(frozen=True, slots=True)
class ObservationSummary:
    """What is kept of the last observation of the service, which is as large as the store."""

    model_title: str
    asked_at: float


@dataclass(frozen=True, slots=True)
class Gallery:
    """The store at one moment. ``observed`` and ``price`` are None, and ``why_no_status`` says why, where nothing is
    known of the service yet."""

    revision: int
    columns: Columns
    states: ImageStates
    observed: ObservationSummary | None
    price: PushPrice | None
    summary: dict[str, Any]
    why_no_status: str = ""

    @property
    def next_end(self) -> float | None:
        """When the first wait ends, in seconds since the epoch."""
        return min((one.until for one in self.states.by_uid.values() if one.until is not None), default=None)

    def shown(self, row: int) -> Shown:
        """What is to be said of a row."""
        noted = self.columns.notes.get(row)
        if noted is not None:
            return noted
        if self.columns.state(row) is self.states.usual.state:
            return self.states.usual
        if self.columns.state(row) is ImageState.NOT_OWNED:
            return self.states.by_class.get(self.columns.title(row), self.states.usual)
        return Shown(ImageState.NEW, SENT_LATER)


class GalleryRefresher:
    """Makes one gallery after the other, in the thread that opened the session and the index."""

    def __init__(
        self,
        session: Session,
        index: IndexReader,
        held_out: HeldOutFolders,
        found: Callable[[int | None], None] = lambda _: None,
    ) -> None:
        """``found`` is called now and then with the number of files that a look at the whole store has found, and with
        None when it has ended."""
        # One connection scans and is read, so that it knows which rows it has changed.
        self._session = replace(session, local=replace(session.local, index=index))
        self._index, self._held_out, self._found = index, held_out, found
        # Those below are of galleries from before the first look.
        self._revision = FIRST_REVISION
        self._backup_only = BackupOnly(session.local.backup, session.remote.model_id)
        self._last: tuple[object, Gallery] | None = None
        self._scanned: Scan | None = None
        self._reported = 0.0

    def refresh(self, below: Collection[str] | None = None, kept: Columns | None = None) -> Gallery:
        """Looks at the store, or only at the folders ``below`` in it. Where nothing has changed, the last gallery is
        the new one. ``kept`` are the columns of an earlier run, in whose place the first ones come: what is the same
        in them is used again.

        Raises:
            StoreError: the store is gone, or cannot be scanned.
        """
        # A scan finds everything unknown in a store that is gone or another one, which is no error of its own.
        check_root(self._session.local.layout, self._session.local.fs)
        try:
            return self._refresh(below, kept)
        finally:
            self._found(None)

    def _refresh(self, below: Collection[str] | None, kept: Columns | None) -> Gallery:
        scan = self._whole_view(self._scan(below), whole=below is None)
        # A scan of some folders says nothing of how large the store is.
        many = max(scan.files, 0 if self._last is None else len(self._last[1].columns)) > MANY_ROWS
        if many:
            keep_large_apart()
            self._give_back()
        position, seen = self._index.position(), self._seen()
        changed = self._index.changed_files(position)
        if self._last is not None and changed == set() and self._last[0] == (seen, self._backup_only.seen()):
            return self._last[1]
        status, observed, why = None, None, ""
        try:
            observation = last_observation(self._session.local, self._session.remote.model_id)
            observed = ObservationSummary(observation.model.title, observation.asked_at)
            status = self._plan(scan, observation)
            # All of it that the columns need is in the states.
            del observation
        except StoreError as error:
            # Without an observation the page has its own way to get one.
            why = error.text_with_hint if observed else f"{error}: {LOOK}"
            observed = None
        states, price = self._states(status), self._price(status)
        del status
        if many:
            self._give_back()
        self._revision += 1
        overlay = ColumnOverlay(
            states,
            self._session.remote.model_id,
            marked=self._session.local.journal.pages,
            elsewhere=lambda keys: self._find_elsewhere(keys, scan.classes),
            recipes=self._session.local.known_recipes(),
            in_two_formats=samples_in_two_formats(self._index, MOST_PAIRS),
        )
        before = kept if self._last is None else self._last[1].columns
        columns = self._make_columns(position, before, changed, overlay)
        gallery = Gallery(self._revision, columns, states, observed, price, summarize(columns), why)
        # What only the backup has was read meanwhile.
        self._last = (seen, self._backup_only.seen()), gallery
        self._index.follow(position)
        if len(columns) > MANY_ROWS:
            self._give_back()
        return gallery

    def _make_columns(
        self, position: object, before: Columns | None, changed: set[tuple[bytes, bytes]] | None, overlay: ColumnOverlay
    ) -> Columns:
        """The columns of the files as the index has them. Where it is not known what has changed since those before,
        it is found out."""
        if before is not None:
            most = _FEW + len(before) // _COST
            if changed is None:
                changed = find_changes(before, self._index, most)
            if changed is not None and len(changed) <= most:
                columns = update_columns(before, changed, self._index, overlay)
                if self._index.position() == position:
                    return columns
            # Another process has written meanwhile, or nearly everything has changed.
        return build_columns(self._index, overlay)

    def _give_back(self) -> None:
        """Frees what the steps of a large look leave behind, so that it does not add up."""
        self._index.shrink()
        return_memory()

    def _find_elsewhere(self, in_store: NDArray[np.uint64], titles: Collection[str]) -> list[WithoutFile]:
        """The images of held-out folders, and what only the backup has."""
        held_out = list(self._held_out.find(titles))
        contents = {one.uid[:CONTENT_LENGTH] for one in held_out}
        only = [one for one in self._find_backup_only(in_store) if one.uid[:CONTENT_LENGTH] not in contents]
        return [*only, *held_out]

    def _find_backup_only(self, in_store: NDArray[np.uint64]) -> list[WithoutFile]:
        try:
            return list(self._backup_only.find(in_store))
        except StoreError:
            # A damaged catalog is what backup verify is for.
            return []

    def _whole_view(self, scan: Scan, *, whole: bool) -> Scan:
        """A scan of some folders says nothing of the others: what was unknown there still is."""
        if whole or self._scanned is None:
            self._scanned = scan
            return scan
        last = self._scanned
        unknown = Unreadable(
            last.unknown.everything or scan.unknown.everything, last.unknown.classes | scan.unknown.classes
        )
        titles = (folder.class_title for folder in self._index.folders().values())
        classes = frozenset(title for title in titles if title is not None)
        return replace(scan, unknown=unknown, classes=classes, hiding=last.hiding | scan.hiding)

    def _seen(self) -> object:
        """What a gallery depends on besides the index and the backup; the same as long as nothing has changed."""
        local, now = self._session.local, self._session.runtime.clock.now()
        try:
            viewed = local.layout.last_view.stat().st_mtime_ns
        except OSError:
            viewed = 0
        last = None if self._last is None else self._last[1]
        ended = last is not None and last.next_end is not None and last.next_end < now
        marks = local.journal.marks_name(), local.journal.foreign_writes()
        return marks, viewed, self._held_out.revision, object() if ended else None

    def _scan(self, below: Collection[str] | None) -> Scan:
        session = self._session
        options = ScanOptions(threads=session.local.hash_threads, below=below, recipe=session.local.preparer.recipe)
        return scan_store(
            session.local.layout,
            session.local.index,
            clock=session.runtime.clock,
            files=session.local.fs,
            options=options,
            progress=self._note_progress,
        )

    def _note_progress(self, files: int, hashed: int) -> None:
        now = time.monotonic()
        if now >= self._reported + _REPORT_SECONDS:
            self._reported = now
            self._found(files)

    def _plan(self, scan: Scan, observation: Observation) -> StoreStatus:
        # As a command that begins now: what other processes have sent since the page was opened was not sent before it.
        runtime = replace(self._session.runtime, run_started=self._session.runtime.clock.now())
        return plan_round(replace(self._session, runtime=runtime), scan, observation, quick=True, most=MOST_PLANNED)

    def _states(self, status: StoreStatus | None) -> ImageStates:
        if status is None:
            # Nothing was ever shown: what has no mark is new.
            return ImageStates(usual=Shown(ImageState.ON_SERVICE, "sent by this store"), has_later=True)
        return find_shown_states(status, self._session.policy.quarantine)

    def _price(self, status: StoreStatus | None) -> PushPrice | None:
        if status is None:
            return None
        requests, seconds = requests_of(self._session, status), 0.0
        with contextlib.suppress(AsticaSyncError):
            seconds = self._session.remote.service.forecast(requests)
        return PushPrice(requests, seconds, "; ".join(refusal.reason for refusal in status.refusals))


def unlooked_gallery(columns: Columns, why: str, revision: int, usual: ImageState = ImageState.ON_SERVICE) -> Gallery:
    """A gallery of the columns that there are before the store was looked at; ``why`` says which these are."""
    states = ImageStates(usual=Shown(usual, why))
    return Gallery(revision, columns, states, None, None, summarize(columns), why)


def summarize(columns: Columns) -> dict[str, Any]:
    """How many images there are in each class and state."""
    size = len(STATES)
    table = np.zeros((len(columns.titles), size), np.int64)
    for start in range(0, len(columns), _PIECE):
        piece = slice(start, start + _PIECE)
        places = columns.class_of[piece].astype(np.int64) * size + columns.state_of[piece]
        table += np.bincount(places, minlength=table.size).reshape(table.shape)
    totals = by_state(table.sum(axis=0).tolist())
    # They are no samples: what is counted are the images of the store.
    table[:, STATES.index(ImageState.HELD_OUT)] = 0
    return {
        "classes": [
            {"title": title, "images": sum(row), "by_state": by_state(row)}
            for title, row in zip(columns.titles, table.tolist(), strict=True)
        ],
        "totals": {"images": int(table.sum()), "by_state": totals},
    }


def by_state(counts: list[int]) -> dict[str, int]:
    """The counts that are not 0, by the name of the state."""
    return {str(state): count for state, count in zip(STATES, counts, strict=True) if count}
