"""Work on files in threads of this process, for what other processes of this machine do the greater part of."""

import itertools
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from astica_sync.executor.file_work import FileWork

R = TypeVar("R")

_BATCH = 512


class ThreadExecutor:
    """A ``FileExecutor`` with so many threads."""

    has_workers = False

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def run(self, work: FileWork[R], files: Mapping[str, Path]) -> Generator[tuple[str, R], None, None]:
        """As ``FileExecutor.run``, in the order of the files."""
        here = work.here
        if here is None or not files:
            return
        waiting = iter(files.items())
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="executor")
        try:
            # In batches, so that a run that is stopped has little under way.
            while batch := list(itertools.islice(waiting, _BATCH)):
                results = pool.map(lambda item: here(*item), batch)
                for (content, _), found in zip(batch, results, strict=True):
                    yield content, found
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
