"""Asks the store's watcher whether it has seen every change, so that nobody else has to look through the store.

A file is put where the watcher hears of it, behind whatever it was told before. It looks at what it was told and takes
the file away; from then on the index is as a scan would leave it. Without an answer in time the asker scans.
"""

import json
import os

from astica_sync.core.reports import State
from astica_sync.core.sample import ALL_SEEN
from astica_sync.errors import StoreError
from astica_sync.store.ignore import Ignore
from astica_sync.store.layout import ASKS, check_root
from astica_sync.store.lock import is_watched
from astica_sync.store.scan import Scan
from astica_sync.sync.parts import Parts

PATIENCE = 0.5
"""An idle watcher answers within hundredths of a second; one that is at something is not waited for."""
_PAUSE = 0.002


def seen_by_watcher(parts: Parts) -> Scan | None:
    """What a scan would find, where a watcher of this store has just seen to it; else None.

    Raises:
        Interrupted: a person said stop.
    """
    layout, index = parts.layout, parts.index
    if not is_watched(layout) or not _hears(parts):
        return None
    question = layout.state / f"{ASKS}{os.urandom(6).hex()}"
    try:
        check_root(layout, parts.disk)
        rules = Ignore.load(layout.root)
        question.write_bytes(b"")
        try:
            give_up = parts.clock.ticks() + PATIENCE
            while question.exists():
                if parts.clock.ticks() >= give_up:
                    return None
                parts.clock.sleep(_PAUSE)
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
        unknown=ALL_SEEN,
        classes=frozenset(title for title in titles if title is not None),
        changing=0,
        started_at=parts.clock.now(),
        ignore_changed=False,
        ignore_digest=rules.digest,
        fresh=frozenset(),
        lost=frozenset(),
    )


def _hears(parts: Parts) -> bool:
    """Whether the watcher is told of changes, and not stopped by anything."""
    try:
        report = json.loads(parts.layout.watch_state.read_bytes())
        return report["polls"] == "" and report["state"] in (State.IDLE, State.WORKING)
    except (OSError, ValueError, KeyError, TypeError):
        return False
