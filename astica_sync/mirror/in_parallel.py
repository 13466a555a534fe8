"""Does the same with many files at once, a few at a time, and gives the results in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from astica_sync.errors import Interrupted

THREADS = 8
_AHEAD = 4 * THREADS


def in_parallel(
    do: Callable[[str], str], names: Iterable[str], stopping: Callable[[], bool]
) -> Iterator[tuple[str, str]]:
    """Each name with what ``do`` returns for it; the first error ends it.

    Raises:
        Interrupted: the user asked to stop; what has begun is finished.
    """
    waiting: deque[tuple[str, Future[str]]] = deque()
    with ThreadPoolExecutor(THREADS, "mirror") as pool:
        try:
            for name in names:
                if stopping():
                    raise Interrupted("stopped by the user", "the same command goes on where it was")
                waiting.append((name, pool.submit(do, name)))
                if len(waiting) >= _AHEAD:
                    first, job = waiting.popleft()
                    yield first, job.result()
            while waiting:
                first, job = waiting.popleft()
                yield first, job.result()
        finally:
            for _, job in waiting:
                job.cancel()
