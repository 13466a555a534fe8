"""Folders that another process lists while this one scans."""

from collections import deque

from astica_sync.local.filesystem import Kind
from astica_sync.local.scan.directory_digest import DirectoryListing
from astica_sync.local.scan.parallel.worker_process import LOOK, WorkerProcess

# Always one in hand while another is being listed; more would keep the last ones from whoever is free first.
_AT_ONCE = 2

Task = tuple[str, bytes | None, int]
"""What ``list_directory`` is to be given: the path of a folder, its earlier seals, and the seed."""


class Prefetcher:
    """It takes folders from the front of ``ahead``, while the process that scans takes them from the back."""

    def __init__(self) -> None:
        """
        Raises:
            OSError: no process can be started.
        """
        self.ahead: deque[Task] = deque()
        self._asked: deque[str] = deque()
        self._seen: dict[str, DirectoryListing] = {}
        self._hand: WorkerProcess | None = WorkerProcess()

    def __enter__(self) -> "Prefetcher":
        return self

    def __exit__(self, *exc: object) -> None:
        hand, self._hand = self._hand, None
        if hand is not None:
            hand.close()

    def take(self, path: str) -> DirectoryListing | None:
        """What the other process saw of the folder, waited for where it is at it; None where it did not begin (and
        will not), or the folder changed under its eyes."""
        if self.ahead and self.ahead[-1][0] == path:
            self.ahead.pop()
        self.feed()
        while path in self._asked:
            self._receive()
            self.feed()
        return self._seen.pop(path, None)

    def feed(self) -> None:
        """Takes what is answered and hands out what is next; never waits."""
        while self._hand is not None and self._asked and self._hand.has_answered():
            self._receive()
        while self._hand is not None and self.ahead and len(self._asked) < _AT_ONCE:
            task = self.ahead.popleft()
            try:
                self._hand.ask(LOOK, *task)
            except (OSError, EOFError, ValueError):
                self._give_up()
            else:
                self._asked.append(task[0])

    def _receive(self) -> None:
        try:
            answer = self._hand.answer() if self._hand else None
        except (OSError, EOFError, ValueError):
            self._give_up()
            return
        path = self._asked.popleft()
        if answer is not None:
            seals, files, broken, changed, others, nested = answer
            kinds = [(name, Kind(kind) if kind else None, device) for name, kind, device in others]
            self._seen[path] = DirectoryListing(seals, files, broken, changed, kinds, nested)

    def _give_up(self) -> None:
        self.ahead.clear()
        self._asked.clear()
        self.__exit__()
