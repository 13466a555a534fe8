"""Waits until what was just written has settled, for a watcher that runs once."""

import time
from collections.abc import Callable
from itertools import islice

from astica_sync.local.filesystem import Kind, kind_of
from astica_sync.local.scan.scanner import ScanOptions, scan_store
from astica_sync.sync.session import Session

PATIENCE = 60.0
"""A store in which something is always being written is pushed after so many seconds all the same."""
MOST = 1000


def wait_until_quiet(session: Session, settle: float, wall: Callable[[], float] = time.time) -> None:
    """Returns once no file of the store was changed within ``settle`` seconds, or that took too long.

    Raises:
        Interrupted: the user stopped it.
    """
    give_up = session.runtime.clock.now() + PATIENCE
    while session.runtime.clock.now() < give_up:
        scan = scan_store(
            session.local.layout,
            session.local.index,
            clock=session.runtime.clock,
            files=session.local.fs,
            options=ScanOptions(threads=session.local.hash_threads),
        )
        paths = [path for item in scan.fresh or () for path in session.local.index.paths_with(item)]
        # What has just begun to be written is no image yet.
        paths += [problem.path for problem in islice(session.local.index.problems(), MOST)]
        age = _youngest(session, paths, wall())
        if age >= settle and not scan.changing:
            return
        session.runtime.clock.sleep(settle - age if age < settle else settle)


def _youngest(session: Session, paths: list[str], now: float) -> float:
    """Seconds since the last change among these files; times that lie ahead say nothing."""
    ages = []
    for path in paths:
        try:
            status = session.local.fs.lstat(session.local.layout.root / path)
        except OSError:
            continue
        age = now - max(status.st_ctime, status.st_mtime)
        if kind_of(status) is Kind.FILE and age >= 0:
            ages.append(age)
    return min(ages, default=float("inf"))
