"""Asks the watcher of the store whether the index has every change, so that a status need not scan.

The request is a file in the hidden folder. The watcher is notified of it after all earlier changes of the store; it
scans what changed and removes the file. From then on the index is as a scan would leave it. Without an answer in time
the caller scans.
"""

import os

from astica_sync.clock import Clock
from astica_sync.core.model import ALL_READABLE
from astica_sync.core.watch.watch_status import WatchState
from astica_sync.errors import StoreError
from astica_sync.local.filesystem import FileSystem, write_new
from astica_sync.local.jsonl import read_small_json
from astica_sync.local.layout import ASKS, Layout
from astica_sync.local.lock import is_watched
from astica_sync.local.scan.ignore import Ignore
from astica_sync.local.scan.scanner import HARD_LINKS, Scan
from astica_sync.local.store_sentinel import check_root
from astica_sync.sync.session import LocalSide

PATIENCE = 0.5
"""Seconds. An idle watcher answers within hundredths of a second; a busy one is not waited for."""
_PAUSE = 0.002


def scan_by_watcher(local: LocalSide, clock: Clock) -> Scan | None:
    """What a scan would return, where the watcher of this store has just updated the index; else None.

    Raises:
        Interrupted: the user asked to stop.
    """
    layout, index = local.layout, local.index
    if not is_watched(layout) or not _is_notified(layout):
        return None
    request = layout.state / f"{ASKS}{os.urandom(6).hex()}"
    try:
        check_root(layout, local.fs)
        rules = Ignore.load(layout.root)
        write_new(request, b"")
        try:
            give_up = clock.ticks() + PATIENCE
            while request.exists():
                if clock.ticks() >= give_up:
                    return None
                clock.sleep(_PAUSE)
        finally:
            request.unlink(missing_ok=True)
    except (OSError, StoreError):
        return None
    # A change by the other name of a hard link is no event of the store.
    if index.get_meta(HARD_LINKS) != "0":
        return None
    if index.is_private or index.get_meta("ignore_digest") != rules.digest:
        return None
    titles = {folder.class_title for folder in index.folders().values()}
    return Scan(
        files=0,
        hashed=0,
        unknown=ALL_READABLE,
        classes=frozenset(title for title in titles if title is not None),
        changing=0,
        started_at=clock.now(),
        ignore_changed=False,
        ignore_digest=rules.digest,
        fresh=frozenset(),
        lost=frozenset(),
    )


def _is_notified(layout: Layout) -> bool:
    """Whether the watcher is notified of changes, and is running."""
    try:
        report = read_small_json(FileSystem(), layout.watch_state)
        return report["polls"] == "" and report["state"] in (WatchState.IDLE, WatchState.WORKING)
    except (OSError, ValueError, KeyError, TypeError):
        return False
