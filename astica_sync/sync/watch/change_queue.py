"""What happened in the store since the last scan: which folders changed, and which files are being written.

An entry decides nothing; the scan does. Too many entries, or lost ones, only turn the next scan into one of the whole
store.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from astica_sync.core.watch.debounce import Debouncer

MAX_FOLDERS = 1000
MAX_FILE_EVENTS = 50_000

FileEvent = Callable[[Debouncer], None]
"""One event about a file, to be applied to the debouncer."""


@dataclass(slots=True)
class ChangeBatch:
    """Everything that was queued between two scans.

    ``folders`` are the folders to scan (relative to the store), ``rescan`` is why the whole store must be scanned
    instead ("" when it need not), ``status_requests`` are the names of the files by which other processes ask whether
    the index is up to date, ``file_events`` what happened to single files, in order.
    """

    folders: set[str] = field(default_factory=set)
    rescan: str = ""
    status_requests: list[str] = field(default_factory=list)
    file_events: list[FileEvent] = field(default_factory=list)

    @property
    def needs_scan(self) -> bool:
        return bool(self.folders or self.rescan)


class ChangeQueue:
    """Collects changes until the watcher takes them. For any number of threads."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        """``wake`` wakes the watcher."""
        self._wake = wake
        self._lock = threading.Lock()
        self._batch = ChangeBatch()

    def add_folder(self, path: str) -> None:
        """Something in this folder changed, or may have changed."""
        with self._lock:
            first = not self._batch.needs_scan
            self._batch.folders.add(path)
            if len(self._batch.folders) > MAX_FOLDERS:
                self._batch.folders.clear()
                self._batch.rescan = self._batch.rescan or "changes in very many folders"
        if first:
            self._wake()

    def request_rescan(self, reason: str) -> None:
        """Something changed, and it is not known where."""
        with self._lock:
            first = not self._batch.needs_scan
            self._batch.rescan = reason
        if first:
            self._wake()

    def add_file_event(self, event: FileEvent) -> None:
        """A file is being written, was closed, was moved or was removed."""
        with self._lock:
            if len(self._batch.file_events) < MAX_FILE_EVENTS:
                self._batch.file_events.append(event)

    def drop_file_events(self) -> None:
        """Events are no longer received, so it is not known any more which files are still open."""
        with self._lock:
            self._batch.file_events.clear()

    def add_status_request(self, name: str) -> None:
        """Another process waits until everything queued before this has been scanned."""
        with self._lock:
            self._batch.status_requests.append(name)
        self._wake()

    @property
    def has_status_requests(self) -> bool:
        with self._lock:
            return bool(self._batch.status_requests)

    def wake(self) -> None:
        """Something outside the images changed: the settings, or the order to pause."""
        self._wake()

    def take(self) -> ChangeBatch:
        """Removes and returns everything queued since the last call."""
        with self._lock:
            batch, self._batch = self._batch, ChangeBatch()
        return batch

    def apply_file_events(self, debouncer: Debouncer) -> bool:
        """Applies the queued file events; returns whether there is something to scan."""
        with self._lock:
            events, self._batch.file_events = self._batch.file_events, []
            needs_scan = self._batch.needs_scan
        for event in events:
            event(debouncer)
        return needs_scan
