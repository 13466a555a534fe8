"""When a written file is complete: it was closed after writing, or it has not changed for some seconds.

Linux reports that a file was closed. Elsewhere, and where such a report is lost, a file is complete when it is quiet.
All times are seconds on one monotonic clock. A *signature* is any value that changes with every write (size and times).
"""

from collections.abc import Hashable
from dataclasses import dataclass

OPEN_TIMEOUT = 600.0
"""A file that was written and whose close was not reported is complete after so many seconds without a write: the
report may have been lost."""
MAX_FILES = 100_000
"""No more files than this are followed by events; the others are complete when they are quiet."""


@dataclass(slots=True)
class _LastEvent:
    """The last event about a file: when it came, and whether the file is open for writing since."""

    at: float
    open: bool


class Debouncer:
    """Follows the files that may still be written; forgets each once it is complete."""

    def __init__(self, quiet_seconds: float) -> None:
        """``quiet_seconds``: how long a file without events must not change before it is complete."""
        self._quiet_seconds = quiet_seconds
        self._events: dict[str, _LastEvent] = {}
        self._signatures: dict[str, tuple[Hashable, float]] = {}

    def written(self, path: str, now: float) -> None:
        """The file is open and being written."""
        self._note(path, _LastEvent(now, open=True))

    def closed(self, path: str, now: float) -> None:
        """The file was closed after writing, or was moved into its place as a whole."""
        self._note(path, _LastEvent(now, open=False))

    def moved(self, source: str, target: str, now: float) -> None:
        """A file was renamed; a program that writes it goes on writing."""
        event = self._events.pop(source, None)
        if event is not None and event.open:
            self.written(target, now)
        else:
            self.closed(target, now)

    def removed(self, path: str) -> None:
        """The file does not exist any more."""
        self._forget(path)

    def quiet_at(self, path: str, signature: Hashable, age: float, now: float) -> float:
        """From when the file is complete. A time not after ``now`` means that it is; it is then forgotten here.

        Args:
            signature: the file's signature now.
            age: seconds since its last change by its own times. They may be wrong, so a small or negative age only
                makes the caller check again.
        """
        event = self._events.get(path)
        if event is not None and event.open:
            at = event.at + OPEN_TIMEOUT
        elif event is not None or age >= self._quiet_seconds:
            at = now
        else:
            known = self._signatures.get(path)
            since = known[1] if known is not None and known[0] == signature else now
            self._signatures[path] = (signature, since)
            at = since + self._quiet_seconds
        if at <= now:
            self._forget(path)
        return at

    def is_open(self, path: str, now: float) -> bool:
        """Whether a program is writing the file, by the events about it; asking changes nothing here."""
        event = self._events.get(path)
        return event is not None and event.open and now < event.at + OPEN_TIMEOUT

    def forget_before(self, time: float) -> None:
        """Drops what was not asked for since ``time``, so that memory stays bounded over years."""
        self._events = {path: event for path, event in self._events.items() if event.at >= time}
        self._signatures = {path: known for path, known in self._signatures.items() if known[1] >= time}

    def __len__(self) -> int:
        return len(self._events) + len(self._signatures)

    def _note(self, path: str, event: _LastEvent) -> None:
        if path in self._events or len(self._events) < MAX_FILES:
            self._events[path] = event

    def _forget(self, path: str) -> None:
        self._events.pop(path, None)
        self._signatures.pop(path, None)
