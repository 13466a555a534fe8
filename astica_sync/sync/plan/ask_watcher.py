"""Asks the store's watcher whether it has seen every change, so that nobody else has to look through the store.

A file is put where the watcher hears of it, behind whatever it was told before. It looks at what it was told and takes
the file away; from then on the index is as a scan would leave it. Without an answer in time the asker scans.
"""

import json
import os

from astica_sync.core.model import ALL_READABLE
from astica_sync.core.watch.watch_status import State
from astica_sync.errors import StoreError
from astica_sync.local.layout import ASKS, check_root
from astica_sync.local.lock import is_watched
from astica_sync.local.scan.ignore import Ignore
from astica_sync.local.scan.scanner import Scan
from astica_sync.sync.session import Session

PATIENCE = 0.5
"""An idle watcher answers within hundredths of a second; one that is at something is not waited for."""
_PAUSE = 0.002


def scan_by_watcher(session: Session) -> Scan | None:
    """What a scan would find, where a watcher of this store has just seen to it; else None.

    Raises:
        Interrupted: a person said stop.
    """
    layout, index = session.layout, session.index
    if not is_watched(layout) or not _hears(session):
        return None
    question = layout.state / f"{ASKS}{os.urandom(6).hex()}"
    try:
        check_root(layout, session.fs)
        rules = Ignore.load(layout.root)
        question.write_bytes(b"")
        try:
            give_up = session.clock.ticks() + PATIENCE
            while question.exists():
                if session.clock.ticks() >= give_up:
                    return None
                session.clock.sleep(_PAUSE)
        finally:
            question.unlink(missing_ok=True)
    except (OSError, StoreError):
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
        started_at=session.clock.now(),
        ignore_changed=False,
        ignore_digest=rules.digest,
        fresh=frozenset(),
        lost=frozenset(),
    )


def _hears(session: Session) -> bool:
    """Whether the watcher is told of changes, and not stopped by anything."""
    try:
        report = json.loads(session.layout.watch_state.read_bytes())
        return report["polls"] == "" and report["state"] in (State.IDLE, State.WORKING)
    except (OSError, ValueError, KeyError, TypeError):
        return False
