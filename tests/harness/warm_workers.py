"""Image workers that stay ready between the commands that one test process runs.

Each push starts processes that open images, and to start Python takes longer than a small push. The workers are real
processes, and one that a test lets crash or run out of time is gone; only the end of a command leaves them to the next.
"""

import atexit
import threading
from collections import defaultdict
from collections.abc import Sequence

import pytest

from astica_sync.local.image import worker_pool
from astica_sync.local.image.worker_pool import ImageWorkers

_start = worker_pool._Worker
_guard = threading.Lock()
_ready: dict[tuple[str, ...], list[worker_pool._Worker]] = defaultdict(list)


def keep_ready(patch: pytest.MonkeyPatch) -> None:
    """Lets every pool of this process take over the workers of those that were closed."""
    patch.setattr(worker_pool, "_Worker", _take)
    patch.setattr(ImageWorkers, "close", _close)


def _take(command: Sequence[str]) -> worker_pool._Worker:
    with _guard:
        ready = _ready[tuple(command)]
        worker = ready.pop() if ready else None
    return worker or _start(command)


def _close(pool: ImageWorkers) -> None:
    with pool._guard:
        pool._closed = True
        idle, pool._idle = pool._idle, []
    with _guard:
        _ready[pool._command].extend(idle)


@atexit.register
def _end_all() -> None:
    for workers in _ready.values():
        for worker in workers:
            worker.end()
