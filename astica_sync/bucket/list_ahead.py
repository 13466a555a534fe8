"""Asks for the pages of lists ahead: the next page while the last one is used, and the folders that come next."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

_THREADS = 4
_OLDEST_S = 30.0
"""A page that was asked for longer ago is asked for again."""

_Key = tuple[str, str]


class ListAhead:
    """For any thread. ``fetch`` gives the bytes of a page by the prefix and the token that continues a list."""

    def __init__(self, fetch: Callable[[str, str], bytes]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._expected: deque[str] = deque()
        self._waiting: dict[_Key, tuple[float, Future[bytes]]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def expect(self, prefixes: Iterable[str]) -> None:
        """These folders will be listed next, in this order."""
        with self._lock:
            for _, future in self._waiting.values():
                future.cancel()
            self._waiting.clear()
            self._expected = deque(prefixes)
            self._fill()

    def get(self, prefix: str, token: str) -> bytes:
        """A page, which was asked for before or is now.

        Raises:
            As ``fetch``.
        """
        with self._lock:
            since, waiting = self._waiting.pop((prefix, token), (0.0, None))
            if not token and prefix in self._expected:
                # What came before it is left out of the scan.
                while (left_out := self._expected.popleft()) != prefix:
                    self._waiting.pop((left_out, ""), None)
            self._fill()
        if waiting is None or time.monotonic() - since > _OLDEST_S:
            return self._fetch(prefix, token)
        return waiting.result()

    def start(self, prefix: str, token: str) -> None:
        """This page will be asked for next."""
        with self._lock:
            self._submit((prefix, token))

    def _fill(self) -> None:
        for prefix in itertools.islice(self._expected, _THREADS):
            if len(self._waiting) < _THREADS:
                self._submit((prefix, ""))

    def _submit(self, key: _Key) -> None:
        if key not in self._waiting:
            # Its threads end with the pool itself.
            self._pool = self._pool or ThreadPoolExecutor(_THREADS, "list-ahead")
            self._waiting[key] = time.monotonic(), self._pool.submit(self._fetch, *key)
