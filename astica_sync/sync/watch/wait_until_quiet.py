"""Waits until no file of the store is being written, for a watcher that runs once."""

import time
from collections.abc import Callable
from itertools import islice

from astica_sync.clock import Clock
from astica_sync.local.filesystem import Kind, kind_of
from astica_sync.local.scan.scanner import ScanOptions, scan_store
from astica_sync.sync.session import LocalSide

TIMEOUT = 60.0
"""A store in which files are written all the time is pushed after so many seconds all the same."""
MAX_PROBLEMS = 1000


def wait_until_quiet(
    local: LocalSide, clock: Clock, quiet_seconds: float, wall: Callable[[], float] = time.time
) -> None:
    """Returns once no file of the store was changed within ``quiet_seconds``, or after the timeout.

    Raises:
        Interrupted: the user stopped it.
    """
    give_up = clock.now() + TIMEOUT
    while clock.now() < give_up:
        options = ScanOptions(threads=local.hash_threads, recipe=local.preparer.recipe)
        scan = scan_store(local.layout, local.index, clock=clock, files=local.fs, options=options)
        paths = [path for content in scan.fresh or () for path in local.index.paths_with(content)]
        # A file that is half written is a problem, not an image.
        paths += [problem.path for problem in islice(local.index.problems(), MAX_PROBLEMS)]
        age = _youngest(local, paths, wall())
        if age >= quiet_seconds and not scan.changing:
            return
        clock.sleep(quiet_seconds - age if age < quiet_seconds else quiet_seconds)


def _youngest(local: LocalSide, paths: list[str], now: float) -> float:
    """Seconds since the last change among these files; times in the future are ignored."""
    ages = []
    for path in paths:
        try:
            status = local.fs.lstat(local.layout.root / path)
        except OSError:
            continue
        age = now - max(status.st_ctime, status.st_mtime)
        if kind_of(status) is Kind.FILE and age >= 0:
            ages.append(age)
    return min(ages, default=float("inf"))
