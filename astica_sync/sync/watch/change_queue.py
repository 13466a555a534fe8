"""What the system told about the store since the last look: where to look again, and what is being written.

A hint decides nothing; the scan does. Too many hints, or lost ones, only make the next look a look at everything.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from astica_sync.core.watch.debounce import Debouncer

MOST_FOLDERS = 1000
MOST_WORDS = 50_000


@dataclass(slots=True)
class ChangeBatch:
    """What was told: folders to look into (relative to the store), or everything and why; the names of files that ask
    whether all that was seen; in order, what each file's writer does."""

    folders: set[str] = field(default_factory=set)
    everything: str = ""
    asked: list[str] = field(default_factory=list)
    words: list[Callable[[Debouncer], None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.folders or self.everything)


class ChangeQueue:
    """Collects hints until somebody takes them. For any number of threads."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._told = ChangeBatch()

    def folder(self, path: str) -> None:
        """Something in this folder changed, or may have."""
        with self._lock:
            first = not self._told
            self._told.folders.add(path)
            if len(self._told.folders) > MOST_FOLDERS:
                self._told.folders.clear()
                self._told.everything = self._told.everything or "changes in very many folders"
        if first:
            self._wake()

    def everything(self, why: str) -> None:
        """Something changed, and nobody knows where."""
        with self._lock:
            first = not self._told
            self._told.everything = why
        if first:
            self._wake()

    def word(self, tell: Callable[[Debouncer], None]) -> None:
        """A file is being written, was closed, was moved or is gone."""
        with self._lock:
            if len(self._told.words) < MOST_WORDS:
                self._told.words.append(tell)

    def forget_words(self) -> None:
        """Nobody listens any more, so what writers were heard to do tells no longer what they do."""
        with self._lock:
            self._told.words.clear()

    def ask(self, name: str) -> None:
        """Somebody wants to know when everything that was told before has been looked at."""
        with self._lock:
            self._told.asked.append(name)
        self._wake()

    @property
    def are_asked_for(self) -> bool:
        with self._lock:
            return bool(self._told.asked)

    def wake(self) -> None:
        """Something that is no sample changed: the settings, or the order to rest."""
        self._wake()

    def take(self) -> ChangeBatch:
        """Everything that was told since the last time."""
        with self._lock:
            told, self._told = self._told, ChangeBatch()
        return told

    def take_words(self, settling: Debouncer) -> bool:
        """Passes on what the writers do; whether there is something to look at."""
        with self._lock:
            words, self._told.words = self._told.words, []
            waiting = bool(self._told)
        for word in words:
            word(settling)
        return waiting
