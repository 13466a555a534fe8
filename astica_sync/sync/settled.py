"""Waits until what was just written has settled, for a watcher that runs once."""

import time
from collections.abc import Callable
from itertools import islice

from astica_sync.store.disk import Kind, kind_of
from astica_sync.store.scan import scan_store
from astica_sync.sync.parts import Parts

PATIENCE = 60.0
"""A store in which something is always being written is pushed after so many seconds all the same."""
MOST = 1000


def wait_until_settled(parts: Parts, settle: float, wall: Callable[[], float] = time.time) -> None:
    """Returns once no file of the store was changed within ``settle`` seconds, or that took too long.

    Raises:
        Interrupted: a person said stop.
    """
    give_up = parts.clock.now() + PATIENCE
    while parts.clock.now() < give_up:
        scan = scan_store(parts.layout, parts.index, clock=parts.clock, disk=parts.disk, threads=parts.readers)
        paths = [path for item in scan.fresh or () for path in parts.index.paths_with(item)]
        # What has just begun to be written is no image yet.
        paths += [problem.path for problem in islice(parts.index.problems(), MOST)]
        age = _youngest(parts, paths, wall())
        if age >= settle and not scan.changing:
            return
        parts.clock.sleep(settle - age if age < settle else settle)


def _youngest(parts: Parts, paths: list[str], now: float) -> float:
    """Seconds since the last change among these files; times that lie ahead say nothing."""
    ages = []
    for path in paths:
        try:
            status = parts.disk.lstat(parts.layout.root / path)
        except OSError:
            continue
        age = now - max(status.st_ctime, status.st_mtime)
        if kind_of(status) is Kind.FILE and age >= 0:
            ages.append(age)
    return min(ages, default=float("inf"))
