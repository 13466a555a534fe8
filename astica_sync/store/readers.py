"""Who reads the files of a store: the thread that scans, threads beside it, or, once they are many, other processes."""

import contextlib
import queue
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from astica_sync.store.disk import Disk
from astica_sync.store.hand import READ, Hand, as_readings
from astica_sync.store.reading import Reading, read_file

MANY = 4000
"""So many files in one scan are worth the start of other processes."""


class Readers:
    """``threads`` read at once; with none, ``read`` does so itself, in an order that only the store decides."""

    def __init__(self, disk: Disk, threads: int, many: int = MANY) -> None:
        self._disk = disk
        self._pool = ThreadPoolExecutor(threads, "read") if threads else None
        self._many = many
        self._asked = 0
        self._idle: queue.SimpleQueue[Hand] = queue.SimpleQueue()
        self._hands: list[Hand] = []

    def __enter__(self) -> "Readers":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read(self, paths: Sequence[str]) -> "Future[list[Reading]]":
        """What stands at each of these paths, in their order."""
        self._asked += len(paths)
        if self._pool is None:
            future: Future[list[Reading]] = Future()
            future.set_result(self._read_here(paths))
            return future
        return self._pool.submit(self._read_there if self._asked > self._many else self._read_here, paths)

    def close(self) -> None:
        """Ends at once what is not being read yet."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        for hand in self._hands:
            hand.close()
        self._hands.clear()

    def _read_here(self, paths: Sequence[str]) -> list[Reading]:
        return [read_file(self._disk, path) for path in paths]

    def _read_there(self, paths: Sequence[str]) -> list[Reading]:
        try:
            hand = self._borrow()
            hand.ask(READ, list(paths))
            found = as_readings(hand.answer())
        except (OSError, EOFError, ValueError):
            # It is not given back, so another one is started for the next files.
            return self._read_here(paths)
        self._idle.put(hand)
        return found

    def _borrow(self) -> Hand:
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        hand = Hand()
        self._hands.append(hand)
        return hand
